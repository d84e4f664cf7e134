/** What a proxy of this host does: its process by the pid file, the rest by its admin page. */
import { ForgeError } from '../../errors.js';
import type { InstancePhase } from '../../runtime/runtime.js';
import { type AdminAddress, adminJson, readiness } from './admin.js';
import { toldAddress } from './admin-address.js';
import { inspectProxy } from './instance.js';

/** The figures that a status shows, by the ends of their names; all others are on the admin page. */
const FIGURES = ['downstream_cx_active', 'downstream_cx_total', 'downstream_rq_total', 'upstream_cx_active'];

export interface ProxyStatusReport {
  /** Null without a pid file: then only the admin page was asked. */
  pidFile: string | null;
  phase: InstancePhase | null;
  pid: number | null;
  supervised: boolean;
  restarts: number;
  memoryBytes: number | null;
  admin: AdminAddress;
  /** What /ready says; null when it does not answer. */
  ready: string | null;
  /** What /server_info says; null when it does not answer. */
  server: Record<string, unknown> | null;
  /** Some of /stats, by full name. */
  stats: Record<string, number>;
  /**
   * - `up`: it serves
   * - `not ready`: it runs but does not (yet) serve
   * - `down`
   */
  health: 'up' | 'not ready' | 'down';
  /** What is wrong; null when nothing is. */
  fault: string | null;
}

export interface ProxyStatusOptions {
  pidFile?: string;
  /** Where nobody said which: `admin` is a guess, and the proxy itself is asked first. */
  guessed?: boolean;
  admin: AdminAddress;
  signal?: AbortSignal;
}

/** Never throws for a proxy that is down: that is what it tells. */
export async function proxyStatus({
  pidFile,
  guessed = false,
  admin: given,
  signal,
}: ProxyStatusOptions): Promise<ProxyStatusReport> {
  const instance = pidFile === undefined ? undefined : await inspectProxy(pidFile);
  const admin = (guessed && pidFile !== undefined ? await toldAddress(pidFile, signal) : undefined) ?? given;
  const report: ProxyStatusReport = {
    pidFile: pidFile ?? null,
    phase: instance?.phase ?? null,
    pid: instance?.pid ?? null,
    supervised: instance?.supervised ?? false,
    restarts: instance?.restarts ?? 0,
    memoryBytes: instance?.memoryBytes ?? null,
    admin,
    ready: null,
    server: null,
    stats: {},
    health: 'down',
    fault: null,
  };
  if (instance !== undefined && instance.phase !== 'running') {
    return { ...report, fault: instance.phase === 'absent' ? 'it is not running' : `its state is "${instance.phase}"` };
  }
  try {
    const { ready, state } = await readiness(admin, signal);
    const [server, stats] = await Promise.all([
      adminJson(admin, '/server_info', signal),
      adminJson(admin, '/stats?format=json&usedonly', signal),
    ]);
    return {
      ...report,
      ready: state,
      server: isRecord(server) ? server : null,
      stats: pickFigures(stats),
      health: ready ? 'up' : 'not ready',
      fault: ready ? null : `it is not ready: ${state}`,
    };
  } catch (error) {
    if (!(error instanceof ForgeError)) throw error;
    const health = instance === undefined ? 'down' : 'not ready';
    return { ...report, health, fault: `${error.message} (${error.host ?? 'admin'})` };
  }
}

/** The figures worth a line, from Envoy's form of statistics: `{"stats": [{"name": …, "value": …}]}`. Pure. */
export function pickFigures(document: unknown): Record<string, number> {
  const list = isRecord(document) && Array.isArray(document['stats']) ? (document['stats'] as unknown[]) : [];
  const figures: Record<string, number> = {};
  for (const entry of list) {
    if (!isRecord(entry)) continue;
    const { name, value } = entry;
    if (typeof name !== 'string' || typeof value !== 'number') continue;
    if (FIGURES.some((figure) => name.endsWith(`.${figure}`))) figures[name] = value;
  }
  return figures;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
