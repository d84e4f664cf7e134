/** `forge up`: from whatever there is to a running cluster behind one endpoint. */
import { rmdir } from 'node:fs/promises';
import { createRuntime } from '../runtime/create.js';
import { BUS_PORT_OFFSET, findRedisServer } from '../runtime/redis-server.js';
import type { Runtime } from '../runtime/runtime.js';
import { formCluster, waitUntilHealthy } from './formation.js';
import { withLock } from './lock.js';
import { LOOPBACK, nodeInstance, nodeRef, waitUntilServing } from './nodes.js';
import { type ClusterPaths, clusterPaths } from './paths.js';
import { FOR_AN_OLD_CLUSTER, type PlannedPort, plannedPorts, planPorts, refuseBusyPorts } from './port-plan.js';
import { inspectLocalProxy, localProxyRef, startLocalProxy, waitUntilProxyReady } from './proxy.js';
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
  runtime: Runtime;
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
  const runtime = createRuntime(existing.runtime);
  const secrets = existing.formed ? await loadSecrets(paths) : await ensureSecrets(paths);
  const state = await withProxy(request, paths, existing);
  return { ...request, paths, state, secrets, runtime, started: [], smokePassed: false };
}

async function prepareNew(request: UpRequest, paths: ClusterPaths): Promise<UpRun> {
  const shape = newShape(request.asked);
  const runtime = createRuntime(shape.runtime);
  // Before anything is written: without a server there is no cluster to plan.
  await findRedisServer();
  const ports = await planPorts(shape, paths.directory);
  const { masters, replicas, sharded } = shape;
  const state: ClusterState = {
    version: 1,
    createdAt: new Date().toISOString(),
    runtime: shape.runtime,
    ...(sharded ? { sharded } : {}),
    masters,
    replicas,
    ...ports,
    formed: false,
  };
  const secrets = await ensureSecrets(paths);
  await saveState(paths, state);
  return { ...request, paths, state, secrets, runtime, started: [], smokePassed: false };
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
  const { runtime, paths, state, secrets, signal } = run;
  const missing: number[] = [];
  for (const port of state.nodePorts) {
    const ref = nodeRef(paths, port);
    const found = await runtime.inspect(ref);
    if (found.phase === 'running' && found.supervised) continue;
    // One that lost its supervisor is handed over to a new one; one that waits after a crash need not wait any longer.
    if (found.phase === 'running' || found.phase === 'waiting') await runtime.stop(ref, { graceMs: HANDOVER_GRACE_MS });
    missing.push(port);
  }
  if (missing.length > 0) {
    const server = await findRedisServer();
    await refuseBusyPorts(portsOf(state, missing), FOR_AN_OLD_CLUSTER);
    for (const port of missing) {
      signal?.throwIfAborted();
      await runtime.start(await nodeInstance(paths, state, secrets, server, port));
      run.started.push(`node ${port}`);
    }
  }
  await Promise.all(
    state.nodePorts.map((port) =>
      waitUntilServing({
        runtime,
        paths,
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
  const { runtime, paths, state, signal } = run;
  const found = await inspectLocalProxy(paths);
  if (!(found.phase === 'running' && found.supervised)) {
    if (found.phase === 'running' || found.phase === 'waiting') {
      await runtime.stop(localProxyRef(paths), { graceMs: HANDOVER_GRACE_MS });
    }
    await refuseBusyPorts(portsOf(state, [], ports), FOR_AN_OLD_CLUSTER);
    await startLocalProxy(paths, state, ports, signal);
    run.started.push('proxy');
  }
  await waitUntilProxyReady(paths, ports, signal);
  report.title(`The proxy serves on ${LOOPBACK}:${ports.port}`);
}

function describe(run: UpRun, elapsedMs: number): UpResult {
  const { paths, state, started } = run;
  const at = (port: number) => ({ host: LOOPBACK, port });
  return {
    name: paths.name,
    directory: paths.directory,
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
