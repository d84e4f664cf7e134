import { latin1 } from '../../engine/bytes.js';
import type { Core } from '../../engine/core/core.js';
import type { Inherited, Teller } from '../../engine/pubsub/inherited.js';
import { kindOf } from '../../engine/pubsub/message-kind.js';
import { MessageReader } from '../../engine/pubsub/message-reader.js';
import type { Topic } from '../../engine/pubsub/topic.js';
import type { Pollable, Poller } from '../sockets/poller.js';
import { EPOLLIN, EPOLLOUT } from '../sockets/system.js';
import { ENDED, NOTHING_YET, type Packet } from './packet.js';
import { decodePassed, type Passed } from './passed.js';
import { decodeNumbers, decodeTopic, encodeNumbers, NUMBERS_MAX, Retold } from './retold.js';

/** Packets that are taken in one turn. */
const PACKETS_PER_TURN = 64;
/** The other process is asked this often how far it is. */
const ASK_MS = 40;
/** … and is believed to be gone when it has not answered for so long. */
const SILENT_MS = 5_000;

/**
 * The side of a worker that takes over: goes on with the subscribers of a worker of the other process. Until it has its
 * own subscriptions, they are told what that one retells.
 */
export class Heir implements Pollable, Teller {
  serial = 0;
  toldUntilMs = Number.NEGATIVE_INFINITY;
  private asked = 0;
  private askedMs = Number.NEGATIVE_INFINITY;
  private answered = true;
  private readonly byNumber = new Map<number, Inherited>();
  /** By kind and name. */
  private readonly byName: readonly Map<string, Inherited>[] = [new Map(), new Map(), new Map()];
  private readonly reader: MessageReader;
  private finished: number[] = [];
  private closed = false;

  /**
   * @param fd connected; closed by the heir
   * @param adopt takes a client's connection, its state, and what it is subscribed to
   */
  constructor(
    private readonly core: Core,
    private readonly poller: Poller,
    private readonly packet: Packet,
    readonly fd: number,
    private readonly adopt: (descriptor: number, passed: Passed, topics: readonly Topic[]) => void,
  ) {
    this.reader = new MessageReader(core.runtime.allocate, {
      item: (bytes, start, end, { count, starts, ends }) => {
        const kind = count < 3 ? -1 : kindOf(ends[0] - starts[0], bytes[starts[0]]);
        if (kind < 0) return;
        this.byName[kind]?.get(latin1(bytes, starts[1], ends[1]))?.told(bytes, start, end);
      },
      line: () => {},
      read: () => {},
    });
  }

  begin(): void {
    if (!this.poller.add(this, EPOLLIN) || !this.send(Uint8Array.of(Retold.hello))) this.close();
  }

  ready(): void {
    this.core.beginEvent();
    if (this.finished.length > 0) this.sayFinished();
    for (let i = 0; i < PACKETS_PER_TURN && !this.closed; i++) {
      const length = this.packet.receive(this.fd);
      if (length === NOTHING_YET) return;
      if (length === ENDED || !this.take(this.packet.payload.slice(0, length), this.packet.descriptor)) this.close();
    }
  }

  tick(nowMs: number): void {
    if (this.closed) return;
    if (!this.answered) {
      if (nowMs - this.askedMs > SILENT_MS) this.close();
    } else if (nowMs - this.askedMs >= ASK_MS && this.send(encodeNumbers(Retold.ask, [this.asked + 1]))) {
      this.asked++;
      this.askedMs = nowMs;
      this.answered = false;
    }
  }

  private takeAnswer(numbers: readonly number[]): void {
    if (this.answered || !numbers.includes(this.asked)) return;
    this.answered = true;
    this.toldUntilMs = this.askedMs;
  }

  /** False: it is nothing that is understood. */
  private take(bytes: Uint8Array, descriptor: number): boolean {
    const what = bytes[0];
    if (what === Retold.client && descriptor >= 0) return this.takeClient(bytes.subarray(1), descriptor);
    if (descriptor >= 0) this.poller.system.close(descriptor);
    if (what === Retold.topic) return this.takeTopic(bytes);
    if (what === Retold.end) {
      for (const number of decodeNumbers(bytes)) this.byNumber.get(number)?.end();
      return true;
    }
    if (what === Retold.answer) {
      this.takeAnswer(decodeNumbers(bytes));
      return true;
    }
    if (what !== Retold.messages) return false;
    const sane = this.reader.read(Buffer.from(bytes.buffer), 1, bytes.length);
    this.core.pubsub.delivery.forget();
    return sane;
  }

  private takeTopic(bytes: Uint8Array): boolean {
    const said = decodeTopic(bytes);
    if (said === null) return false;
    const { number, kind, name } = said;
    const inherited = this.core.pubsub.inheritance.begin(kind, name, this, () => this.finish(number, kind, name));
    this.byNumber.set(number, inherited);
    this.byName[kind].set(name, inherited);
    return true;
  }

  private takeClient(bytes: Uint8Array, descriptor: number): boolean {
    const passed = decodePassed(bytes);
    const topics = passed?.topics.map((number) => this.byNumber.get(number)?.inherited);
    if (passed === null || topics === undefined || topics.includes(undefined)) {
      this.poller.system.close(descriptor);
      return false;
    }
    this.adopt(descriptor, passed, topics as Topic[]);
    return true;
  }

  /** A topic has its own subscription here. */
  private finish(number: number, kind: 0 | 1 | 2, name: string): void {
    const inherited = this.byNumber.get(number);
    this.byNumber.delete(number);
    if (this.byName[kind].get(name) === inherited) this.byName[kind].delete(name);
    if (this.closed) return;
    // Many are finished at once.
    if (this.finished.push(number) === 1) this.core.runtime.defer(() => this.sayFinished());
  }

  private sayFinished(): void {
    while (this.finished.length > 0 && !this.closed) {
      if (!this.send(encodeNumbers(Retold.done, this.finished.slice(0, NUMBERS_MAX)))) {
        this.poller.change(this, EPOLLIN | EPOLLOUT);
        return;
      }
      this.finished.splice(0, NUMBERS_MAX);
    }
    if (!this.closed) this.poller.change(this, EPOLLIN);
  }

  /** False: not now. */
  private send(bytes: Uint8Array): boolean {
    this.packet.payload.set(bytes);
    return this.packet.send(this.fd, -1, bytes.length) === 0;
  }

  /** The other process is gone, or does not make sense: what it has not told is heard from the nodes alone. */
  private close(): void {
    if (this.closed) return;
    this.closed = true;
    this.poller.remove(this);
    this.poller.close(this);
    for (const inherited of [...this.byNumber.values()]) inherited.lost();
  }
}
