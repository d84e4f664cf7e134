/** What `forge drill` shows: what it is about to do, and in the end numbers with their bounds, and a timeline. Pure. */
import type { Colors } from './colors.js';
import { printable } from './printable.js';
import { renderTable } from './table.js';

export interface ShownSecond {
  readonly operations: number;
  readonly errors: number;
  /** Milliseconds. */
  readonly p99: number;
}

export interface ShownClients {
  readonly endpoint: string;
  readonly durationMs: number;
  readonly operations: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly errorExamples: Readonly<Record<string, string>>;
  readonly examples: readonly {
    readonly kind: string;
    readonly key: string;
    readonly detail: string;
    readonly count: number;
  }[];
  readonly longestPause: { readonly client: string; readonly ms: number; readonly untilMs: number };
  readonly seconds: readonly ShownSecond[];
  readonly ownPauseMs: number;
}

export interface ShownDrill {
  readonly name: string;
  readonly events: readonly { readonly atMs: number; readonly text: string }[];
  readonly clients: ShownClients;
  readonly beside?: ShownClients;
  readonly verdict: {
    readonly passed: boolean;
    readonly lines: readonly {
      readonly what: string;
      readonly value: number;
      readonly unit: string;
      readonly bound?: number;
      readonly least?: true;
      readonly holds: boolean;
    }[];
  };
}

export interface ShownRehearsal {
  readonly name: string;
  readonly does: readonly string[];
  readonly clients: string;
  readonly undo: string;
}

const BARS = '▁▂▃▄▅▆▇█';
const NOTHING = '·';
const MARKS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
const LABEL_WIDTH = 8;
const COLUMNS_MIN = 20;
const EXAMPLES_SHOWN = 10;
const KINDS_SHOWN = 10;
const TEXT_MAX = 160;
/** A process that stood still for longer itself proves nothing about pauses below that. */
const OWN_PAUSE_MS = 100;

const whole = (value: number) => Math.round(value).toLocaleString('en-GB');
const seconds = (ms: number) => (ms / 1_000).toFixed(1);

/** Before anybody is asked. */
export function rehearsalLines({ name, does, clients, undo }: ShownRehearsal, where: string): string[] {
  return [
    `Drill: ${name}, at ${where}`,
    ...does.map((line, index) => `  ${index + 1}. ${line}`),
    `  Clients may see: ${clients}.`,
    `  To undo it: ${undo}`,
  ];
}

/** While it runs. */
export const eventLine = ({ atMs, text }: ShownDrill['events'][number]): string =>
  `${seconds(atMs).padStart(7)} s  ${printable(text, TEXT_MAX)}`;

/** The whole report. @param columns of the terminal */
export function drillLines(report: ShownDrill, columns: number, colors: Colors): string[] {
  const { clients, beside, verdict } = report;
  const { ownPauseMs, longestPause } = clients;
  return [
    verdictTable(report, colors),
    '',
    ...timelineLines(report, columns),
    '',
    ...(longestPause.ms > 0
      ? [
          `The longest pause: ${longestPause.client}, until ${seconds(longestPause.untilMs)} s${beside === undefined ? '' : `; of a client that knows the cluster ${whole(beside.longestPause.ms)} ms`}.`,
        ]
      : []),
    ...errorLines(clients),
    ...exampleLines(clients),
    ...(ownPauseMs >= OWN_PAUSE_MS
      ? [
          `This program itself stood still for ${whole(ownPauseMs)} ms at worst: what is not longer is no fault of the cluster.`,
        ]
      : []),
    verdict.passed ? colors.green(`Passed: ${report.name}.`) : colors.red(`Failed: ${report.name}.`),
  ];
}

function verdictTable({ verdict }: ShownDrill, colors: Colors): string {
  const rows = verdict.lines.map(({ what, value, unit, bound, least, holds }) => {
    const of = (number: number) => `${whole(number)}${unit === '' ? '' : ` ${unit}`}`;
    const mark = holds ? colors.green('holds') : colors.red('FAILS');
    return [mark, what, of(value), bound === undefined ? '-' : `${least ? '≥' : '≤'} ${of(bound)}`];
  });
  const right = (title: string) => ({ title, align: 'right' as const });
  return renderTable(['RESULT', 'NUMBER', right('VALUE'), right('BOUND')], rows);
}

