/** What steps ask nodes, and how they wait. */
import { mapBounded, pause, settleBounded } from '../../cluster/bounded.js';
import { type ClusterInfo, parseClusterInfo, parseInfo } from '../../cluster/parse-info.js';
import { parseClusterNodes } from '../../cluster/parse-nodes.js';
import { Topology } from '../../cluster/topology.js';
import { ForgeError } from '../../errors.js';
import type { StepContext } from '../step.js';

const PARALLEL_MAX = 64;
/** Between two looks; grows with the time that a look takes, so that a large cluster is not kept busy by it. */
const LOOK_MIN_MS = 20;
const LOOK_MAX_MS = 500;

export interface View {
  readonly topology: Topology;
  readonly cluster: ClusterInfo;
}

/** The cluster as this node sees it now. */
export async function viewOf(context: StepContext, id: string): Promise<View> {
  const connection = await context.pool.get(id);
  const [nodes, info] = await Promise.all([
    connection.callText('CLUSTER', 'NODES'),
    connection.callText('CLUSTER', 'INFO'),
  ]);
  return { topology: new Topology(parseClusterNodes(nodes, connection.label)), cluster: parseClusterInfo(info) };
}

/** INFO of one section. */
export async function infoOf(context: StepContext, id: string, section: string): Promise<ReadonlyMap<string, string>> {
  return parseInfo(await (await context.pool.get(id)).callText('INFO', section));
}

/** The views of those of the nodes that answer. */
export async function viewsOf(context: StepContext, ids: readonly string[]): Promise<Map<string, View>> {
  const results = await settleBounded(ids, PARALLEL_MAX, (id) => viewOf(context, id));
  const views = new Map<string, View>();
  for (const [index, result] of results.entries()) {
    if (result.status === 'fulfilled') views.set(ids[index] as string, result.value);
    else if (!(result.reason instanceof ForgeError)) throw result.reason;
  }
  return views;
}

/** The views of all; throws when one does not answer. */
export async function allViewsOf(context: StepContext, ids: readonly string[]): Promise<Map<string, View>> {
  const views = await mapBounded(ids, PARALLEL_MAX, (id) => viewOf(context, id));
  return new Map(ids.map((id, index) => [id, views[index] as View]));
}

/**
 * Calls `probe` until it returns true.
 * @param late makes the error when that is not so within `boundMs`
 */
export async function waitUntil(
  context: StepContext,
  probe: () => Promise<boolean>,
  late: () => ForgeError | Promise<ForgeError>,
  boundMs = context.waitMs,
): Promise<void> {
  const end = performance.now() + boundMs;
  for (;;) {
    context.signal.throwIfAborted();
    const looked = performance.now();
    if (await probe()) return;
    if (performance.now() > end) throw await late();
    await pause(Math.min(LOOK_MAX_MS, Math.max(LOOK_MIN_MS, performance.now() - looked)), context.signal);
  }
}

/** Tells `viewerId` of a node: at the address at which it was reached from here, and its own bus port. */
export async function introduce(context: StepContext, viewerId: string, subjectId: string): Promise<void> {
  const subject = await context.pool.get(subjectId);
  const { topology } = await viewOf(context, subjectId);
  const port = subject.client.options.port ?? 0;
  const busPort = topology.myself?.busPort ?? port + 10_000;
  await context.mutate(viewerId, 'CLUSTER', 'MEET', subject.ip, port, busPort);
}
