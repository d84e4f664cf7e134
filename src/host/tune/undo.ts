/** What `forge host tune --undo` would restore. Pure. */
import type { TuneState } from './state.js';

export type UndoStep =
  | { readonly kind: 'live'; readonly name: string; readonly path: string; readonly to: string; readonly from: string }
  | { readonly kind: 'write'; readonly path: string; readonly to: string }
  | { readonly kind: 'remove'; readonly path: string };

export interface UndoPlan {
  readonly host: string;
  readonly steps: readonly UndoStep[];
  /** What somebody changed since: it is not touched. */
  readonly left: readonly { readonly name: string; readonly why: string }[];
}

export interface UndoInput {
  readonly host: string;
  readonly state: TuneState;
  /** Values of the running kernel by name; one that is not there any more is left out. */
  readonly live: ReadonlyMap<string, string>;
  readonly files: ReadonlyMap<string, string>;
  /** Links that are there, with where they lead. */
  readonly links: ReadonlyMap<string, string>;
  readonly image: boolean;
}

/** Files first, so that a start in between finds nothing of ours. In the reverse order in which they were made. */
export function planUndo({ host, state, live, files, links, image }: UndoInput): UndoPlan {
  const steps: UndoStep[] = [];
  const left: { name: string; why: string }[] = [];
  for (const { path, set } of state.links.toReversed()) {
    const now = links.get(path);
    if (now === set) steps.push({ kind: 'remove', path });
    else if (now !== undefined) left.push({ name: path, why: `it leads to ${now} since` });
  }
  for (const { path, before, set } of state.files.toReversed()) {
    const now = files.get(path) ?? null;
    if (now === before) continue;
    if (now !== set)
      left.push({ name: path, why: now === null ? 'somebody removed it since' : 'somebody changed it since' });
    else if (before === null) steps.push({ kind: 'remove', path });
    else steps.push({ kind: 'write', path, to: before });
  }
  for (const { name, path, before, set } of image ? [] : state.live.toReversed()) {
    const now = live.get(name);
    if (now === undefined || now === before) continue;
    if (now === set) steps.push({ kind: 'live', name, path, from: now, to: before });
    else
      left.push({ name, why: `somebody set it to ${now} since; before, it was ${before === '' ? 'empty' : before}` });
  }
  return { host, steps, left };
}

/** For people: a line for a shell; a file that is restored with its content. */
export function undoLines(step: UndoStep, root = ''): string[] {
  if (step.kind === 'live') return [`echo '${step.to}' > ${step.path}    # is: ${step.from}`];
  if (step.kind === 'remove') return [`rm ${root}${step.path}`];
  return [`cat > ${root}${step.path} <<'END'`, ...step.to.trimEnd().split('\n'), 'END'];
}
