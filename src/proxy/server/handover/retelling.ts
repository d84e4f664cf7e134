import type { Bytes } from '../../engine/bytes.js';
import type { Core } from '../../engine/core/core.js';
import type { Hearer, Topic } from '../../engine/pubsub/topic.js';
import { encodeSocketPath } from '../sockets/socket-address.js';
import {
  AF_UNIX,
  Errno,
  errnoText,
  lastErrno,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
  type System,
} from '../sockets/system.js';
import { ENDED, NOTHING_YET, type Packet } from './packet.js';
import { decodeNumbers, encodeNumbers, encodeTopic, NUMBERS_MAX, RETOLD_NAME_BYTES_MAX, Retold } from './retold.js';

/** Bytes that wait to be retold; with more, the other side is too slow, and goes on alone. */
const BACKLOG_BYTES_MAX = 16 * 1024 * 1024;
/** … and with this, no other topic is announced before it has gone. */
const ANNOUNCED_BYTES_MAX = 1024 * 1024;
/** Of messages in one packet. */
const PIECE_BYTES_MIN = 4 * 1024;
const PIECE_BYTES_MAX = 64 * 1024;
/** The other side says that it listens within this time. */
const HELLO_MS = 5_000;

/** Whether a client can be passed on with its subscriptions. */
export const Ability = { now: 0, soon: 1, never: 2 } as const;
export type AbilityNumber = (typeof Ability)[keyof typeof Ability];

/** Waits to be sent. */
interface Piece {
  readonly bytes: Uint8Array;
  used: number;
}

/** A topic that is retold. */
class Told implements Hearer {
  readonly inherited = null;
  /** The other side knows that no client of it comes any more. */
  ended = false;

  constructor(
    readonly number: number,
    readonly topic: Topic,
    readonly heard: (bytes: Bytes, start: number, end: number) => void,
  ) {}
}

/**
 * The side of a worker that goes: retells what it delivers to the topics whose subscribers it passes on, so that these
 * hear all of it there, once, until the other side has its own subscriptions (engine/pubsub/inherited.ts).
 */
export class Retelling {
  private listens = false;
  private failed = false;
  private readonly begunMs: number;
  private readonly told = new Map<Topic, Told>();
  private readonly topics = new Map<number, Topic>();
  private numbers = 0;
  private backlog: Piece[] = [];
  private backlogBytes = 0;

  private constructor(
    private readonly core: Core,
    private readonly system: System,
    private readonly packet: Packet,
    private readonly socket: number,
  ) {
    this.begunMs = core.nowMs;
  }

