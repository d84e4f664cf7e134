import { type Bytes, latin1 } from '../bytes.js';
import type { Hub } from './hub.js';
import { kindOf } from './message-kind.js';
import type { MessageReader } from './message-reader.js';
import type { Recent } from './recent.js';
import type { Link } from './topic.js';

/** A received buffer up to this size is kept until the next message, to compare names with. */
const NAME_BUFFER_BYTES_MAX = 1024 * 1024;

/**
 * Messages for one topic that follow one another in what was received: they are delivered as one range, once to each
 * subscriber.
 */
export class MessageBatch {
  private link: Link | null = null;
  private bytes: Bytes | null = null;
  private start = 0;
  private end = 0;
  private readonly starts: number[] = [];

  /** The topic of the message before, which is nearly always that of the next one as well. */
  private lastLink: Link | null = null;
  private lastName: Bytes | null = null;
  private lastStart = 0;
  private lastEnd = 0;

  /** @param links by kind and name */
  constructor(
    private readonly links: readonly ReadonlyMap<string, Link>[],
    private readonly hub: Hub,
    /** Gets what is delivered. */
    private readonly recent: Recent,
  ) {}

  /** Takes the message in `bytes[start, end)`; false when it is none. */
  take(bytes: Bytes, start: number, end: number, { count, starts, ends }: MessageReader): boolean {
    if (count < 3) return false;
    const kind = kindOf(ends[0] - starts[0], bytes[starts[0]]);
    if (kind < 0) return false;
    const link = this.linkOf(kind, bytes, starts[1], ends[1]);
    if (this.link !== link || this.bytes !== bytes || this.end !== start) {
      this.deliver();
      this.link = link;
      this.bytes = bytes;
      this.start = start;
    }
    this.end = end;
    this.starts.push(start);
    return true;
  }

  /** The link that messages under a name belong to; null for what nobody wants any more. */
  private linkOf(kind: number, bytes: Bytes, start: number, end: number): Link | null {
    const last = this.lastLink;
    if (last !== null && last.topic.kind === kind && end - start === this.lastEnd - this.lastStart) {
      const name = this.lastName as Bytes;
      let i = start;
      for (let j = this.lastStart; i < end && bytes[i] === name[j]; j++) i++;
      if (i === end) return last;
    }
    const link = this.links[kind].get(latin1(bytes, start, end)) ?? null;
    if (bytes.length > NAME_BUFFER_BYTES_MAX) return link;
    this.lastLink = link;
    this.lastName = bytes;
    this.lastStart = start;
    this.lastEnd = end;
    return link;
  }

  /** Delivers what was put together. */
  deliver(): void {
    const { link, starts } = this;
    const bytes = this.bytes as Bytes;
    this.link = this.bytes = null;
    if (link !== null && starts.length > 0) {
      const { topic } = link;
      const { hub, start, end } = this;
      this.recent.note(bytes, start, end, hub.core.nowMs);
      if (topic.move !== null) hub.moves.heard(link, bytes, end, starts);
      else if (topic.echo !== null) hub.echoes.heard(link, bytes, end, starts);
      else hub.delivery.deliver(topic, bytes, start, end, starts);
    }
    starts.length = 0;
  }

  /** The link is not there any more. */
  forget(link: Link): void {
    if (this.lastLink === link) this.lastLink = null;
  }

  /** The connection is lost. */
  reset(): void {
    this.link = this.bytes = null;
    this.lastLink = this.lastName = null;
    this.starts.length = 0;
  }
}
