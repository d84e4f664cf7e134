/** What is to be done with one log and those that it was. Pure. */
import { type LogFamily, partOf } from './families.js';

export interface RotationLimits {
  /** A log of so many bytes, or more, is rotated. */
  readonly bytes: number;
  /** So is one with any content whose last rotation is so long ago; milliseconds. */
  readonly ageMs?: number;
  /** So many rotated logs stay. */
  readonly count: number;
}

export interface LogFacts {
  readonly bytes: number;
  /** Since the last rotation, or since the log was begun; milliseconds. */
  readonly ageMs: number;
}

export type RotationReason = 'size' | 'age';

export type RotationStep =
  /** What a killed run has not finished. */
  | { readonly kind: 'discard'; readonly name: string }
  /** A copy of the log: of one that was emptied since, it is the only one, and gets its name; else it goes. */
  | { readonly kind: 'adopt'; readonly part: string; readonly base: string; readonly to: string }
  /** One number twice, plain and compressed: which of both stays is seen by their contents. */
  | { readonly kind: 'settle'; readonly plain: string; readonly compressed: string }
  | { readonly kind: 'remove'; readonly name: string }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }
  /** The log becomes `to`, and an empty one takes its place. */
  | { readonly kind: 'cut'; readonly from: string; readonly to: string; readonly reason: RotationReason }
  | { readonly kind: 'compress'; readonly from: string; readonly to: string };

export function dueFor({ bytes, ageMs }: LogFacts, limits: RotationLimits): RotationReason | undefined {
  if (bytes >= limits.bytes) return 'size';
  if (bytes > 0 && limits.ageMs !== undefined && ageMs >= limits.ageMs) return 'age';
  return undefined;
}

/** First what puts a former run right; only when there was none of that is the family as it looks. */
export function planRecovery({ base, rotated, torn }: LogFamily): RotationStep[] {
  const plain = new Map(rotated.filter(({ compressed }) => !compressed).map(({ number, name }) => [number, name]));
  return [
    ...torn.map((name): RotationStep => {
      const to = `${base}.1`;
      return name === partOf(to) ? { kind: 'adopt', part: name, base, to } : { kind: 'discard', name };
    }),
    ...rotated.flatMap(({ compressed, number, name }): RotationStep[] => {
      const twin = plain.get(number);
      return compressed && twin !== undefined ? [{ kind: 'settle', plain: twin, compressed: name }] : [];
    }),
  ];
}

/**
 * The steps in their order, so that a kill between two of them loses nothing, and a run after it finds its way: from the
 * oldest to the newest each log gets the next number, up to the first number that is free; then the log itself is cut.
 */
export function planRotation(family: LogFamily, facts: LogFacts, limits: RotationLimits): RotationStep[] {
  const reason = dueFor(facts, limits);
  const taken = new Set(family.rotated.map(({ number }) => number));
  let free = 1;
  while (reason !== undefined && taken.has(free)) free++;
  const steps: RotationStep[] = [];
  const stay: { name: string; compressed: boolean }[] = [];
  for (const { name, number, compressed } of [...family.rotated].reverse()) {
    const moved = reason !== undefined && number < free;
    const wanted = moved ? number + 1 : number;
    if (wanted > limits.count) {
      steps.push({ kind: 'remove', name });
      continue;
    }
    const to = moved ? `${family.base}.${wanted}${compressed ? '.gz' : ''}` : name;
    if (moved) steps.push({ kind: 'rename', from: name, to });
    stay.push({ name: to, compressed });
  }
  const newest = `${family.base}.1`;
  if (reason !== undefined) {
    steps.push({ kind: 'cut', from: family.base, to: newest, reason });
    stay.push({ name: newest, compressed: false });
  }
  for (const { name, compressed } of stay) {
    if (!compressed) steps.push({ kind: 'compress', from: name, to: `${name}.gz` });
  }
  return steps;
}

/** For --dry-run and its like: what a step does. */
export function describeStep(step: RotationStep): string {
  switch (step.kind) {
    case 'discard':
      return `remove ${step.name}: a run that was ended had not finished it`;
    case 'adopt':
      return `look whether ${step.part} is ${step.to}, or was not finished`;
    case 'settle':
      return `keep one of ${step.plain} and ${step.compressed}`;
    case 'remove':
      return `remove ${step.name}`;
    case 'rename':
      return `rename ${step.from} to ${step.to}`;
    case 'cut':
      return `rotate ${step.from} to ${step.to}`;
    case 'compress':
      return `compress ${step.from} to ${step.to}`;
  }
}
