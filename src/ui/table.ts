/** Plain tables: columns aligned with spaces, so that the output is readable and can be cut by awk. */
import { stripColors } from './colors.js';

export interface Column {
  title: string;
  align?: 'left' | 'right';
}

/** Space between two columns. */
const GAP = '  ';

/** Characters that the text takes on a terminal, colours not counted. */
export function displayWidth(text: string): number {
  return [...stripColors(text)].length;
}

function pad(text: string, width: number, align: Column['align']): string {
  const space = ' '.repeat(Math.max(0, width - displayWidth(text)));
  return align === 'right' ? space + text : text + space;
}

/**
 * The table as text without a final line end: a line of titles, then one line per row. Cells may hold colours but no
 * line ends; a row with fewer cells than columns is filled up.
 */
export function renderTable(columns: readonly (Column | string)[], rows: readonly (readonly unknown[])[]): string {
  const heads = columns.map((column) => (typeof column === 'string' ? { title: column } : column));
  const cells = rows.map((row) => heads.map((_, index) => String(row[index] ?? '')));
  const widths = heads.map((head, index) =>
    cells.reduce((width, row) => Math.max(width, displayWidth(row[index] ?? '')), displayWidth(head.title)),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, index) => pad(cell, widths[index] ?? 0, heads[index]?.align))
      .join(GAP)
      .trimEnd();
  return [line(heads.map((head) => head.title)), ...cells.map(line)].join('\n');
}
