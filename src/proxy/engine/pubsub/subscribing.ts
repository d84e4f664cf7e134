import type { Bytes } from '../bytes.js';
import type { Scheduled } from '../core/deadlines.js';
import type { Request } from '../core/request.js';
import type { Task } from '../core/task.js';
import type { Topic, TopicKindNumber } from './topic.js';

/** One SUBSCRIBE or UNSUBSCRIBE command of any kind that has to wait for its turn, or for a node. */
export class Subscribing implements Task, Scheduled {
  dueMs = Number.POSITIVE_INFINITY;
  /** Its place in the client's order, once it has one. */
  parent: Request | null = null;
  /** Topics that no node has confirmed yet. */
  missing = 0;
  /** Why it cannot be: an error reply. */
  error: Bytes | null = null;

  constructor(
    readonly kind: TopicKindNumber,
    readonly add: boolean,
    /** Null: all that there are, for an unsubscription. */
    readonly names: readonly string[] | null,
    /** Of a subscription, in the order of the names. */
    readonly topics: readonly Topic[],
    private readonly expired: (self: Subscribing) => void,
  ) {}

  /** It has waited for its topics for an `op_timeout`. */
  due(): void {
    this.expired(this);
  }

  /** It sends nothing itself. */
  answered(): void {}

  get ready(): boolean {
    return this.missing === 0 || this.error !== null;
  }
}
