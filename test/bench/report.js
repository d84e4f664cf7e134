// The figures as Markdown. Pure.
import { BLOCKED_CASE } from './blocked.js';
import { CASES } from './throughput.js';
import { TLS_CASE } from './tls.js';
import { verdicts } from './verdicts.js';

function table(heads, rows, right = 1) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const rule = heads.map((_, index) => (index < right ? '---' : '---:'));
  return [line(heads), line(rule), ...rows.map(line)].join('\n');
}

const number = (value, digits) => (value === undefined ? '–' : value.toFixed(digits));
const thousands = (value) => Math.round(value).toLocaleString('en-US');

/**
 * The whole document.
 * @param results what run.js collected
 * @param {{ machine: object, command: string, rounds: number, date: string, paced: { ratePerSecond: number, seconds: number } }} run
 */
export function renderReport(results, run) {
  return [
    '# Benchmarks',
    intro(run),
    '## Bounds and figures',
    table(
      ['What', 'Bound', 'Measured', 'Verdict'],
      verdicts(results).map(({ what, bound, measured, holds }) => [
        what,
        bound,
        measured,
        holds ? 'holds' : '**missed**',
      ]),
    ),
    ...throughputPart(results),
    ...pacedPart(results, run),
    ...blockedPart(results),
    ...workersPart(results),
    ...tlsPart(results),
    ...memoryPart(results),
    ...pubsubPart(results),
    ...startPart(results),
    '## Machine',
    table(['', ''], Object.entries(run.machine), 2),
    '',
  ]
    .join('\n\n')
    .replace(/\n+$/, '\n');
}

function intro({ command, rounds, date }) {
  return [
    `Taken in one run on ${date}, on the machine below, medians of ${rounds} interleaved rounds. To repeat it:`,
    '',
    '```sh',
    // Where an extra endpoint ran is nobody's business but this run's.
    command.replace(/(--endpoint \S+?=)\d+:\d+/g, '$1PORT:PID'),
    '```',
    '',
    'Every endpoint has one thread and the same load on the same machine at the same time. `forge` is the proxy with one',
    'worker before a Redis Cluster of three masters. `nutcracker` (Debian, default settings, connections made beforehand)',
    'stands before three independent servers, as it knows no cluster. `direct` is no proxy at all: redis-benchmark in its',
    'cluster mode, which talks to the three masters itself and uses a thread for each, so its throughput is that of a',
    'client which knows the cluster, with more threads than the other loads have. Ratios say more than absolute figures:',
    'the load generator and the servers share the cores with what is measured. MGET alone is also measured with the proxy',
    'in sharded mode before the servers that nutcracker has (`forge sharded`), like with like: a Redis Cluster takes a',
    'command for each of the 970 or so slots of 1,000 keys, three servers take three. `forge service` is the proxy with a',
    'user who may not do everything, statistics of every command, histograms, the slow log and hot keys.',
  ].join('\n');
}

function throughputPart({ throughput }) {
  if (!throughput) return [];
  const rows = throughput.map((record) => {
    const peer = throughput.find(
      (other) => other.case === record.case && other.command === record.command && other.endpoint === 'nutcracker',
    );
    const ratio = record.cpuUs && peer?.cpuUs ? record.cpuUs / peer.cpuUs : undefined;
    return [
      `${record.case} ${record.command}`,
      record.endpoint,
      number(record.cpuUs, 2),
      number(ratio, 2),
      number(record.backendUs, 2),
      thousands(record.perSecond),
      number(record.p50Ms, 2),
      number(record.p99Ms, 2),
    ];
  });
  const cases = CASES.map(({ name, pipeline, clients }) => `${name}: pipeline ${pipeline}, ${clients} clients`);
  return [
    '## As fast as it goes',
    `redis-benchmark, 64-byte values, 100,000 keys; ${cases.join('; ')}. Processor time is user and system time of the endpoint's process with all its threads, from /proc, per command. Every endpoint has had 500,000 commands before, uncounted.`,
    table(['Load', 'Endpoint', 'CPU µs', '÷ nutcracker', 'Redis CPU µs', 'Commands/s', 'p50 ms', 'p99 ms'], rows, 2),
  ];
}

