/** `forge up`: from whatever there is to a running cluster behind one endpoint. */
import { rmdir } from 'node:fs/promises';
import { withLock } from '../runtime/lock.js';
import { BUS_PORT_OFFSET } from '../runtime/redis-server.js';
import { formCluster, waitUntilHealthy } from './formation.js';
import { LOOPBACK, waitUntilServing } from './nodes.js';
import { type ClusterPaths, clusterPaths } from './paths.js';
import { type LocalPlace, openPlace } from './place.js';
import { FOR_AN_OLD_CLUSTER, type PlannedPort, plannedPorts, planPorts } from './port-plan.js';
import { waitUntilProxyReady } from './proxy.js';
import { ensureSecrets, loadSecrets, type Secrets, secretFile } from './secrets.js';
import { type AskedShape, checkSameShape, newShape } from './shape.js';
import { smokeTestLocal } from './smoke.js';
import { type ClusterState, loadState, saveState } from './state.js';
import type { RunSteps, Step, StepReporter } from './step.js';

/** A node that lost its supervisor is stopped and started again under one; Redis needs no longer than this. */
const HANDOVER_GRACE_MS = 10_000;

export interface UpRequest {
  home: string;
  name: string;
  asked: AskedShape;
  /** Test the endpoint when something was newly started. */
  smokeTest: boolean;
  runSteps: RunSteps;
  signal?: AbortSignal;
}

export interface UpResult {
  name: string;
  directory: string;
  /** Where the nodes' data is, in words. */
  data: string;
  /** Nothing had to be done. */
  alreadyUp: boolean;
  /** `node 7001`, `proxy`: what was started now. */
  started: string[];
  nodes: { host: string; port: number }[];
  /** The nodes are independent servers. */
  sharded: boolean;
  /** Null without a proxy. */
  endpoint: { host: string; port: number } | null;
  admin: { host: string; port: number } | null;
  /** Holds the password of the endpoint; without a proxy that of the nodes' user `app`. */
  passwordFile: string;
  /** Null when none was asked for, or nothing had to be done. */
  smokeTest: 'passed' | null;
  elapsedMs: number;
}

/** What the steps share. */
interface UpRun extends UpRequest {
  paths: ClusterPaths;
  state: ClusterState;
  secrets: Secrets;
  place: LocalPlace;
  started: string[];
  smokePassed: boolean;
}

/**
 * Brings a local cluster up: plans a new one, starts what does not run, forms the cluster once, starts the proxy. Can be
 * interrupted anywhere and run again.
 * @throws ForgeError `locked` while another change is under way, `refused` for busy ports or another shape, and what
 *   the steps throw
 */
export async function bringUp(request: UpRequest): Promise<UpResult> {
  const begun = performance.now();
  const paths = clusterPaths(request.home, request.name);
  try {
    return await withLock(paths, 'forge up', async () => {
      const run = await prepare(request, paths);
      await request.runSteps(upSteps(run));
      return describe(run, performance.now() - begun);
    });
  } catch (error) {
    // What failed before there was a plan leaves nothing behind.
    await rmdir(paths.directory).catch(() => undefined);
    throw error;
  }
}

async function prepare(request: UpRequest, paths: ClusterPaths): Promise<UpRun> {
  const existing = await loadState(paths);
  if (existing === undefined) return await prepareNew(request, paths);
  checkSameShape(request.asked, existing, paths.name);
  const secrets = existing.formed ? await loadSecrets(paths) : await ensureSecrets(paths);
  const state = await withProxy(request, paths, existing);
  const place = await openPlace({ paths, state, signal: request.signal });
  return { ...request, paths, state, secrets, place, started: [], smokePassed: false };
}

async function prepareNew(request: UpRequest, paths: ClusterPaths): Promise<UpRun> {
  const shape = newShape(request.asked);
  const { masters, replicas, sharded, runtime } = shape;
  const known = { runtime, replicas, ...(sharded ? { sharded } : {}) };
  // Before anything is written: without a server there is no cluster to plan.
  await (await openPlace({ paths, state: { ...known, nodePorts: [], proxy: null }, signal: request.signal })).check();
  const ports = await planPorts(shape, paths.directory);
  const state: ClusterState = {
    version: 1,
    createdAt: new Date().toISOString(),
    ...known,
    masters,
    ...ports,
    formed: false,
  };
  const secrets = await ensureSecrets(paths);
  await saveState(paths, state);
  const place = await openPlace({ paths, state, signal: request.signal });
  return { ...request, paths, state, secrets, place, started: [], smokePassed: false };
}

/** A cluster that was made with --no-proxy gets one when it is asked for without. */
async function withProxy(request: UpRequest, paths: ClusterPaths, state: ClusterState): Promise<ClusterState> {
  const { asked } = request;
  const wanted = asked.proxy === true || asked.proxyPort !== undefined || asked.adminPort !== undefined;
  if (state.proxy !== null || !wanted) return state;
  const shape = newShape({ ...asked, masters: state.masters, replicas: state.replicas });
  const { proxy } = await planPorts({ ...shape, basePort: 'auto' }, paths.directory);
  const changed = { ...state, proxy };
  await saveState(paths, changed);
  return changed;
}

