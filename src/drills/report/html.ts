/** The report of a drill as one page that needs nothing else: no script, no font, no picture from elsewhere. Pure. */
import type { WorkloadReport } from '../checking-workload.js';
import type { DrillReport } from '../drill.js';
import type { Line } from '../verdict.js';
import { chart, markOf, type Series } from './chart.js';
import { escaped, figure, inSeconds } from './markup.js';
import { linearScale, logarithmicScale } from './scale.js';
import { STYLE } from './style.js';

const EXAMPLES_SHOWN = 50;
/** A process that stood still for longer itself proves nothing about pauses below that. */
const OWN_PAUSE_MS = 100;

export interface PageOptions {
  /** The cluster's name as its operator has it. */
  readonly cluster: string;
  /** The version of the program. */
  readonly version: string;
}

/** Whole seconds that were measured: the last one is there in part only. */
export function wholeSeconds({ seconds, durationMs }: Pick<WorkloadReport, 'seconds' | 'durationMs'>): number {
  return Math.max(1, Math.min(seconds.length, Math.floor(durationMs / 1_000)));
}

export function renderPage(report: DrillReport, { cluster, version }: PageOptions): string {
  const { name, startedAt, clients, beside, verdict, events } = report;
  const passed = verdict.passed ? 'passed' : 'failed';
  const title = `${name}: ${passed}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(`${title} (${cluster})`)}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>${escaped(name)} <span class="verdict ${passed}">${passed}</span></h1>
<p>The cluster ${escaped(cluster)}, ${escaped(startedAt)}. ${figure(clients.operations)} operations in ${inSeconds(clients.durationMs)} s at ${escaped(clients.endpoint)}${beside === undefined ? '' : `; beside it a client that knows the cluster: ${figure(beside.operations)}`}.</p>
</header>
<h2>Verdict</h2>
${table(
  ['', 'Number', 'Value', 'Bound'],
  verdict.lines.map((line) => [
    `<span class="${line.holds ? 'passed' : 'failed'}">${line.holds ? 'holds' : 'fails'}</span>`,
    escaped(line.what),
    `${figure(line.value)}${line.unit === '' ? '' : ` ${line.unit}`}`,
    boundOf(line),
  ]),
)}
<h2>Timeline</h2>
${timeline(report)}
${table(
  ['', 'Second', 'What happened'],
  events.map(({ atMs, text }, index) => [markOf(index), inSeconds(atMs), escaped(text)]),
)}
<h2>Clients</h2>
${clientsTable(report)}
${ownPause(clients)}
${errors(clients)}
${findings(clients)}
<footer>forge ${escaped(version)}</footer>
</body>
</html>
`;
}

function boundOf({ bound, least, unit }: Line): string {
  if (bound === undefined) return 'none';
  return `${least === true ? '≥' : '≤'} ${figure(bound)}${unit === '' ? '' : ` ${unit}`}`;
}

function timeline({ clients, beside, events }: DrillReport): string {
  const seconds = wholeSeconds(clients);
  const of = (report: WorkloadReport, pick: (second: WorkloadReport['seconds'][number]) => number) =>
    // The one beside it begins later: where it was not measured, nothing is drawn.
    Array.from({ length: Math.min(seconds, wholeSeconds(report)) }, (_, index) => {
      const second = report.seconds[index];
      return second === undefined ? 0 : pick(second);
    });
  const both = (shape: Series['shape'], pick: Parameters<typeof of>[1]): Series[] => [
    { name: 'through the endpoint', kind: 'clients', shape, values: of(clients, pick) },
    ...(beside === undefined
      ? []
      : [{ name: 'cluster-aware client', kind: 'beside' as const, shape: 'line' as const, values: of(beside, pick) }]),
  ];
  const common = { seconds, events };
  const operations = both('line', (second) => second.operations);
  const p99 = both('line', (second) => second.p99);
  const failed: Series[] = [
    { name: 'errors', kind: 'errors', shape: 'bars', values: of(clients, (second) => second.errors) },
  ];
  const all = (series: readonly Series[]) => series.flatMap(({ values }) => values);
  return [
    chart({
      ...common,
      ...{ title: 'Operations', unit: 'a second', height: 240, series: operations },
      scale: linearScale(Math.max(0, ...all(operations))),
    }),
    chart({
      ...common,
      ...{ title: '99 % of answers within', unit: 'ms', height: 200, series: p99 },
      scale: logarithmicScale(all(p99)),
    }),
    chart({
      ...common,
      ...{ title: 'Errors', unit: 'a second', height: 140, series: failed },
      scale: linearScale(Math.max(0, ...all(failed))),
    }),
  ].join('\n');
}

function clientsTable({ clients, beside }: DrillReport): string {
  const row = (name: string, { operations, durationMs, latency, longestPause, errors: kinds }: WorkloadReport) => [
    escaped(name),
    figure(operations / Math.max(0.001, durationMs / 1_000)),
    ...[latency.p50, latency.p99, latency.p999, latency.max].map((ms) => `${figure(ms)} ms`),
    `${figure(longestPause.ms)} ms (${escaped(longestPause.client || 'nobody')})`,
    figure(Object.values(kinds).reduce((sum, count) => sum + count, 0)),
  ];
  return table(
    ['', 'Operations/s', 'p50', 'p99', 'p99.9', 'Longest answer', 'Longest pause', 'Errors'],
    [row('through the endpoint', clients), ...(beside === undefined ? [] : [row('cluster-aware client', beside)])],
  );
}

function ownPause({ ownPauseMs }: WorkloadReport): string {
  if (ownPauseMs < OWN_PAUSE_MS) return '';
  return `<p class="remark">This program itself stood still for ${figure(ownPauseMs)} ms at worst: what is not longer is no fault of the cluster.</p>`;
}

function errors({ errors: kinds, errorExamples }: WorkloadReport): string {
  const rows = Object.entries(kinds).map(([kind, count]) => [
    escaped(kind),
    figure(count),
    escaped(errorExamples[kind] ?? ''),
  ]);
  return rows.length === 0 ? '' : `<h2>Errors</h2>\n${table(['Kind', 'Count', 'One of them'], rows)}`;
}

function findings({ examples }: WorkloadReport): string {
  if (examples.length === 0) return '';
  const rows = examples
    .slice(0, EXAMPLES_SHOWN)
    .map(({ kind, key, detail, count }) => [escaped(kind), figure(count), escaped(key), escaped(detail)]);
  const more = examples.length - EXAMPLES_SHOWN;
  return `<h2>What the checkers found</h2>\n${table(['Kind', 'Count', 'Key', 'What'], rows)}${more > 0 ? `<p>And ${more} more.</p>` : ''}`;
}

/** @param rows escaped already */
function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = columns.map((column) => `<th scope="col">${escaped(column)}</th>`).join('');
  const body = rows.map((row) => `<tr>${row.map((cell) => `<td>${cell}</td>`).join('')}</tr>`).join('\n');
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>\n${body}\n</tbody></table></div>`;
}
