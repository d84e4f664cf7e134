/** Breaks slots of a real cluster as interrupted operations do, and tells whether all is as it was. */
import { parseReport } from '../../../../src/cluster/snapshot/node-report.js';
import { readRaw } from '../../../../src/cluster/snapshot/raw.js';
import { ClusterSnapshot } from '../../../../src/cluster/snapshot/snapshot.js';
import { slotOfTag, slotTags } from '../../../../src/smoke/key-slot.js';
import { poll, type RedisServer } from '../../../support/redis.js';

const SETTLE_MS = 20_000;

/** A hash tag whose keys are in this slot. */
export function tagOf(slot: number): string {
  return slotTags()[slot] as string;
}

export const nameOf = (slot: number, n: number): string => `{${tagOf(slot)}}:${n}`;

export async function idOf(node: RedisServer): Promise<string> {
  return String(await node.call('CLUSTER', 'MYID'));
}

export async function fill(node: RedisServer, slot: number, keys: number): Promise<Map<string, string>> {
  const values = new Map<string, string>();
  for (let n = 0; n < keys; n++) {
    values.set(nameOf(slot, n), `value ${slot} ${n}`);
    await node.call('SET', nameOf(slot, n), `value ${slot} ${n}`);
  }
  return values;
}

export async function importing(node: RedisServer, slot: number, from: RedisServer): Promise<void> {
  await node.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', await idOf(from));
}

export async function migrating(node: RedisServer, slot: number, to: RedisServer): Promise<void> {
  await node.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', await idOf(to));
}

export async function stable(node: RedisServer, slot: number): Promise<void> {
  await node.call('CLUSTER', 'SETSLOT', slot, 'STABLE');
}

/** Both marks are set, and these keys go over; `copy` leaves them at the source, too; `auth` is for an ACL user. */
export async function halfMove(
  from: RedisServer,
  to: RedisServer,
  slot: number,
  keys: readonly string[],
  options: { copy?: boolean; auth?: readonly string[] } = {},
): Promise<void> {
  await importing(to, slot, from);
  await migrating(from, slot, to);
  if (keys.length === 0) return;
  const auth = options.auth ?? (from.password === undefined ? [] : ['AUTH', from.password]);
  const copy = options.copy ? ['COPY'] : [];
  await from.call('MIGRATE', to.host, to.port, '', 0, 5_000, ...copy, ...auth, 'KEYS', ...keys);
}

/** Nobody serves the slots any more; their keys stay where they are. */
export async function disown(nodes: readonly RedisServer[], ...slots: number[]): Promise<void> {
  for (const node of nodes)
    for (const slot of slots) await node.call('CLUSTER', 'DELSLOTS', slot).catch(() => undefined);
}

export async function snapshotBy(nodes: readonly RedisServer[]): Promise<ClusterSnapshot> {
  const reports = await Promise.all(
    nodes.map(async (node) => {
      const connection = await node.connect();
      try {
        return parseReport(await readRaw(connection));
      } finally {
        connection.close();
      }
    }),
  );
  return new ClusterSnapshot({ reports });
}

/** Every slot is served by one master, none is open, all nodes agree and serve. Waits for gossip. */
export async function inOrder(nodes: readonly RedisServer[]): Promise<ClusterSnapshot> {
  let snapshot = await snapshotBy(nodes);
  await poll('the cluster is in order', SETTLE_MS, async () => {
    snapshot = await snapshotBy(nodes);
    const { topology, openSlots, contested, agreed, reports } = snapshot;
    return (
      agreed &&
      openSlots.length + contested.length + topology.uncovered.length + topology.handshakes.length === 0 &&
      reports.every(({ cluster }) => cluster.state === 'ok' && cluster.slotsOk === 16_384)
    );
  });
  return snapshot;
}

/** Each value, as the owner of its slot has it. */
export async function valuesOf(
  nodes: readonly RedisServer[],
  snapshot: ClusterSnapshot,
  names: Iterable<string>,
): Promise<Map<string, string>> {
  const byAddress = new Map(nodes.map((node) => [node.port, node]));
  const values = new Map<string, string>();
  for (const name of names) {
    const owner = snapshot.topology.ownerOf(slotOfTag(/\{(.*)\}/.exec(name)?.[1] ?? ''));
    values.set(name, String(await byAddress.get(owner?.port ?? 0)?.call('GET', name)));
  }
  return values;
}
