import type { Bytes } from '../../../../../src/proxy/engine/bytes.js';
import { Counter } from '../../../../../src/proxy/engine/stats.js';
import { type ClientModel, Violation } from './client-model.js';
import type { ClusterModel } from './cluster-model.js';
import type { World } from './world.js';

/** Where a run that does not end stands. */
export function describe({ clients, core }: World): string {
  const busy = clients
    .filter((client) => client.busy)
    .map(({ id, temper, expected, budget, socket }) => ({
      id,
      temper,
      budget,
      next: expected[0]?.args.join(' ').slice(0, 60),
      waiting: expected.length,
      paused: socket?.paused,
      unread: socket?.in.size,
    }));
  const lanes = [...core.router.nodes()].flatMap((node) =>
    [...node.openLanes()].map((lane) => ({
      node: node.address,
      state: lane.state,
      inFlight: lane.inFlight,
      waiting: lane.waiting.length,
      pauses: lane.pauses,
    })),
  );
  return JSON.stringify({ clients: busy, lanes });
}

/** Nothing is left in any queue when everything is answered. @throws Violation */
export function checkIdle({ core, stats }: World): void {
  const { replies, retries, router, slowClients } = core;
  const left: Record<string, number> = {
    ...emptiness('core', core, ['laterClients', 'largeBytes', 'dirtyClients', 'dirtyLanes']),
    ...emptiness('replies', replies, ['heldBytes']),
    ...emptiness('retries', retries),
    ...emptiness('router', router, ['unassigned']),
    ...emptiness('slowClients', slowClients),
  };
  for (const name of ['downstream_rq_active', 'upstream_rq_active', 'upstream_rq_pending_active'] as const) {
    left[name] = stats[Counter[name]] as number;
  }
  let ready = 0;
  for (const node of core.router.nodes()) {
    for (const lane of node.openLanes()) {
      const { inFlight, waiting, pauses, output, state } = lane;
      left[`${node.address} in flight`] = inFlight;
      left[`${node.address} waiting`] = waiting.length;
      Object.assign(left, emptiness(`${node.address} lane`, lane));
      left[`${node.address} pauses`] = pauses;
      left[`${node.address} output`] = output.bytes;
      if (state >= 2) ready++;
    }
  }
  Object.assign(left, emptiness('identities', core.identities, ['connecting']));
  ready += core.identities.check.open;
  left['upstream_cx_active'] = (stats[Counter.upstream_cx_active] as number) - ready;
  for (const client of core.clients) {
    left[`client ${client.id} pending`] = client.pending;
    left[`client ${client.id} output`] = client.output.bytes;
  }
  const wrong = Object.entries(left).filter(([, count]) => count !== 0);
  if (wrong.length > 0) throw new Violation(`left behind: ${JSON.stringify(Object.fromEntries(wrong))}`);
  for (const pool of [core.clientBuffers, core.upstreamBuffers]) {
    const { free } = pool as unknown as { free: Bytes[] };
    if (new Set(free).size !== free.length) throw new Violation('a buffer is in its pool twice');
  }
}

/** Nothing is left of clients that have gone. @throws Violation */
export function checkGone({ core, stats }: World): void {
  if (core.clients.size > 0) throw new Violation(`${core.clients.size} clients are left behind`);
  const active = stats[Counter.downstream_cx_active];
  if (active !== 0) throw new Violation(`downstream_cx_active is ${active} without a client`);
}

/** No write twice, none lost that succeeded, each client's in its order. @throws Violation */
export function checkData({ cluster, clients }: World): void {
  const byKey = new Map<string, string[]>();
  for (const { key, token } of cluster.executed) {
    const tokens = byKey.get(key) ?? [];
    byKey.set(key, tokens);
    if (tokens.includes(token)) throw new Violation(`${token} was executed twice on ${key}`);
    tokens.push(token);
  }
  for (const client of clients) {
    for (const [key, sent] of client.sent) {
      const executed = byKey.get(key) ?? [];
      for (const token of client.succeeded.get(key) ?? []) {
        if (!executed.includes(token)) throw new Violation(`${token} succeeded and was not executed on ${key}`);
      }
      checkOrder(cluster, client, key, sent, executed);
    }
    for (const [key, count] of client.counts) {
      const value = Number(cluster.data.get(key)?.value ?? 0);
      if (value < count.succeeded || value > count.sent) {
        throw new Violation(`${key} is ${value} after ${count.succeeded} to ${count.sent} increments`);
      }
    }
  }
}

function checkOrder(cluster: ClusterModel, client: ClientModel, key: string, sent: string[], executed: string[]): void {
  for (const [i, later] of executed.entries()) {
    for (const earlier of executed.slice(i + 1)) {
      if (sent.indexOf(earlier) > sent.indexOf(later)) continue;
      if (cluster.mayBeOvertaken(earlier, key)) continue;
      // Its outcome was unknown, and that is what the client was told: a stopped node may find it in its socket later.
      if (!client.succeeded.get(key)?.includes(earlier)) continue;
      throw new Violation(`${key}: ${earlier} was executed after ${later}, and sent before it`);
    }
  }
}

/** How much is in each collection and counter of an object that should have nothing left. */
function emptiness(owner: string, object: object, only?: string[]): Record<string, number> {
  const sizes: Record<string, number> = {};
  for (const [name, value] of Object.entries(object)) {
    if (only !== undefined && !only.includes(name)) continue;
    if (Array.isArray(value)) sizes[`${owner} ${name}`] = value.length;
    else if (value instanceof Map || value instanceof Set) sizes[`${owner} ${name}`] = value.size;
    else if (only !== undefined && typeof value === 'number') sizes[`${owner} ${name}`] = value;
  }
  return sizes;
}
