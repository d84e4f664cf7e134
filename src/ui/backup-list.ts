/** Backups for people: the list, and what goes or stays. */
import { bytesText } from './cluster-status.js';
import type { Colors } from './colors.js';
import { age } from './deploy-status.js';
import { printable } from './printable.js';
import { renderTable } from './table.js';

export interface ShownBackup {
  readonly id: string;
  readonly cluster: string;
  /** ISO 8601. */
  readonly at: string;
  readonly state: string;
  readonly active: boolean;
  readonly kept: boolean;
  readonly bytes: number;
  readonly shards?: number;
  readonly masters?: number;
  readonly keys?: number;
  readonly source?: string;
  readonly encrypted?: boolean;
  readonly sealed: boolean;
  readonly verified?: { readonly at: string; readonly how: string; readonly good: boolean };
  readonly problem?: string;
}

const right = (title: string) => ({ title, align: 'right' as const });
const numberText = (value: number | undefined) => (value === undefined ? '-' : value.toLocaleString('en'));

/** A time in words: `3d 4h`; one that is yet to come with a plus. */
export function agoText(at: string, nowMs: number): string {
  const ms = nowMs - Date.parse(at);
  return ms < 0 ? `+${age(-ms)}` : age(ms);
}

export function paintState(state: string, colors: Colors): string {
  if (state === 'complete') return colors.green(state);
  if (state === 'damaged') return colors.red(state);
  return state === 'running' ? colors.blue(state) : colors.yellow(state);
}

function encryptedText({ encrypted, sealed }: ShownBackup): string {
  if (encrypted === undefined) return '-';
  if (!encrypted) return 'no';
  return sealed ? 'yes' : 'yes, not checked';
}

function verifiedText({ verified }: ShownBackup, nowMs: number, colors: Colors): string {
  if (verified === undefined) return '-';
  const ago = `${agoText(verified.at, nowMs)} ago`;
  return verified.good ? `${ago} (${verified.how})` : colors.red(`damaged, ${ago}`);
}

/** The table, newest first, and below it what is wrong with those that are damaged. */
export function backupLines(backups: readonly ShownBackup[], colors: Colors, nowMs: number): string[] {
  const rows = backups.map((backup) => [
    backup.id,
    agoText(backup.at, nowMs),
    backup.cluster,
    paintState(backup.state, colors),
    backup.shards === undefined ? '-' : `${backup.shards}/${backup.masters}`,
    numberText(backup.keys),
    bytesText(backup.bytes),
    backup.source ?? '-',
    encryptedText(backup),
    backup.kept ? 'yes' : 'no',
    verifiedText(backup, nowMs, colors),
  ]);
  const columns = ['ID', right('AGE'), 'CLUSTER', 'STATE', right('MASTERS'), right('KEYS'), right('SIZE'), 'SOURCE'];
  const table = renderTable([...columns, 'ENCRYPTED', 'KEPT', 'VERIFIED'], rows);
  const problems = backups.flatMap(({ id, problem }) =>
    problem === undefined ? [] : [`${id}: ${printable(problem)}`],
  );
  return [...table.split('\n'), ...(problems.length > 0 ? ['', ...problems] : [])];
}

export interface ShownVerdict {
  readonly id: string;
  readonly atMs: number;
  readonly state: string;
  readonly bytes: number;
  readonly stays: boolean;
  readonly reasons: readonly string[];
}

/** One line per backup: whether it goes, and why. */
export function verdictLines(verdicts: readonly ShownVerdict[], colors: Colors, nowMs: number): string[] {
  const rows = verdicts.map(({ id, atMs, state, bytes, stays, reasons }) => [
    id,
    agoText(new Date(atMs).toISOString(), nowMs),
    paintState(state, colors),
    bytesText(bytes),
    stays ? 'stays' : colors.yellow('goes'),
    reasons.join('; '),
  ]);
  return renderTable(['ID', right('AGE'), 'STATE', right('SIZE'), '', 'WHY'], rows).split('\n');
}
