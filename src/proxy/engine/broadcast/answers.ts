import { type Bytes, latin1 } from '../bytes.js';
import type { Core } from '../core/core.js';
import type { MergedReply } from '../core/merge.js';
import type { Request } from '../core/request.js';
import type { Router } from '../core/router.js';
import { finishTask, sendPart } from '../core/task.js';
import type { UpstreamNode } from '../core/upstream-node.js';
import type { Partition, ShardTask } from './shards.js';
import { allNodes } from './shards.js';

/** One upstream's reply to a command that several were asked. */
export interface Answer {
  readonly bytes: Bytes;
  readonly start: number;
  readonly end: number;
  /** Who was asked, `host:port`, for texts that people read. */
  readonly from: string;
}

const ERROR = 45;

export function isError(answer: Answer): boolean {
  return answer.bytes[answer.start] === ERROR;
}

/** The bytes of an answer, passed on as they are. */
export function bytesOf({ bytes, start, end }: Answer): Bytes {
  return start === 0 && end === bytes.length ? bytes : (bytes.subarray(start, end) as Bytes);
}

/**
 * What the client is told when some could not do it; null when all could. What all refused for one reason (NOPERM, a
 * syntax error) is told in their words, anything else in Envoy's.
 */
export function errorOf(core: Core, answers: readonly Answer[]): MergedReply | null {
  const errors = answers.filter(isError);
  if (errors.length === 0) return null;
  const [first] = errors;
  const text = ({ bytes, start, end }: Answer) => latin1(bytes, start, end);
  if (errors.length === answers.length && errors.every((error) => text(error) === text(first))) {
    return { pieces: [bytesOf(first)], failed: true };
  }
  return { pieces: [core.text(`-finished with ${errors.length} error(s)\r\n`)], failed: true };
}

/** Puts the answers together; they are in the order in which the upstreams were asked, and there is at least one. */
export type Merge = (core: Core, answers: readonly Answer[], proto: number) => MergedReply;

/** Sends one command to all masters, or to all nodes, and puts the answers together. */
export class Gather implements ShardTask {
  private answers: Answer[] = [];
  private names: string[] = [];
  private remaining = 0;

  constructor(
    private readonly core: Core,
    private readonly router: Router,
    /** The command; it is not copied. */
    private readonly command: { readonly bytes: Bytes; readonly start: number; readonly end: number },
    /** All nodes, replicas too; else the master of every shard. */
    private readonly toNodes: boolean,
    private readonly merge: Merge,
  ) {}

  begin(parent: Request, { shards }: Partition): void {
    const { router } = this;
    if (this.toNodes) {
      const nodes = allNodes(router);
      this.expect(nodes);
      for (let i = 0; i < nodes.length; i++) {
        const lane = nodes[i].lane(parent.laneId);
        sendPart(parent, { ...this.command, router, lane, pinned: true, index: i });
      }
      return;
    }
    this.expect(shards.map(({ nodeIndex }) => router.nodeAt(nodeIndex)));
    for (let i = 0; i < shards.length; i++) {
      sendPart(parent, { ...this.command, router: router, slot: shards[i].slot, index: i });
    }
  }

  private expect(nodes: (UpstreamNode | undefined)[]): void {
    this.names = nodes.map((node) => node?.address ?? '');
    this.answers = new Array(nodes.length);
    this.remaining = nodes.length;
  }

  answered(part: Request): void {
    const { core } = this;
    const parent = part.parent as Request;
    const index = part.firstGroup;
    const { replyStart: start, replyEnd: end } = part;
    this.answers[index] = { bytes: part.reply as Bytes, start, end, from: this.names[index] };
    // Answers that wait for the others count as replies that wait for their turn, and have their bound.
    if (parent.client !== null) core.replies.hold(parent, end - start);
    if (--this.remaining > 0) return;
    core.replies.unhold(parent);
    if (parent.client === null) {
      finishTask(core, parent, []);
      return;
    }
    const { pieces, failed } = this.merge(core, this.answers, parent.proto);
    finishTask(core, parent, pieces, failed);
  }
}