function upSteps(run: UpRun): Step[] {
  const { state } = run;
  const { proxy } = state;
  const nodes = state.nodePorts.length;
  const steps: Step[] = [
    { title: `Start ${nodes} Redis nodes`, run: (_, report) => startNodes(run, report) },
    state.formed || state.sharded
      ? { title: 'Check the cluster', run: (_, report) => checkCluster(run, report) }
      : { title: 'Form the cluster', run: (_, report) => form(run, report) },
  ];
  if (proxy !== null) steps.push({ title: 'Start the proxy', run: (_, report) => startProxy(run, proxy, report) });
  if (run.smokeTest) {
    steps.push({
      title: 'Smoke test',
      skip: () => (run.started.length === 0 && state.formed ? 'nothing was started' : false),
      run: async (_, report) => {
        await smokeTestLocal({ state, secrets: run.secrets, report, signal: run.signal });
        run.smokePassed = true;
      },
    });
  }
  return steps;
}

async function startNodes(run: UpRun, report: StepReporter): Promise<void> {
  const { place, state, secrets, signal } = run;
  await place.open(report, signal);
  const states = await Promise.all(state.nodePorts.map((port) => place.runtime.inspect(place.node(port))));
  const missing: number[] = [];
  for (const [index, port] of state.nodePorts.entries()) {
    const found = states[index];
    if (found?.phase === 'running' && found.supervised) continue;
    // One that lost its supervisor is handed over to a new one; one that waits after a crash need not wait any longer.
    if (found?.phase === 'running' || found?.phase === 'waiting') {
      await place.runtime.stop(place.node(port), { graceMs: HANDOVER_GRACE_MS });
    }
    missing.push(port);
  }
  if (missing.length > 0) await startMissing(run, missing);
  await Promise.all(
    state.nodePorts.map((port) =>
      waitUntilServing({
        place,
        port,
        adminPassword: secrets.admin,
        fresh: missing.includes(port),
        signal,
        onLoading: (percent) => report.note(`node ${port} loads its data: ${percent} %`),
      }),
    ),
  );
  report.title(
    missing.length === 0 ? `${state.nodePorts.length} Redis nodes run` : `Started ${missing.length} Redis nodes`,
  );
}

async function startMissing(run: UpRun, missing: readonly number[]): Promise<void> {
  const { place, state, secrets, signal } = run;
  await place.refuseBusy(portsOf(state, missing), FOR_AN_OLD_CLUSTER);
  const waiting = [...missing];
  const started = new Set<number>();
  const startOthers = async () => {
    for (let port = waiting.shift(); port !== undefined; port = waiting.shift()) {
      signal?.throwIfAborted();
      await place.runtime.start(await place.nodeSpec(port, secrets));
      started.add(port);
    }
  };
  const outcomes = await Promise.allSettled(Array.from({ length: place.startsAtOnce }, startOthers));
  run.started.push(...missing.filter((port) => started.has(port)).map((port) => `node ${port}`));
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}

/** The ports of some of the nodes, and of the proxy if given, under the names that they have in the whole plan. */
function portsOf(
  state: ClusterState,
  nodePorts: readonly number[],
  proxy: ClusterState['proxy'] = null,
): PlannedPort[] {
  const wanted = new Set([...nodePorts.flatMap((port) => [port, port + BUS_PORT_OFFSET])]);
  if (proxy !== null) wanted.add(proxy.port).add(proxy.adminPort);
  return plannedPorts(state).filter(({ port }) => wanted.has(port));
}

async function form(run: UpRun, report: StepReporter): Promise<void> {
  const { paths, state, secrets, signal } = run;
  await formCluster({ state, adminPassword: secrets.admin, report, signal });
  await saveState(paths, { ...state, formed: true });
  report.title(
    `Formed the cluster: ${state.masters} masters with ${state.replicas} ${state.replicas === 1 ? 'replica' : 'replicas'} each, 16384 slots`,
  );
}

async function checkCluster(run: UpRun, report: StepReporter): Promise<void> {
  const { state, paths } = run;
  await waitUntilHealthy({ state, adminPassword: run.secrets.admin, report, signal: run.signal });
  // Servers that know nothing of each other have nothing to agree on.
  if (state.sharded && !state.formed) await saveState(paths, { ...state, formed: true });
  report.title(state.sharded ? 'All servers answer' : 'All nodes agree and are in sync');
}

async function startProxy(run: UpRun, ports: NonNullable<ClusterState['proxy']>, report: StepReporter): Promise<void> {
  const { place, state, signal } = run;
  const found = await place.proxy.inspect();
  if (!(found.phase === 'running' && found.supervised)) {
    if (found.phase === 'running' || found.phase === 'waiting') {
      await place.proxy.stop(HANDOVER_GRACE_MS);
    }
    await place.refuseBusy(portsOf(state, [], ports), FOR_AN_OLD_CLUSTER);
    await place.proxy.start(ports, signal);
    run.started.push('proxy');
  }
  await waitUntilProxyReady(place.proxy.log, ports, signal);
  report.title(`The proxy serves on ${LOOPBACK}:${ports.port}`);
}

function describe(run: UpRun, elapsedMs: number): UpResult {
  const { paths, place, state, started } = run;
  const at = (port: number) => ({ host: LOOPBACK, port });
  return {
    name: paths.name,
    directory: paths.directory,
    data: place.data,
    alreadyUp: started.length === 0 && state.formed,
    started,
    nodes: state.nodePorts.map(at),
    sharded: state.sharded === true,
    endpoint: state.proxy && at(state.proxy.port),
    admin: state.proxy && at(state.proxy.adminPort),
    passwordFile: secretFile(paths, state.proxy === null ? 'app' : 'endpoint'),
    smokeTest: run.smokePassed ? 'passed' : null,
    elapsedMs: Math.round(elapsedMs),
  };
}
