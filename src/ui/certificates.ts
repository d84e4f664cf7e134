/** Certificates, for people. */
import { paintVerdict, type ShownFinding } from './cluster-health.js';
import type { Colors } from './colors.js';
import { printable } from './printable.js';
import { renderTable } from './table.js';

export interface ShownCertificate extends ShownFinding {
  readonly names: readonly string[];
  /** ISO 8601. */
  readonly expires: string | null;
  readonly daysLeft: number | null;
}

export interface ShownIssue {
  readonly folder: string;
  readonly action: string;
  readonly newKey: boolean;
  readonly names: readonly string[];
  readonly reasons: readonly string[];
  readonly expires: string | null;
}

const NAMES_MAX = 3;
const TEXT_MAX = 120;

/** When each certificate ends, what it is for and what is said of it. */
export function certificateTable(certificates: readonly ShownCertificate[], colors: Colors): string {
  const rows = certificates.map(({ verdict, check, expires, daysLeft, names }) => [
    paintVerdict(verdict, colors),
    printable(check, TEXT_MAX),
    expires?.slice(0, 10) ?? '–',
    daysLeft ?? '–',
    shortList(names),
  ]);
  return renderTable(['', 'CERTIFICATE', 'EXPIRES', { title: 'DAYS', align: 'right' }, 'FOR'], rows);
}

/** What a run made, renewed and kept. */
export function issueTable(certificates: readonly ShownIssue[], colors: Colors): string {
  const rows = certificates.map(({ action, folder, newKey, expires, names, reasons }) => [
    action === 'kept' ? colors.dim(action) : colors.green(action),
    printable(folder, TEXT_MAX),
    action === 'kept' ? '' : newKey ? 'new' : 'kept',
    expires?.slice(0, 10) ?? '',
    reasons.length === 0 ? shortList(names) : printable(reasons.join('; '), TEXT_MAX),
  ]);
  return renderTable(['', 'CERTIFICATE', 'KEY', 'EXPIRES', 'FOR, OR WHY'], rows);
}

export interface ShownInstall {
  readonly node: string;
  readonly host: string;
  readonly action: 'unchanged' | 'install' | 'tell' | 'absent';
  readonly reasons: readonly string[];
}

const INSTALL_WORDS: Readonly<Record<ShownInstall['action'], string>> = {
  unchanged: 'unchanged',
  install: 'install',
  tell: 'tell again',
  absent: 'by hand',
};

/** Who is given certificates, and what is new about them. */
export function installTable(rows: readonly ShownInstall[], colors: Colors): string {
  const painted = ({ action }: ShownInstall) =>
    action === 'unchanged' ? colors.dim(INSTALL_WORDS[action]) : colors.bold(INSTALL_WORDS[action]);
  return renderTable(
    ['NODE', 'HOST', 'ACTION', 'WHY'],
    rows.flatMap((row) => {
      const [first = '', ...more] = row.reasons.map((reason) => printable(reason, TEXT_MAX));
      return [[row.node, row.host, painted(row), first], ...more.map((reason) => ['', '', '', reason])];
    }),
  );
}

function shortList(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_MAX).map((name) => printable(name, TEXT_MAX));
  return `${shown.join(', ')}${names.length > NAMES_MAX ? ` +${names.length - NAMES_MAX}` : ''}`;
}
