import type { ProxyConfig } from '../../config/schema.js';
import type { Discovery } from '../discovery/discovery.js';
import type { LearnedCommands } from '../learned.js';
import type { LogLevel } from '../messages.js';
import type { OverloadManager } from '../overload.js';
import type { ReloadOutcome } from '../reload.js';
import type { Statistic } from '../statistics.js';
import type { Workers } from '../workers.js';
import { Resets } from './resets.js';

/** What the admin pages show and change. */
export interface AdminState {
  readonly config: ProxyConfig;
  /** Of each cluster, in the order of the configuration. Another list after a reload. */
  readonly topologies: readonly Discovery[];
  /** What the workers know each cluster by. */
  readonly numbers: readonly number[];
  readonly workers: Workers;
  readonly overload: OverloadManager;
  readonly learned: LearnedCommands;
  readonly version: string;
  readonly startedMs: number;
  /** 4294967295 without a certificate. */
  readonly daysUntilFirstCertificateExpires: number;
  readonly tlsUpdates: { readonly success: number; readonly rejected: number };
  /** What became of the commands that were recorded. */
  readonly recording: { statistics(): readonly Statistic[] };
  /** The process ends. */
  readonly draining: boolean;
  /** The port that clients connect to. */
  readonly listenPort: number;
  /** Reads the configuration again and serves by it. Never throws. */
  reload(dryRun: boolean): Promise<ReloadOutcome>;
  /** What is logged from here on, until a reload says otherwise. */
  setLogLevel(level: LogLevel): void;
  /** Ends the process as a signal does: what was asked for is answered. */
  end(reason: string): void;
}

/** What an operator has said over the admin pages; it lasts until the process ends. */
export class Operator {
  /** `/healthcheck/fail`: `/ready` says no, and everything goes on. */
  failing = false;
  /** Counters are shown less these. */
  readonly resets = new Resets();
}

/** Envoy's words: LIVE once every topology has been read, DRAINING while the process ends or an operator says so. */
export function readiness(state: AdminState, operator: Operator): string {
  if (state.draining || operator.failing || !state.workers.accepting) return 'DRAINING';
  return state.topologies.every(({ readMs }) => readMs > 0) ? 'LIVE' : 'PRE_INITIALIZING';
}
