/** What `forge load` shows. */
import { renderTable } from './table.js';

export interface ShownSecond {
  readonly second: number;
  readonly operations: number;
  readonly errors: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

export interface ShownRun {
  readonly target?: number;
  readonly rate: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly wrong: number;
  readonly latency: { readonly p50: number; readonly p99: number; readonly p999: number; readonly max: number };
  readonly ownPauseMs: number;
}

const whole = (value: number) => Math.round(value).toLocaleString('en-GB');
const ms = (value: number) => (value >= 100 ? value.toFixed(0) : value.toFixed(2));

/** One line a second. */
export function loadLine({ second, operations, errors, p50, p99, p999 }: ShownSecond, rate?: number): string {
  const of = rate === undefined ? '' : ` of ${whole(rate)}`;
  const failed = errors === 0 ? '' : `  ${whole(errors)} errors`;
  return `${String(second).padStart(4)} s  ${whole(operations)}${of} ops/s  p50 ${ms(p50)}  p99 ${ms(p99)}  p99.9 ${ms(p999)} ms${failed}`;
}

/** One row a run. */
export function loadTable(runs: readonly ShownRun[]): string {
  const right = (title: string) => ({ title, align: 'right' as const });
  const columns = ['TARGET', 'OPS/S', 'P50', 'P99', 'P99.9', 'MAX', 'ERRORS', 'WRONG'].map(right);
  const rows = runs.map(({ target, rate, errors, wrong, latency }) => [
    target === undefined ? 'all' : whole(target),
    whole(rate),
    ...[latency.p50, latency.p99, latency.p999, latency.max].map((value) => `${ms(value)} ms`),
    Object.entries(errors)
      .map(([kind, count]) => `${whole(count)} ${kind}`)
      .join(', ') || '0',
    whole(wrong),
  ]);
  return renderTable(columns, rows);
}
