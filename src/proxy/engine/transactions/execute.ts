import type { Bytes } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import { Hold } from '../core/hold.js';
import { type Lane, LaneState } from '../core/lane.js';
import type { Redirect } from '../core/redirect.js';
import { acquireRequest, Lost, type Request, releaseRequest } from '../core/request.js';
import { beginTask, finishTask, sendPart, type Task } from '../core/task.js';
import { abortText, readBlock } from './replies.js';
import type { Transaction } from './transaction.js';
import { type Watch, watchOf } from './watch.js';

/** EXEC: sends the transaction, or answers for it. */
export function execute(client: Client, entry: CommandEntry, transaction: Transaction): void {
  const { core } = client;
  const watch = watchOf(client);
  if (watch !== null) {
    if (watch.holds) new WatchedBlock(client, entry, transaction, watch);
    else {
      transaction.release();
      endWatch(client, entry, nil(client), false);
    }
  } else if (transaction.count === 0) {
    transaction.release();
    client.reply(core.text('*0\r\n'));
  } else new Block(client, entry, transaction);
}

function nil(client: Client): Bytes {
  return client.core.text(client.proto === 3 ? '_\r\n' : '*-1\r\n');
}

/** A transaction on its way over the shared connection. */
class Block implements Task {
  private readonly parent: Request;

  constructor(
    private readonly client: Client,
    entry: CommandEntry,
    private readonly transaction: Transaction,
  ) {
    const { buffer, length, slot, count, repeatable } = transaction;
    this.parent = beginTask(client, entry, this);
    sendPart(this.parent, {
      bytes: buffer,
      end: length,
      router: transaction.router ?? client.core.router,
      slot,
      replies: count + 2,
      entry: repeatable ?? entry,
    });
  }

  answered(part: Request): void {
    const { core } = this.client;
    const bytes = part.reply as Bytes;
    if (part.failed || this.parent.client === null) {
      this.finish(bytes.subarray(part.replyStart, part.replyEnd) as Bytes, true);
      return;
    }
    const { at, redirect, refusal } = readBlock(bytes, part.replyStart, part.replyEnd, this.transaction.count);
    if (redirect !== null && this.again(part, redirect)) return;
    const failed = bytes[at] === 45;
    if (failed && refusal !== '') this.finish(core.text(abortText(refusal)), true);
    else this.finish(bytes.subarray(at, part.replyEnd) as Bytes, failed);
  }

  /** Nothing was executed: the whole block goes where it belongs. It keeps its place among the client's commands. */
  private again(part: Request, redirect: Redirect): boolean {
    const { core } = this.client;
    const again = acquireRequest();
    again.entry = part.entry;
    again.bytes = part.bytes;
    again.start = part.start;
    again.end = part.end;
    again.router = part.router;
    again.slot = part.slot;
    again.laneId = part.laneId;
    again.startedMs = part.startedMs;
    again.attempts = part.attempts;
    again.replies = this.transaction.count + 2;
    again.parent = this.parent;
    again.order = part.order;
    if (core.retries.follow(again, redirect, core.readingLane as Lane)) return true;
    releaseRequest(again);
    return false;
  }

  private finish(reply: Bytes, failed: boolean): void {
    this.transaction.release();
    finishTask(this.client.core, this.parent, [reply], failed);
  }
}

/** A transaction on its way over the connection that its client watches keys on. */
class WatchedBlock implements Task {
  private readonly parent: Request;

  constructor(
    private readonly client: Client,
    entry: CommandEntry,
    private readonly transaction: Transaction,
    private readonly watch: Watch,
  ) {
    this.parent = beginTask(client, entry, this);
    const { lane, router, slot } = watch;
    const { buffer, length, count } = transaction;
    router.dedicated.expectReply(lane, this.parent.startedMs);
    sendPart(this.parent, { bytes: buffer, end: length, router, slot, lane, pinned: true, replies: count + 2 });
    // It goes another way than what the client sends from now on.
    client.setHold(Hold.order);
  }

  answered(part: Request): void {
    const { client, watch, parent } = this;
    const pool = watch.router.dedicated;
    const bytes = part.reply as Bytes;
    watch.end();
    if (part.failed || parent.client === null) {
      pool.discard(watch.lane);
      const reply = bytes.subarray(part.replyStart, part.replyEnd) as Bytes;
      // What was not sent has not been executed: to the client it is as if a key had changed.
      if (part.lost === Lost.unsent) this.finish(nil(client), false);
      else this.finish(reply, true);
      return;
    }
    // Whatever EXEC says, nothing is watched after it.
    pool.release(watch.lane);
    const { at, redirect, refusal } = readBlock(bytes, part.replyStart, part.replyEnd, this.transaction.count);
    const failed = bytes[at] === 45;
    if (redirect !== null) {
      watch.router.requestRefresh(redirect.type === 'moved' ? 'moved' : 'cluster_down');
      this.finish(nil(client), false);
    } else if (failed && refusal !== '') this.finish(client.core.text(abortText(refusal)), true);
    else this.finish(bytes.subarray(at, part.replyEnd) as Bytes, failed);
  }

  private finish(reply: Bytes, failed: boolean): void {
    this.transaction.release();
    finishTask(this.client.core, this.parent, [reply], failed);
  }
}

/** Has the server forget what the client watches, and answers. Without a watch it answers at once. */
export function endWatch(client: Client, entry: CommandEntry, reply: Bytes, failed: boolean): void {
  const watch = watchOf(client);
  if (watch !== null && watch.lane.state === LaneState.ready) {
    new Unwatching(client, entry, watch, reply, failed);
    return;
  }
  watch?.discard();
  if (failed) client.core.countError(entry);
  client.reply(reply);
}

class Unwatching implements Task {
  private readonly parent: Request;

  constructor(
    private readonly client: Client,
    entry: CommandEntry,
    private readonly watch: Watch,
    private readonly reply: Bytes,
    private readonly replyFails: boolean,
  ) {
    this.parent = beginTask(client, entry, this);
    const { router, slot, lane } = watch;
    const bytes = client.core.text('*1\r\n$7\r\nUNWATCH\r\n');
    router.dedicated.expectReply(lane, this.parent.startedMs);
    sendPart(this.parent, { bytes, router, slot, lane, pinned: true });
    client.setHold(Hold.order);
  }

  answered(part: Request): void {
    const { watch } = this;
    const { dedicated } = watch.router;
    watch.end();
    if (part.failed || (part.reply as Bytes)[part.replyStart] === 45) dedicated.discard(watch.lane);
    else dedicated.release(watch.lane);
    finishTask(this.client.core, this.parent, [this.reply], this.replyFails);
  }
}