  /** Null where nobody listens. @param path where one worker of the other process does; empty: none does */
  static open(core: Core, system: System, packet: Packet, path: string): Retelling | null {
    if (path === '') return null;
    const socket = system.socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket < 0) return null;
    const address = encodeSocketPath(path);
    if (system.connect(socket, address, address.length) === 0) return new Retelling(core, system, packet, socket);
    const reason = errnoText(lastErrno(system));
    system.close(socket);
    core.logs.note('warn', 'subscribers cannot be passed on; they are let go', { reason });
    return null;
  }

  /** All is told, and the other side has its own subscriptions. */
  get settled(): boolean {
    return this.failed || (this.told.size === 0 && this.backlog.length === 0);
  }

  /** Whether subscribers of these topics can be passed on. */
  ability(topics: readonly Topic[]): AbilityNumber {
    if (this.failed || topics.some(({ name }) => name.length > RETOLD_NAME_BYTES_MAX)) return Ability.never;
    // One that was thought to be over has subscribers again: it begins anew when it is over.
    return this.listens && topics.every((topic) => this.told.get(topic)?.ended !== true) ? Ability.now : Ability.soon;
  }

  /** Retells topics from here on. @returns their numbers; null: what was told before has not all gone yet */
  begin(topics: readonly Topic[]): number[] | null {
    const numbers: number[] = [];
    for (const topic of topics) {
      // Long names of one client are announced little by little.
      if (this.backlogBytes > ANNOUNCED_BYTES_MAX) break;
      numbers.push((this.told.get(topic) ?? this.beginOne(topic)).number);
    }
    this.flush();
    return this.backlog.length === 0 && !this.failed && numbers.length === topics.length ? numbers : null;
  }

  /**
   * Sends `packet.payload[0, length)`, which begins with `Retold.client`, and its connection. All else has gone before.
   * @returns 0, or the system's error
   */
  send(descriptor: number, length: number): number {
    const errno = this.packet.send(this.socket, descriptor, length);
    if (errno !== 0 && errno !== Errno.EAGAIN) this.fail(errnoText(errno));
    return errno;
  }

  /** Called every few milliseconds. */
  urge(): void {
    // It is asked nothing, and has nothing to say.
    if (this.listens && this.told.size === 0 && this.backlog.length === 0) return;
    this.receive();
    if (this.failed) return;
    if (!this.listens && this.core.nowMs - this.begunMs > HELLO_MS) {
      this.fail('it does not listen');
      return;
    }
    const ended = [...this.told.values()].filter(({ ended, topic }) => !ended && isDeserted(topic));
    for (const each of ended) each.ended = true;
    for (let i = 0; i < ended.length; i += NUMBERS_MAX) {
      const numbers = ended.slice(i, i + NUMBERS_MAX).map(({ number }) => number);
      this.put(encodeNumbers(Retold.end, numbers));
    }
    this.flush();
  }

  private beginOne(topic: Topic): Told {
    const { pubsub } = this.core;
    const told = new Told(++this.numbers, topic, (bytes, start, end) => this.say(bytes, start, end));
    pubsub.hold(topic.kind, topic.name, topic.slot, topic.identity);
    topic.addHearer(told);
    this.told.set(topic, told);
    this.topics.set(told.number, topic);
    this.put(encodeTopic(told.number, topic.kind, topic.name));
    return told;
  }

  private release(told: Told): void {
    const { topic, number } = told;
    topic.removeHearer(told);
    this.told.delete(topic);
    this.topics.delete(number);
    this.core.pubsub.release(topic);
  }

  private say(bytes: Bytes, start: number, end: number): void {
    while (start < end) {
      let last = this.backlog.at(-1);
      if (last === undefined || last.bytes[0] !== Retold.messages || last.used === last.bytes.length) {
        const size = 1 + Math.min(PIECE_BYTES_MAX, Math.max(PIECE_BYTES_MIN, end - start));
        last = { bytes: new Uint8Array(size), used: 1 };
        last.bytes[0] = Retold.messages;
        this.add(last);
      }
      const length = Math.min(end - start, last.bytes.length - last.used);
      bytes.copy(last.bytes, last.used, start, start + length);
      last.used += length;
      start += length;
    }
    if (this.backlogBytes > BACKLOG_BYTES_MAX) this.fail('it is too slow');
  }

  private put(bytes: Uint8Array): void {
    this.add({ bytes, used: bytes.length });
  }

  private add(piece: Piece): void {
    this.backlogBytes += piece.bytes.length;
    // What more of it comes in this turn goes with it.
    if (this.backlog.push(piece) === 1) this.core.runtime.defer(this.flush);
  }

  private readonly flush = (): void => {
    const { backlog, packet } = this;
    let sent = 0;
    for (; sent < backlog.length && !this.failed; sent++) {
      const { bytes, used } = backlog[sent] as Piece;
      packet.payload.set(bytes.subarray(0, used));
      const errno = packet.send(this.socket, -1, used);
      if (errno === Errno.EAGAIN) break;
      if (errno !== 0) this.fail(errnoText(errno));
      else this.backlogBytes -= bytes.length;
    }
    backlog.splice(0, sent);
  };

  private receive(): void {
    while (!this.failed) {
      const { packet } = this;
      const length = packet.receive(this.socket);
      if (length === NOTHING_YET) return;
      if (packet.descriptor >= 0) this.system.close(packet.descriptor);
      if (length === ENDED) {
        this.fail('it is gone');
        return;
      }
      const said = packet.payload.slice(0, length);
      if (said[0] === Retold.hello) this.listens = true;
      else if (said[0] === Retold.done) this.done(decodeNumbers(said));
      // This is called at the end of a turn: what had come from the nodes before it has been said.
      else if (said[0] === Retold.ask) this.put(encodeNumbers(Retold.answer, decodeNumbers(said)));
    }
  }

  private done(numbers: readonly number[]): void {
    for (const number of numbers) {
      const told = this.told.get(this.topics.get(number) as Topic);
      if (told !== undefined) this.release(told);
    }
  }

  /** The other side goes on alone. Clients that are still here are let go in the ordinary way. */
  private fail(reason: string): void {
    if (this.failed) return;
    this.failed = true;
    this.backlog = [];
    this.backlogBytes = 0;
    const told = [...this.told.values()];
    for (const each of told) this.release(each);
    this.system.close(this.socket);
    if (told.length === 0) return;
    this.core.logs.note('warn', 'what is published is not told to the process that takes over any more', { reason });
  }
}

/** No client is subscribed to it, or is about to be: the one hold is that of who retells it. */
function isDeserted(topic: Topic): boolean {
  return topic.subscribers.length === 0 && topic.holds <= 1;
}