/**
 * Operations, the slowest 1 % and errors by second, with the moments at which something happened: one character a
 * second, or for several where the terminal is too narrow.
 */
export function timelineLines({ clients, events }: ShownDrill, columns: number): string[] {
  const room = Math.max(COLUMNS_MIN, columns - LABEL_WIDTH - 1);
  const measured = clients.seconds.slice(0, Math.max(1, Math.floor(clients.durationMs / 1_000)));
  const each = Math.max(1, Math.ceil(measured.length / room));
  const cells = Array.from({ length: Math.ceil(measured.length / each) }, (_, index) =>
    measured.slice(index * each, (index + 1) * each),
  );
  const rates = cells.map((cell) => sumOf(cell, ({ operations }) => operations) / cell.length);
  const worst = cells.map((cell) => Math.max(0, ...cell.map(({ p99 }) => p99)));
  const failed = cells.map((cell) => sumOf(cell, ({ errors }) => errors));
  const marks = Array.from({ length: cells.length }, () => ' ');
  for (const [index, { atMs }] of events.entries()) {
    const cell = Math.min(cells.length - 1, Math.floor(atMs / 1_000 / each));
    if (marks[cell] === ' ') marks[cell] = markOf(index);
  }
  const row = (label: string, text: string) => `${label.padEnd(LABEL_WIDTH)} ${text}`.trimEnd();
  return [
    row('ops/s', `${bars(rates)}`),
    row('p99', bars(worst.map((ms) => Math.log10(1 + ms)))),
    row('errors', failed.map((count) => (count === 0 ? NOTHING : count > 9 ? '+' : String(count))).join('')),
    row('', marks.join('')),
    row(
      '',
      `${each === 1 ? 'one character a second' : `one character for ${each} seconds`}; at most ${whole(Math.max(0, ...rates))} ops/s, p99 ${worstOf(worst)} ms`,
    ),
    ...events.map((event, index) => `${markOf(index)} ${eventLine(event)}`),
  ];
}

const markOf = (index: number) => MARKS[index] ?? '*';
const worstOf = (values: readonly number[]) => {
  const worst = Math.max(0, ...values);
  return worst >= 100 ? whole(worst) : worst.toFixed(1);
};

function sumOf(cell: readonly ShownSecond[], pick: (second: ShownSecond) => number): number {
  return cell.reduce((sum, second) => sum + pick(second), 0);
}

function bars(values: readonly number[]): string {
  const highest = Math.max(0, ...values);
  return values
    .map((value) => {
      if (value <= 0 || highest <= 0) return NOTHING;
      return BARS[Math.min(BARS.length - 1, Math.floor((value / highest) * (BARS.length - 1) + 0.5))];
    })
    .join('');
}

function errorLines({ errors, errorExamples }: ShownClients): string[] {
  const kinds = Object.entries(errors).sort(([, left], [, right]) => right - left);
  const lines = kinds.slice(0, KINDS_SHOWN).map(([kind, count]) => {
    return `  ${whole(count)} × ${printable(kind)}: ${printable(errorExamples[kind] ?? '', TEXT_MAX)}`;
  });
  return lines.length === 0 ? [] : ['Errors by kind, with one of each:', ...lines, ...moreThan(kinds, KINDS_SHOWN)];
}

function exampleLines({ examples }: ShownClients): string[] {
  const lines = examples
    .slice(0, EXAMPLES_SHOWN)
    .map(
      ({ kind, key, detail, count }) =>
        `  ${whole(count)} × ${kind}: ${printable(key)}: ${printable(detail, TEXT_MAX)}`,
    );
  return lines.length === 0 ? [] : ['The checkers found:', ...lines, ...moreThan(examples, EXAMPLES_SHOWN)];
}

const moreThan = (items: readonly unknown[], shown: number) =>
  items.length > shown ? [`  and ${items.length - shown} more (--json has all)`] : [];
