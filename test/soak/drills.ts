/**
 * npm run soak -- --drills: a quarter of an hour of drills in an order by a seed, with one workload over all of it. Says whether
 * anybody was told something wrong, whether more was lost than may be, and whether the proxy holds in the end what it held in
 * the beginning.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Workload, type WorkloadReport } from '../../src/drills/checking-workload.js';
import { DrillStand } from '../support/drill-stand.js';
import { seeded } from '../support/drills/seeded.js';
import { ACTIONS } from './actions.js';
import { type Footprint, footprintOf } from './footprint.js';

const WORKLOAD = { registers: 6, counters: 6, logs: 3, pairs: 3, channels: 6, queues: 3, readers: 3, pauseMs: 5 };
/** Before the first drill: caches, connections and compiled code are there then. */
const WARM_UP_MS = 30_000;
const SAMPLES = 10;
const SAMPLE_MS = 500;
const CALM_MIN_MS = 1_000;
const CALM_MAX_MS = 4_000;
/** After the last drill, until a process that an upgrade has replaced is gone, and all is as it was. */
const RETURN_MS = 120_000;
/** What was acknowledged so long before a sudden failure may be lost, as replicas follow asynchronously. */
const BEFORE_MS = 1_000;
/** Connections that one client has for itself come and go. */
const FILES_MORE_MAX = 8;
const UPSTREAMS_MORE_MAX = 4;
/** The collector of garbage runs when it likes. */
const MEMORY_MORE_MAX = 1.5;
const KINDS_SHOWN_MAX = 20;

export interface Line {
  readonly what: string;
  readonly value: string;
  readonly bound: string;
  readonly holds: boolean;
}

interface Happening {
  readonly name: string;
  readonly detail: string;
  readonly sudden: boolean;
  /** Milliseconds from the beginning of the workload on: when it began, and when the cluster was whole again. */
  readonly fromMs: number;
  readonly toMs: number;
}

export interface DrillSoak {
  readonly seed: number;
  readonly minutes: number;
  readonly happenings: readonly Happening[];
  readonly before: Footprint;
  readonly after: Footprint;
  readonly workload: WorkloadReport;
  readonly lines: readonly Line[];
  readonly holds: boolean;
}

export interface SoakOptions {
  readonly seed: number;
  readonly minutes: number;
  /** Told each step. */
  readonly log: (line: string) => void;
  /** What is to be done before this process may end; whoever ends it sees to that. */
  readonly cleanUps: Set<() => Promise<void>>;
}

export async function soakDrills({ seed, minutes, log, cleanUps }: SoakOptions): Promise<DrillSoak> {
  const stand = await DrillStand.start();
  const stop = async () => {
    cleanUps.delete(stop);
    await stand.stop();
  };
  cleanUps.add(stop);
  try {
    const spare = await stand.startServers(2);
    const workload = await Workload.start(stand.endpoint, WORKLOAD);
    const pids = new Set<number>();
    const look = async () => {
      const { proxy } = await stand.status();
      pids.add(proxy.pid);
      return await footprintOf(proxy.pid, proxy.admin.port);
    };
    await sleep(WARM_UP_MS);
    const before = await most(look);
    log(`before: ${words(before)}`);
    const since = () => performance.now() - workload.startedMs;
    const endMs = since() + minutes * 60_000;
    const happenings: Happening[] = [];
    for (let number = 0; since() < endMs; number++) {
      // All numbers of a drill are its own: how long the ones before it took changes nothing.
      const random = seeded(seed, `drill ${number}`);
      const action = ACTIONS[Math.floor(random() * ACTIONS.length)] as (typeof ACTIONS)[number];
      await sleep(CALM_MIN_MS + random() * (CALM_MAX_MS - CALM_MIN_MS));
      const fromMs = since();
      const detail = await action.run({ stand, spare, random });
      await stand.whole();
      const { name, sudden } = action;
      happenings.push({ name, sudden, detail, fromMs, toMs: since() });
      const { pid } = await look();
      log(
        `${Math.round(fromMs / 1_000)} s: ${name} ${detail}, ${((since() - fromMs) / 1_000).toFixed(1)} s, proxy ${pid}`,
      );
    }
    const after = await returned(look, before, pids);
    log(`after: ${words(after)}`);
    const report = await workload.stop();
    const left = [...pids].filter((pid) => pid !== after.pid && isThere(pid));
    const lines = judgeSoak({ before, after, happenings, report, left });
    return {
      seed,
      minutes,
      happenings,
      before,
      after,
      workload: report,
      lines,
      holds: lines.every(({ holds }) => holds),
    };
  } finally {
    if (cleanUps.has(stop)) await stop();
  }
}