function pacedPart({ paced }, run) {
  if (!paced) return [];
  const { ratePerSecond, seconds } = run.paced;
  return [
    `## At ${thousands(ratePerSecond)} requests a second`,
    `A constant rate over 50 connections for ${seconds} s (GET and SET in turns), sent whether or not earlier replies have come. Latency counts from the moment when a request was due, so a stall is charged to every request that it delays. The generator sleeps up to 0.1 ms between commands, so as not to take a core from what is measured; that blurs every latency by as much. The last column is how late the generator itself sent.`,
    table(
      ['Endpoint', 'p50 ms', 'p99 ms', 'p99.9 ms', 'max ms', 'generator p99 ms'],
      paced.map((record) => [
        record.endpoint,
        ...[record.p50Ms, record.p99Ms, record.p999Ms, record.maxMs, record.sendLagP99Ms].map((ms) => number(ms, 3)),
      ]),
    ),
  ];
}

function workersPart({ workers }) {
  if (!workers) return [];
  return [
    '## Two workers',
    'GET in pipelines of 16 over 50 connections, through a proxy with one worker and one with two, in turns. The spread is how far the worker with the most connections, or the fewest, is from an even part of 200.',
    table(
      ['Workers', 'CPU µs', 'Commands/s', 'spread'],
      workers.map((record) => [
        record.endpoint,
        number(record.cpuUs, 3),
        thousands(record.perSecond),
        record.spread === undefined ? '–' : `${Math.round(record.spread * 100)} %`,
      ]),
    ),
  ];
}

function tlsPart({ tls }) {
  if (!tls) return [];
  const { pipeline, clients } = TLS_CASE;
  return [
    '## TLS',
    `Pipeline ${pipeline}, ${clients} clients, 64-byte values; TLS 1.3. HAProxy has one thread and one redis-server behind it, to which it speaks TCP; it passes bytes on. \`forge service\` does what it does elsewhere on this page, before the cluster of three masters.`,
    table(
      ['Command', 'Endpoint', 'CPU µs', 'Commands/s', 'p50 ms', 'p99 ms'],
      tls.map((record) => [
        record.command,
        record.endpoint,
        number(record.cpuUs, 2),
        thousands(record.perSecond),
        number(record.p50Ms, 2),
        number(record.p99Ms, 2),
      ]),
      2,
    ),
  ];
}

function blockedPart({ blocked }) {
  if (!blocked) return [];
  const { pipeline, clients, requests } = BLOCKED_CASE;
  return [
    '## Beside clients that block',
    `GET in pipelines of ${pipeline} by ${clients} clients (redis-benchmark, ${thousands(requests)} commands a run), without and with clients that wait in BLPOP, in turns. The blocked clients come before and leave after what is measured. Processor time is the proxy's.`,
    table(
      ['Blocked clients', 'CPU µs per GET', 'Commands/s', 'p99 ms'],
      blocked.map((record) => [
        thousands(record.blocked),
        number(record.cpuUs, 3),
        thousands(record.perSecond),
        number(record.p99Ms, 2),
      ]),
    ),
  ];
}

function memoryPart({ memory }) {
  if (!memory) return [];
  return [
    '## Memory',
    'Resident memory of a fresh process (MiB and KiB: 2²⁰ and 2¹⁰ bytes). Every client has asked once and then stays idle.',
    table(
      ['Endpoint', 'idle MiB', 'KiB per client', 'at clients', 'clients at once', 'answered', 'MiB then'],
      memory.map((record) => [
        record.endpoint,
        number(record.idleBytes / 2 ** 20, 1),
        number(record.bytesPerClient / 2 ** 10, 1),
        thousands(record.clients),
        thousands(record.manyClients),
        thousands(record.answered),
        number(record.manyBytes / 2 ** 20, 1),
      ]),
    ),
  ];
}

function pubsubPart({ pubsub }) {
  if (!pubsub) return [];
  const [{ subscribers }] = pubsub;
  return [
    '## Pub/sub',
    `One publisher, ${thousands(subscribers)} subscribers of one channel, 64-byte messages; the next one is published when fewer than so many are still on their way to somebody. Processor time is the endpoint's own.`,
    table(
      ['On their way', 'Endpoint', 'Deliveries/s', 'CPU µs each'],
      pubsub.map((record) => [record.case, record.endpoint, thousands(record.perSecond), number(record.cpuUs, 2)]),
      2,
    ),
  ];
}

function startPart({ version, up }) {
  if (!version && !up) return [];
  const rows = [
    ...(version
      ? [
          ['node -e 0', `${number(version.nodeMs, 0)} ms`],
          ['forge --version', `${number(version.forgeMs, 0)} ms`],
        ]
      : []),
    ...(up
      ? [
          ['forge up --smoke-test, from nothing', `${number(up.firstMs / 1e3, 1)} s`],
          ['forge up, when it is up', `${number(up.secondMs / 1e3, 1)} s`],
        ]
      : []),
  ];
  return ['## Starting', table(['', 'Time'], rows)];
}
