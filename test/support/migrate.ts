/** Moves slots between masters of a real cluster by plain commands, key by key, while it is used. */
import type { NodeConnection } from '../../src/cluster/node-connection.js';
import { poll, type RedisServer } from './redis.js';

const MIGRATE_MS = 5_000;
const SETTLE_MS = 10_000;
/** A slot that never empties, because it is written faster than it moves, is given up. */
const BATCHES_MAX = 10_000;

export interface MoveOptions {
  slot: number;
  from: RedisServer;
  to: RedisServer;
  /**
   * Masters that are told of the new owner beside the two. One that is not told, and knows a newer epoch of the old
   * owner, would give the slot back to it.
   */
  all?: readonly RedisServer[];
  /** Keys moved at once. */
  batch?: number;
  /** Called after each batch, with the number of keys moved so far. */
  between?: (moved: number) => Promise<void> | void;
}

/** Moves one slot; gives the number of keys that it moved. */
export async function moveSlot({ slot, from, to, all = [], batch = 5, between }: MoveOptions): Promise<number> {
  const [source, target] = await Promise.all([from.connect(), to.connect()]);
  try {
    const [sourceId, targetId] = await Promise.all([
      source.callText('CLUSTER', 'MYID'),
      target.callText('CLUSTER', 'MYID'),
    ]);
    await target.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', sourceId);
    await source.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', targetId);
    const moved = await moveKeys(source, to, slot, batch, between);
    await target.call('CLUSTER', 'SETSLOT', slot, 'NODE', targetId);
    await source.call('CLUSTER', 'SETSLOT', slot, 'NODE', targetId);
    for (const node of all) {
      if (node !== from && node !== to) await node.call('CLUSTER', 'SETSLOT', slot, 'NODE', targetId);
    }
    await settled([from, to, ...all]);
    return moved;
  } finally {
    source.close();
    target.close();
  }
}

/** Waits until the masters have heard of each other's epochs: the next move must not take one that is in use. */
async function settled(masters: readonly RedisServer[]): Promise<void> {
  await poll('the masters agree on the epoch', SETTLE_MS, async () => {
    const infos = await Promise.all(masters.map((node) => node.call('CLUSTER', 'INFO')));
    return new Set(infos.map((info) => /^cluster_current_epoch:(\d+)/m.exec(String(info))?.[1])).size === 1;
  });
}

async function moveKeys(
  source: NodeConnection,
  to: RedisServer,
  slot: number,
  batch: number,
  between: MoveOptions['between'],
): Promise<number> {
  let moved = 0;
  for (let i = 0; i < BATCHES_MAX; i++) {
    const keys = (await source.call('CLUSTER', 'GETKEYSINSLOT', slot, batch)) as string[];
    if (keys.length === 0) return moved;
    await source.call('MIGRATE', to.host, to.port, '', 0, MIGRATE_MS, 'KEYS', ...keys);
    moved += keys.length;
    await between?.(moved);
  }
  throw new Error(`slot ${slot} is not empty after ${BATCHES_MAX} batches`);
}
