import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import { Hold } from '../core/hold.js';
import type { Request } from '../core/request.js';
import type { Router } from '../core/router.js';
import { NO_NODE } from '../core/slot-map.js';
import { beginTask, finishTask, sendPart, type Task } from '../core/task.js';
import type { UpstreamNode } from '../core/upstream-node.js';
import { encodeCommand } from '../resp/encode.js';

/** Slots that one master serves. What is for the shard as a whole is routed by its slot, and so follows a failover. */
export interface Shard {
  /** The lowest slot that it serves. */
  readonly slot: number;
  /** Its master's index in the slot map. */
  readonly nodeIndex: number;
}

/** How a slot map divides the slots among shards, whoever is the master of each. */
export interface Partition {
  /** The slot map's version that it was read from. */
  readonly version: number;
  /** In the order of their lowest slots: the same in every worker and in every proxy. */
  readonly shards: readonly Shard[];
  /** A hash of which slots belong together, in [0, 2^32). A failover does not change it; a slot that moves does. */
  readonly hash: number;
}

const partitions = new WeakMap<Router, Partition>();

/** Numbers of shards by node index, used within one call; -1 in between. */
let numbers: Int32Array | null = null;

/** The shards of a cluster; none while its topology is not known. Read once per version of the slot map. */
export function partitionOf(router: Router): Partition {
  const { slotMap, keySpace } = router;
  const version = slotMap.version();
  const known = partitions.get(router);
  if (known !== undefined && known.version === version) return known;
  numbers ??= new Int32Array(NO_NODE + 1).fill(-1);
  const shardOfNode = numbers;
  const shards: Shard[] = [];
  let hash = 0x811c9dc5;
  for (let slot = 0; slot < keySpace.slots; slot++) {
    const node = slotMap.nodeOf(slot);
    let shard = shardOfNode[node];
    if (shard < 0 && node !== NO_NODE) {
      shard = shards.length;
      shardOfNode[node] = shard;
      shards.push({ slot, nodeIndex: node });
    }
    // FNV-1a over the shards' numbers, slot by slot.
    hash = Math.imul(hash ^ (shard & 0xff), 0x01000193);
    hash = Math.imul(hash ^ ((shard >> 8) & 0xff), 0x01000193);
  }
  for (const { nodeIndex } of shards) shardOfNode[nodeIndex] = -1;
  hash ^= hash >>> 15;
  const partition = { version, shards, hash: hash >>> 0 };
  partitions.set(router, partition);
  return partition;
}

/** The shards' masters in the shards' order, then all replicas that the topology lists. */
export function allNodes(router: Router): UpstreamNode[] {
  const nodes = new Set<UpstreamNode>();
  for (const { nodeIndex } of partitionOf(router).shards) {
    const node = router.nodeAt(nodeIndex);
    if (node !== undefined) nodes.add(node);
  }
  for (const node of router.nodes()) if (node.listed) nodes.add(node);
  return [...nodes];
}

/** A task over the shards of a cluster. */
export interface ShardTask extends Task {
  /** Sends its first parts. There is at least one shard. */
  begin(parent: Request, partition: Partition): void;
}

/**
 * Begins a task that has to know the shards. While none is known it waits for them as a command for a key does, and
 * fails as one: `no upstream host` after `op_timeout`.
 */
export function beginShardTask(client: Client, entry: CommandEntry, router: Router, task: ShardTask): void {
  const { core } = client;
  const partition = partitionOf(router);
  if (partition.shards.length > 0) {
    task.begin(beginTask(client, entry, task), partition);
    return;
  }
  const wait: Task = {
    answered(part) {
      const parent = part.parent as Request;
      const found = partitionOf(router);
      if (parent.client !== null && !part.failed && found.shards.length > 0) {
        parent.task = task;
        task.begin(parent, found);
      } else finishTask(core, parent, [core.texts.noUpstreamHost], true);
    },
  };
  // What the client sends from now on must not overtake it.
  client.setHold(Hold.order);
  const parent = beginTask(client, entry, wait);
  sendPart(parent, { bytes: encodeCommand(['PING'], core.runtime.allocate), entry: null, router, slot: 0 });
}
