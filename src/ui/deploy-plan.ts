/** What a deployment is about to do, as a table. */
import type { Colors } from './colors.js';
import { renderTable } from './table.js';

export interface DeployRow {
  readonly node: string;
  readonly host: string;
  readonly action: 'unchanged' | 'create' | 'start' | 'live' | 'replace';
  /** It is done one after the other, by planned failovers. */
  readonly rolling: boolean;
  readonly reasons: readonly string[];
}

const WORDS: Readonly<Record<DeployRow['action'], string>> = {
  unchanged: 'unchanged',
  create: 'create',
  start: 'start',
  live: 'set live',
  replace: 'replace',
};

export function deployTable(rows: readonly DeployRow[], colors: Colors): string {
  const word = ({ action, rolling }: DeployRow) => `${WORDS[action]}${rolling ? ', rolling' : ''}`;
  const shown = (row: DeployRow) => (row.action === 'unchanged' ? colors.dim(word(row)) : colors.bold(word(row)));
  return renderTable(
    ['NODE', 'HOST', 'ACTION', 'WHY'],
    rows.flatMap((row) => {
      const [first = '', ...more] = row.reasons;
      return [[row.node, row.host, shown(row), first], ...more.map((reason) => ['', '', '', reason])];
    }),
  );
}
