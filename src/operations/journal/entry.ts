/** The lines of a journal, and what they add up to. Pure. */
import * as z from 'zod';
import { ForgeError } from '../../errors.js';
import { type Plan, planSchema } from '../plan.js';

/** `started` is on disk before the first command of a step is sent, `done` after the last was confirmed. */
export const STEP_STATES = ['started', 'done', 'undo-started', 'undone'] as const;
export type StepState = (typeof STEP_STATES)[number];
export const RESULTS = ['done', 'rolled-back', 'abandoned'] as const;
export type JournalResult = (typeof RESULTS)[number];

const at = z.iso.datetime();
const seq = z.int().min(0);

export const operatorSchema = z.strictObject({ user: z.string(), host: z.string(), pid: z.int() });
export type Operator = z.infer<typeof operatorSchema>;

const entrySchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('begin'),
    seq,
    at,
    version: z.literal(1),
    operationId: z.string(),
    operator: operatorSchema,
    plan: planSchema,
  }),
  z.strictObject({ type: z.literal('step'), seq, at, step: z.string(), state: z.enum(STEP_STATES) }),
  z.strictObject({
    type: z.literal('note'),
    seq,
    at,
    step: z.string(),
    data: z.record(z.string(), z.json()),
  }),
  /** Another process goes on, forward or back. */
  z.strictObject({
    type: z.literal('taken-up'),
    seq,
    at,
    direction: z.enum(['forward', 'back']),
    operator: operatorSchema,
  }),
  z.strictObject({ type: z.literal('failed'), seq, at, kind: z.string(), message: z.string() }),
  z.strictObject({ type: z.literal('end'), seq, at, result: z.enum(RESULTS) }),
]);

export type JournalEntry = z.infer<typeof entrySchema>;
type WithoutStamp<Entry> = Entry extends unknown ? Omit<Entry, 'seq' | 'at'> : never;
/** An entry before it gets its number and its time. */
export type NewEntry = WithoutStamp<JournalEntry>;

export function formatEntry(entry: JournalEntry): string {
  return `${JSON.stringify(entry)}\n`;
}

export interface ParsedJournal {
  readonly entries: readonly JournalEntry[];
  /** Bytes up to the end of the last whole line; what follows is a line whose writing was cut off. */
  readonly wholeBytes: number;
}

/**
 * Reads a journal. A last line without its line end was being written when the process died: what it would have said has
 * not happened, since everything waits until its line is on disk. A damaged line before that is another matter.
 * @throws ForgeError `configuration` naming the file and the line
 */
export function parseJournal(text: string, file: string): ParsedJournal {
  const end = text.lastIndexOf('\n') + 1;
  const whole = text.slice(0, end);
  const lines = whole.split('\n').slice(0, -1);
  const entries = lines.map((line, index) => {
    const fail = (why: string) =>
      new ForgeError('configuration', `${file}, line ${index + 1}: ${why}.`, {
        next: 'The journal is damaged. Look at the cluster with forge cluster check, and move the file away.',
      });
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      throw fail('this is no line of a journal');
    }
    const parsed = entrySchema.safeParse(value);
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      throw fail(`${issue?.path.join('.') || 'it'}: ${issue?.message}`);
    }
    if (parsed.data.seq !== index) throw fail(`its number is ${parsed.data.seq}, lines are missing`);
    if ((parsed.data.type === 'begin') !== (index === 0)) throw fail('a journal begins once');
    return parsed.data;
  });
  return { entries, wholeBytes: Buffer.byteLength(whole) };
}

/** What a journal adds up to. */
export interface OperationState {
  readonly operationId: string;
  readonly plan: Plan;
  readonly operator: Operator;
  readonly startedAt: string;
  /** The run that began it, or took it up last. */
  readonly lastRun: { readonly operator: Operator; readonly startedAt: string };
  /** Undefined while the operation is unfinished. */
  readonly result?: JournalResult;
  /** `back` once a rollback was begun: then it can only be finished, not gone forward again. */
  readonly direction: 'forward' | 'back';
  /** The last state of every step that has one. */
  readonly steps: ReadonlyMap<string, StepState>;
  /** Steps whose commands may have been sent: what was so before the operation came is not undone. */
  readonly begun: ReadonlySet<string>;
  readonly notes: ReadonlyMap<string, readonly Record<string, unknown>[]>;
  /** How the last run ended; undefined when it was killed, or is at work. */
  readonly failure?: { readonly kind: string; readonly message: string };
}

/** Undefined for a journal without a whole first line: nothing was begun. */
export function stateOf(entries: readonly JournalEntry[]): OperationState | undefined {
  const [begin] = entries;
  if (begin?.type !== 'begin') return undefined;
  const steps = new Map<string, StepState>();
  const begun = new Set<string>();
  const notes = new Map<string, Record<string, unknown>[]>();
  let direction: OperationState['direction'] = 'forward';
  let result: JournalResult | undefined;
  let failure: OperationState['failure'];
  let lastRun: OperationState['lastRun'] = { operator: begin.operator, startedAt: begin.at };
  for (const entry of entries) {
    if (entry.type === 'step') {
      steps.set(entry.step, entry.state);
      if (entry.state === 'started') begun.add(entry.step);
    } else if (entry.type === 'note') notes.set(entry.step, [...(notes.get(entry.step) ?? []), entry.data]);
    else if (entry.type === 'taken-up') {
      direction = entry.direction;
      lastRun = { operator: entry.operator, startedAt: entry.at };
      failure = undefined;
    } else if (entry.type === 'failed') failure = { kind: entry.kind, message: entry.message };
    else if (entry.type === 'end') result = entry.result;
  }
  const { operationId, plan, operator } = begin;
  return {
    operationId,
    plan,
    operator,
    startedAt: begin.at,
    lastRun,
    direction,
    steps,
    begun,
    notes,
    ...(result === undefined ? {} : { result }),
    ...(failure === undefined ? {} : { failure }),
  };
}
