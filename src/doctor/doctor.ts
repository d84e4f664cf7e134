/** `forge doctor`: every check there is, side by side, each within a bound. Changes nothing. */
import { parseAddressList } from '../cluster/address.js';
import { type ConnectSettings, NodePool } from '../cluster/node-pool.js';
import { readSnapshot } from '../cluster/snapshot/read.js';
import type { Settings, Target, TargetFlags } from '../config/resolve.js';
import { ForgeError } from '../errors.js';
import { checkCertificatesOf } from './checks/certificates.js';
import { checkCluster } from './checks/cluster.js';
import { checkDocker } from './checks/docker.js';
import { checkHostsOf, hostsToCheck } from './checks/hosts.js';
import { checkBus, clockFindings, judgeNodes, lookAtNodes } from './checks/nodes.js';
import { checkOperations } from './checks/operations.js';
import { checkPrograms } from './checks/programs.js';
import { checkProxy } from './checks/proxy.js';
import { checkSettings } from './checks/settings.js';
import { type DoctorContext, knownNodes, NODE_STEP_MS } from './context.js';
import { DOCTOR_CHECKS, type DoctorCheck, type DoctorFinding, fromError, notKnown } from './finding.js';

/** Of all checks together: what has not ended by then is told as unknown. */
export const DOCTOR_MS = 10_000;

export interface DoctorOptions {
  readonly flags: TargetFlags;
  readonly settings: () => Promise<Settings>;
  /** Where the cluster is; called with the settings. */
  readonly target: (settings: Settings) => Promise<Target>;
  /** All of them when not given. */
  readonly only?: readonly DoctorCheck[];
  readonly sudo?: boolean;
  readonly signal: AbortSignal;
  readonly limitMs?: number;
}

interface Prepared {
  readonly context: DoctorContext;
  /** What went wrong before any check. */
  readonly findings: readonly DoctorFinding[];
  close(): void;
}

async function prepare(options: DoctorOptions, clusterWanted: boolean): Promise<Prepared> {
  const { flags, sudo = false, signal } = options;
  const plain = { flags, sudo, signal, named: [] };
  const nothing = () => undefined;
  let settings: Settings;
  try {
    settings = await options.settings();
  } catch (settingsFailure) {
    if (!(settingsFailure instanceof ForgeError)) throw settingsFailure;
    return { context: { ...plain, settingsFailure }, findings: [], close: nothing };
  }
  let target: Target;
  try {
    target = await options.target(settings);
  } catch (error) {
    const named = settings.cluster?.nodes ?? [];
    return {
      context: { ...plain, named, settings },
      findings: [fromError('nodes', 'credentials', error)],
      close: nothing,
    };
  }
  // Nobody said where a cluster is: then there need not be one.
  if (target.seeds.source === 'the default') return { context: { ...plain, settings }, findings: [], close: nothing };
  const named = parseAddressList(target.seeds.text);
  const connect: ConnectSettings = {
    ...target.connect,
    connectTimeoutMs: NODE_STEP_MS,
    commandTimeoutMs: NODE_STEP_MS,
  };
  const pool = new NodePool({ connect });
  const { source } = target.seeds;
  const snapshot = clusterWanted ? readSnapshot(pool, { seeds: named, source }) : undefined;
  // Whoever needs it is told of its failure; when nobody does, it is none.
  snapshot?.catch(nothing);
  const context = { ...plain, settings, connect, named, source, ...(snapshot === undefined ? {} : { snapshot }) };
  return { context, findings: [], close: () => pool.close() };
}

/** The findings of a check, or, when it does not end in time, that. */
async function within(
  check: DoctorCheck,
  limitMs: number,
  work: () => Promise<DoctorFinding[]>,
): Promise<DoctorFinding[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<DoctorFinding[]>((resolve) => {
    const seconds = Math.round(limitMs / 1000);
    timer = setTimeout(() => resolve([notKnown(check, 'all', `it did not end within ${seconds} s`)]), limitMs);
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Findings in the order of `DOCTOR_CHECKS`. A host, node or engine that is not there is a finding, and no error. */
export async function diagnose(options: DoctorOptions): Promise<DoctorFinding[]> {
  const { only = DOCTOR_CHECKS, limitMs = DOCTOR_MS } = options;
  // Everything that is given up ends with this.
  const ending = new AbortController();
  const signal = AbortSignal.any([options.signal, ending.signal]);
  const asks = (checks: readonly DoctorCheck[]) => checks.some((check) => only.includes(check));
  const clusterWanted = asks(['nodes', 'bus', 'clocks', 'certificates', 'cluster']);
  const { context, findings, close } = await prepare({ ...options, signal }, clusterWanted);
  try {
    const hosts = hostsToCheck(context);
    const remote = hosts.some(({ target }) => target.ssh !== undefined);
    const nodes = knownNodes(context);
    const seen =
      context.connect !== undefined && asks(['nodes', 'bus', 'clocks'])
        ? nodes.then((all) => lookAtNodes(all, context))
        : Promise.resolve([]);
    const clustered = context.snapshot?.then(() => true).catch(() => false) ?? Promise.resolve(false);
    // A check that was given up may still fail when all ends.
    for (const each of [nodes, seen]) each.catch(() => undefined);
    const work: Record<DoctorCheck, () => Promise<DoctorFinding[]>> = {
      programs: async () => checkPrograms(remote),
      settings: () => checkSettings(context),
      docker: () => checkDocker(context),
      hosts: () => checkHostsOf(context, hosts),
      nodes: async () => [...findings, ...judgeNodes(await seen)],
      bus: async () => checkBus(await seen, await clustered),
      clocks: async () => clockFindings(await seen),
      certificates: () => checkCertificatesOf(context, nodes),
      cluster: () => checkCluster(context),
      proxy: () => checkProxy(context),
      operations: checkOperations,
    };
    const chosen = DOCTOR_CHECKS.filter((check) => only.includes(check));
    const found = await Promise.all(chosen.map((check) => within(check, limitMs, work[check])));
    options.signal.throwIfAborted();
    const all = found.flat();
    // Nothing is no proof of anything; what kept a check from its work is said by another one, which was not asked for.
    return all.length > 0
      ? all
      : chosen.map((check) => notKnown(check, 'all', 'it found nothing to look at: run forge doctor without --only'));
  } finally {
    ending.abort();
    close();
  }
}
