import type { Bytes } from '../bytes.js';
import type { Core } from '../core/core.js';
import type { Handler } from '../core/handlers.js';
import type { Request } from '../core/request.js';
import type { Router } from '../core/router.js';
import { finishTask, sendPart } from '../core/task.js';
import { nullReply } from '../resp/encode.js';
import { type Answer, bytesOf, isError } from './answers.js';
import { beginShardTask, type Partition, type ShardTask } from './shards.js';

/** RANDOMKEY: of a random shard, or of the next one when that has no keys; null only when all are empty. */
export const randomKey: Handler = (client, entry, bytes, start, frame) => {
  const { core } = client;
  core.countRequest(entry);
  const command = { bytes, start, end: frame.end };
  beginShardTask(client, entry, core.router, new RandomKey(core, core.router, command));
  return true;
};

class RandomKey implements ShardTask {
  private slots: number[] = [];
  private error: Bytes | null = null;

  constructor(
    private readonly core: Core,
    private readonly router: Router,
    private readonly command: { readonly bytes: Bytes; readonly start: number; readonly end: number },
  ) {}

  begin(parent: Request, { shards }: Partition): void {
    const first = Math.floor(this.core.random() * shards.length);
    this.slots = shards.map((_, i) => shards[(first + i) % shards.length].slot);
    this.next(parent);
  }

  private next(parent: Request): void {
    sendPart(parent, { ...this.command, router: this.router, slot: this.slots.shift() as number });
  }

  answered(part: Request): void {
    const { core } = this;
    const parent = part.parent as Request;
    const answer: Answer = { bytes: part.reply as Bytes, start: part.replyStart, end: part.replyEnd, from: '' };
    if (isError(answer)) this.error ??= bytesOf(answer);
    else if (!isNull(answer)) {
      finishTask(core, parent, [bytesOf(answer)]);
      return;
    }
    if (this.slots.length > 0 && parent.client !== null) this.next(parent);
    else finishTask(core, parent, [this.error ?? core.text(nullReply(parent.proto))], this.error !== null);
  }
}

/** `_`, or `$-1`. */
function isNull({ bytes, start }: Answer): boolean {
  return bytes[start] === 95 || (bytes[start] === 36 && bytes[start + 1] === 45);
}
