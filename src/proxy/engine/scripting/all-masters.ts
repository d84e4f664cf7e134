import type { Bytes } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import type { Lane } from '../core/lane.js';
import { withProto } from '../core/lane-id.js';
import type { Request } from '../core/request.js';
import type { Router } from '../core/router.js';
import { beginTask, finishTask, sendPart, type Task } from '../core/task.js';

/** One master's reply. */
export interface MasterReply {
  /** `host:port` when it was asked; empty when no topology was known. */
  readonly address: string;
  /** Its cluster and one of its slots. */
  readonly router: Router;
  readonly slot: number;
  /** The whole reply, an error among them. */
  readonly bytes: Bytes;
}

/** What all masters said, put together: the pieces of the client's reply. */
export interface Combined {
  readonly pieces: Bytes[];
  readonly failed: boolean;
}

/** Gives the client its reply, now or later; it must be called once. */
export type Finish = (combined: Combined) => void;

/** Puts the replies together; it may send more parts of `parent`, with another `task`, before it finishes. */
export type Combine = (replies: readonly MasterReply[], finish: Finish, parent: Request) => void;

interface Target {
  readonly router: Router;
  readonly slot: number;
  readonly address: string;
  /** This connection, rather than the slot's. */
  readonly lane?: Lane;
}

/** Every shard of every upstream cluster. */
export function allMasters(client: Client): Target[] {
  const targets: Target[] = [];
  for (const router of client.core.routers) {
    const shards = router.shards();
    for (const { slot, node } of shards) targets.push({ router, slot, address: node.address });
    if (shards.length === 0) targets.push({ router, slot: -1, address: '' });
  }
  return targets;
}

/** Sends one command to all masters and puts the replies together when all are there. */
class AllMasters implements Task {
  private readonly replies: MasterReply[] = [];
  private remaining = 0;

  constructor(
    private readonly client: Client,
    private readonly targets: readonly Target[],
    private readonly combine: Combine,
  ) {
    this.remaining = targets.length;
  }

  answered(part: Request): void {
    const bytes = (part.reply as Bytes).subarray(part.replyStart, part.replyEnd) as Bytes;
    const { router, slot } = part;
    const number = this.targets.findIndex(
      (target, i) => this.replies[i] === undefined && target.router === router && target.slot === slot,
    );
    const { address } = this.targets[number];
    this.replies[number] = { address, router: this.targets[number].router, slot, bytes };
    if (--this.remaining > 0) return;
    const { client } = this;
    const parent = part.parent as Request;
    this.combine(this.replies, ({ pieces, failed }) => finishTask(client.core, parent, pieces, failed), parent);
  }
}

/** Runs `bytes[start, end)` on all masters. */
export function onAllMasters(
  client: Client,
  entry: CommandEntry,
  bytes: Bytes,
  start: number,
  end: number,
  combine: Combine,
): void {
  client.core.countRequest(entry);
  runOn(client, entry, bytes, start, end, combine, allMasters(client), client.core.nowMs);
}

/** A script is killed within this time beyond `op_timeout`: a node hears of it only when the script runs too long. */
const KILL_EXTRA_MS = 10_000;

/**
 * The same for what stops a running script: it goes over both connections of a node, because the one that the script
 * came by is not read by the node while it runs.
 */
export function onAllConnections(
  client: Client,
  entry: CommandEntry,
  bytes: Bytes,
  start: number,
  end: number,
  combine: Combine,
): void {
  const { core } = client;
  core.countRequest(entry);
  const targets: Target[] = [];
  for (const target of allMasters(client)) {
    const node = target.router.nodeAt(target.router.slotMap.nodeOf(Math.max(0, target.slot)));
    if (node === undefined) targets.push(target);
    else for (const proto of [2, 3]) targets.push({ ...target, lane: node.lane(withProto(client.laneId, proto)) });
  }
  runOn(client, entry, bytes, start, end, combine, targets, core.nowMs + KILL_EXTRA_MS);
}

function runOn(
  client: Client,
  entry: CommandEntry,
  bytes: Bytes,
  start: number,
  end: number,
  combine: Combine,
  targets: readonly Target[],
  startedMs: number,
): void {
  const parent = beginTask(client, entry, new AllMasters(client, targets, combine));
  for (const { router, slot, lane } of targets) sendPart(parent, { bytes, start, end, router, slot, lane, startedMs });
}