/** The most of each, over a few looks. */
async function most(look: () => Promise<Footprint>): Promise<Footprint> {
  let found = await look();
  for (let sample = 1; sample < SAMPLES; sample++) {
    await sleep(SAMPLE_MS);
    const { pid, bytes, files, upstreams } = await look();
    found = {
      pid,
      bytes: Math.max(found.bytes, bytes),
      files: Math.max(found.files, files),
      upstreams: Math.max(found.upstreams, upstreams),
    };
  }
  return found;
}

/** Looks until all is as it was, for as long as that may take. */
async function returned(look: () => Promise<Footprint>, before: Footprint, pids: Set<number>): Promise<Footprint> {
  const until = performance.now() + RETURN_MS;
  for (;;) {
    const now = await look();
    const gone = [...pids].every((pid) => pid === now.pid || !isThere(pid));
    const { bytes, files, upstreams } = excess(before, now);
    if ((gone && bytes && files && upstreams) || performance.now() > until) return now;
    await sleep(SAMPLE_MS);
  }
}

const excess = (before: Footprint, after: Footprint) => ({
  bytes: after.bytes <= before.bytes * MEMORY_MORE_MAX,
  files: after.files <= before.files + FILES_MORE_MAX,
  upstreams: after.upstreams <= before.upstreams + UPSTREAMS_MORE_MAX,
});

function judgeSoak(about: {
  readonly before: Footprint;
  readonly after: Footprint;
  readonly happenings: readonly Happening[];
  readonly report: WorkloadReport;
  readonly left: readonly number[];
}): Line[] {
  const { before, after, happenings, report, left } = about;
  const sudden = happenings.filter((each) => each.sudden);
  const may = (ms: number) => sudden.some(({ fromMs, toMs }) => ms > fromMs - BEFORE_MS && ms < toMs);
  const lost = report.storedLosses - report.lossTimes.filter(may).length;
  const missed = (report.findings['missed-message'] ?? 0) - report.missTimes.filter(may).length;
  // A second counts when any part of it belongs to a failure.
  const errors = report.seconds
    .filter(({ second }) => !may(second * 1_000) && !may((second + 1) * 1_000))
    .reduce((sum, each) => sum + each.errors, 0);
  const none = (what: string, value: number): Line => ({ what, value: String(value), bound: '0', holds: value === 0 });
  const { bytes, files, upstreams } = excess(before, after);
  return [
    none('wrong replies', report.wrong),
    none('lost, and not by a sudden failure', lost),
    none('messages missed, and not by a sudden failure', missed),
    none('errors outside of sudden failures', errors),
    none('keys not looked at in the end', report.unchecked),
    none('processes that upgrades have left', left.length),
    { what: 'memory', value: mib(after.bytes), bound: mib(before.bytes * MEMORY_MORE_MAX), holds: bytes },
    { what: 'open files', value: String(after.files), bound: String(before.files + FILES_MORE_MAX), holds: files },
    {
      what: 'connections to nodes',
      value: String(after.upstreams),
      bound: String(before.upstreams + UPSTREAMS_MORE_MAX),
      holds: upstreams,
    },
  ];
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const mib = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
const words = ({ bytes, files, upstreams }: Footprint) =>
  `${mib(bytes)}, ${files} open files, ${upstreams} connections to nodes`;

/** The lines of its report. */
export function describeSoak({ seed, minutes, happenings, workload, lines, holds }: DrillSoak): string[] {
  const counts = new Map<string, number>();
  for (const { name } of happenings) counts.set(name, (counts.get(name) ?? 0) + 1);
  const { operations, errors, errorExamples, findings, examples, longestPause, ownPauseMs } = workload;
  return [
    `seed ${seed}, ${minutes} minutes, ${happenings.length} drills, ${operations.toLocaleString('en')} operations`,
    ...[...counts].map(([name, count]) => `  ${name}: ${count}`),
    `longest pause ${Math.round(longestPause.ms)} ms (this process itself: ${Math.round(ownPauseMs)} ms)`,
    ...Object.entries(errors)
      .slice(0, KINDS_SHOWN_MAX)
      .map(([kind, count]) => `  ${count} × ${kind}: ${errorExamples[kind]}`),
    ...Object.entries(findings).map(([kind, count]) => `  found ${count} × ${kind}`),
    ...(holds
      ? []
      : examples.slice(0, KINDS_SHOWN_MAX).map(({ kind, key, detail }) => `    ${kind} ${key}: ${detail}`)),
    ...lines.map(
      ({ what, value, bound, holds: each }) => `${each ? 'ok  ' : 'FAIL'} ${what}: ${value} (bound ${bound})`,
    ),
    holds ? 'holds' : 'DOES NOT HOLD',
  ];
}
