/** A report as tables of words, for whoever draws them. Pure. */
import type { TopReport } from './report.js';
import type { RecentTimes } from './sample.js';

export interface TopTable {
  columns: { title: string; align?: 'left' | 'right' }[];
  rows: string[][];
  /** Rows that were left out. */
  hidden: number;
}

const right = (title: string) => ({ title, align: 'right' as const });

/** A rate in four characters or so: `0`, `0.25`, `8.3`, `950`, `31.2k`, `1.25M`. */
export function rate(perSecond: number): string {
  if (perSecond === 0) return '0';
  for (const [factor, sign] of [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const) {
    // 999,950 would be shown as 1000.0k.
    if (perSecond >= factor * 0.9995) return `${digits(perSecond / factor)}${sign}`;
  }
  return digits(perSecond);
}

/** Three digits that count. */
function digits(value: number): string {
  if (value >= 99.95) return value.toFixed(0);
  if (value >= 9.995) return value.toFixed(1);
  return value.toFixed(2);
}

/** Milliseconds, as finely as they matter; `-` when there were none. */
export function milliseconds(value: number | null): string {
  return value === null ? '-' : digits(value);
}

function times({ p50Ms, p99Ms }: RecentTimes): [string, string] {
  return [milliseconds(p50Ms), milliseconds(p99Ms)];
}

/** @param rowsMax rows of each table */
export function commandTable({ commands, clients, seconds }: TopReport, rowsMax: number): TopTable {
  const known = seconds > 0;
  const shown = commands.slice(0, rowsMax);
  return {
    columns: [{ title: 'COMMAND' }, ...['RATE/S', 'SHARE', 'ERRORS/S', 'P50 MS', 'P99 MS', 'TOTAL'].map(right)],
    rows: shown.map((each) => [
      each.command,
      known ? rate(each.perSecond) : '-',
      known && clients.perSecond > 0 ? `${Math.round((100 * each.perSecond) / clients.perSecond)}%` : '-',
      known ? rate(each.errorsPerSecond) : '-',
      ...times(each),
      String(each.total),
    ]),
    hidden: commands.length - shown.length,
  };
}

/** The clusters, and below each its nodes. */
export function upstreamTable({ upstreams, seconds }: TopReport, rowsMax: number): TopTable {
  const known = seconds > 0;
  const rows: string[][] = [];
  let hidden = 0;
  for (const each of upstreams) {
    rows.push([
      each.cluster,
      known ? rate(each.perSecond) : '-',
      known ? rate(each.errorsPerSecond + each.failuresPerSecond) : '-',
      known ? rate(each.retriesPerSecond) : '-',
      ...times(each),
      String(each.connections),
      String(each.hosts.reduce((sum, host) => sum + host.inFlight, 0)),
      String(each.waiting),
      each.lastError === '' ? each.type : each.lastError,
    ]);
    const shown = each.hosts.slice(0, rowsMax);
    hidden += each.hosts.length - shown.length;
    for (const { address, role, connections, inFlight, waiting, health } of shown) {
      const state = health === 'healthy' ? role : `${role} ${health}`;
      rows.push([`  ${address}`, '', '', '', '', '', ...[connections, inFlight, waiting].map(String), state]);
    }
  }
  return {
    columns: [
      { title: 'UPSTREAM' },
      ...['RATE/S', 'ERRORS/S', 'RETRIES/S', 'P50 MS', 'P99 MS', 'CONN', 'FLIGHT', 'WAIT'].map(right),
      { title: 'STATE' },
    ],
    rows,
    hidden,
  };
}

export function hotKeyTable(hotKeys: TopReport['hotKeys']): TopTable {
  return {
    columns: [right('RATE/S'), right('+-'), right('WRITES/S'), { title: 'KEY' }],
    rows: hotKeys.map((each) => [rate(each.perSecond), rate(each.error), rate(each.writesPerSecond), each.key]),
    hidden: 0,
  };
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

/** Decimal units, as networks are measured. */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? Math.round(value) : digits(value)} ${UNITS[unit]}`;
}

export function duration(seconds: number): string {
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [Math.floor(seconds) % 60, 's'],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return '0 s';
  return parts
    .slice(first, first + 2)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ');
}

/** What there is to say of the whole, in two lines. */
export function headLines({ version, pid, state, uptimeS, memoryBytes, clients, seconds }: TopReport): string[] {
  const known = seconds > 0;
  const [p50, p99] = times(clients);
  const process = pid === null ? '' : `  process ${pid}`;
  return [
    `forge-proxy ${version}  ${state}${process}  up ${duration(uptimeS)}  memory ${bytes(memoryBytes)}`,
    `clients ${clients.connections}  in flight ${clients.inFlight}  commands/s ${known ? rate(clients.perSecond) : '-'}` +
      `  p50 ${p50} ms  p99 ${p99} ms` +
      `  in ${known ? bytes(clients.receivedBytesPerSecond) : '-'}/s  out ${known ? bytes(clients.sentBytesPerSecond) : '-'}/s`,
  ];
}
