/** What a smoke test is made of: steps as data, and what they found. */

import type { ConnectionOptions } from 'node:tls';
import type { Credentials } from '../config/credentials.js';
import type { ForgeError } from '../errors.js';
import type { AdminAddress } from '../proxy/control/admin.js';
import type { SmokeClient } from './client.js';
import type { SmokeKeys } from './keys.js';

/** Bound of a whole run when none is given, milliseconds. */
export const DEFAULT_TIMEOUT_MS = 30_000;

export interface SmokeOptions extends Credentials {
  host: string;
  port: number;
  /** TLS settings of node:tls; plain TCP without it. */
  tls?: ConnectionOptions;
  /** The admin address of the proxy, when the target is one: its state is then asked for as well. */
  admin?: AdminAddress;
  /** Bound of the whole run, clean-up included, milliseconds; DEFAULT_TIMEOUT_MS when not given. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** `endpoint`: a proxy, or a server of no cluster. They cannot always be told apart, nor need they be. */
export type TargetKind = 'cluster node' | 'endpoint';

export interface SmokeTarget {
  host: string;
  port: number;
  /** Known once connected. */
  kind?: TargetKind;
  /** What the server calls itself, for example `Redis 7.0.15`. */
  server?: string;
}

/** What a step found, in words for people and, where there are figures, as data. */
export interface StepFinding {
  summary: string;
  data?: Record<string, unknown>;
}

/** What steps share. */
export interface SmokeContext {
  readonly options: SmokeOptions;
  readonly target: SmokeTarget;
  readonly keys: SmokeKeys;
  /** Aborted when the time is over or the user interrupts. */
  readonly signal: AbortSignal;
  /** Set by the first step. */
  client?: SmokeClient;
}

export interface SmokeStep {
  /** Stable, for machines. */
  name: string;
  title: string;
  /** @throws ForgeError when what was found is not as it should be */
  run: (context: SmokeContext & { client: SmokeClient }) => Promise<StepFinding>;
  /** Why the step has nothing to check on this target; false to run it. */
  skip?: (context: SmokeContext) => string | false;
}

export interface StepResult {
  name: string;
  title: string;
  status: 'passed' | 'failed' | 'skipped';
  durationMs: number;
  /** What was found, why it failed, or why it was skipped. */
  summary: string;
  data?: Record<string, unknown>;
  error?: ForgeError;
}

export interface SmokeReport {
  target: SmokeTarget;
  passed: boolean;
  startedAt: string;
  durationMs: number;
  steps: StepResult[];
}
