/**
 * What all drills of the matrix share: the clients, the bounds, the seed, and where the reports go. A file of test/drills makes one
 * Matrix for its stand; `npm run test:drills` runs them one after the other.
 */
import os from 'node:os';
import { expect } from 'vitest';
import type { WorkloadOptions } from '../../../src/drills/checking-workload.js';
import { type DrillOptions, type DrillReport, runDrill } from '../../../src/drills/drill.js';
import type { Endpoint } from '../../../src/drills/link/link.js';
import type { Bounds } from '../../../src/drills/verdict.js';
import { saveReports } from './reports.js';
import { seeded } from './seeded.js';

/** How long a stand may take to start or to end, and a drill. */
export const START_MS = 60_000;
export const DRILL_MS = 180_000;

/** `cluster-node-timeout` of forge up. */
export const NODE_TIMEOUT_MS = 2_000;

/** Enough to meet every shard all the time, with time left for a client beside it at the same work. */
export const WORKLOAD: WorkloadOptions = {
  registers: 6,
  counters: 6,
  logs: 3,
  pairs: 3,
  channels: 6,
  queues: 3,
  readers: 3,
  pauseMs: 5,
};

/** Nobody notices but a pause. */
export const PLANNED: Bounds = { errors: 0, losses: 0, longestPauseMs: 1_000 };

/** Errors of writes in flight, and what asynchronous replication may lose. */
export const SUDDEN: Bounds = { longestPauseMs: NODE_TIMEOUT_MS + 2_000, pauseBeyondMs: 300 };

/** The same after `WAIT 1`: nothing that was acknowledged may be lost. */
export const SUDDEN_WITH_WAIT: Bounds = { ...SUDDEN, losses: 0 };

/** FORGE_SEED repeats a run; a new one is taken, and printed, when it is not given. */
export const SEED = Number(process.env.FORGE_SEED ?? Math.floor(Math.random() * 1e9));

/** What to choose by: numbers in [0, 1), the same ones for the same seed and name. */
export const chance = (name: string): (() => number) => seeded(SEED, name);

/** What a drill happens to. */
export interface Stand {
  readonly endpoint: Endpoint;
  beside(): Promise<Endpoint>;
  whole(): Promise<void>;
}

/**
 * Whoever measures must not stand still longer than this itself: then a time that is too long says nothing, and is measured again.
 * On two cores of one's own it is below 0.2 s.
 */
const OWN_PAUSE_MAX_MS = 300;
const MEASURED_MAX = 3;

export type MatrixDrill = Pick<DrillOptions, 'name' | 'disturb' | 'bounds'> &
  Partial<Pick<DrillOptions, 'workload' | 'recover' | 'beside'>> & {
    /** It can be done again when the measurement is void: everything is as before then. */
    readonly again?: true;
  };

/** Only times are too long, and whoever took them stood still meanwhile. */
function isVoid({ verdict, clients }: DrillReport): boolean {
  const failed = verdict.lines.filter(({ holds }) => !holds);
  return failed.length > 0 && failed.every(({ unit }) => unit === 'ms') && clients.ownPauseMs > OWN_PAUSE_MAX_MS;
}

export class Matrix {
  readonly #file: string;
  readonly #beside: string;
  readonly #reports: DrillReport[] = [];

  /**
   * @param file the name of its file among the reports, without an ending
   * @param beside who is at the same work, in the words of a reader
   */
  constructor(file: string, beside = 'Cluster-aware client') {
    this.#file = file;
    this.#beside = beside;
    console.log(`FORGE_SEED=${SEED}`);
  }

  /** Runs it, keeps its report, and fails with what was found when a bound does not hold. */
  async drill(stand: Stand, { again, ...options }: MatrixDrill): Promise<DrillReport> {
    const run = async () =>
      runDrill({
        endpoint: stand.endpoint,
        beside: await stand.beside(),
        workload: WORKLOAD,
        recover: () => stand.whole(),
        signal: new AbortController().signal,
        ...options,
      });
    let report = await run();
    for (let runs = 1; runs < MEASURED_MAX && again && isVoid(report); runs++) {
      console.log(`${options.name}: measured again, as this process stood still for ${report.clients.ownPauseMs} ms`);
      report = await run();
    }
    this.#reports.push(report);
    const { verdict, clients, events, beside } = report;
    const { errors, errorExamples, findings, examples, longestPause, ownPauseMs } = clients;
    const seen = { seed: SEED, verdict, events, errors, errorExamples, findings, examples, longestPause, ownPauseMs };
    const other = beside && { errors: beside.errors, findings: beside.findings, longestPause: beside.longestPause };
    expect(verdict.passed, JSON.stringify({ ...seen, beside: other }, undefined, 1)).toBe(true);
    return report;
  }

  /** Writes the reports. */
  async save(): Promise<void> {
    const about = { cores: os.availableParallelism(), system: `${os.type()} ${os.release()}`, node: process.version };
    const at = new Date().toISOString();
    await saveReports(this.#file, { seed: SEED, at, about, beside: this.#beside, reports: this.#reports });
  }
}
