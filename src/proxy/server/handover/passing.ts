import { hostOf } from '../../engine/access/addresses.js';
import { isAtRest, isPassable, isPassableAfterWait, passedOf, subscriptionsOf } from '../../engine/clients/passing.js';
import type { Client } from '../../engine/core/client.js';
import type { Core } from '../../engine/core/core.js';
import { Hold } from '../../engine/core/hold.js';
import type { Topic } from '../../engine/pubsub/topic.js';
import { Connection } from '../sockets/connection.js';
import { encodeSocketPath } from '../sockets/socket-address.js';
import {
  AF_UNIX,
  Errno,
  errnoText,
  lastErrno,
  loadSystem,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
  type System,
} from '../sockets/system.js';
import { Packet } from './packet.js';
import { encodePassed } from './passed.js';
import { Ability, type AbilityNumber, Retelling } from './retelling.js';
import { Retold } from './retold.js';

/** Clients that are held, because they are passed on as soon as they have their answers. */
const HELD_MAX = 256;
/** Passed on in one go: a quarter of a millisecond or so for each ten. */
const PASSED_AT_ONCE_MAX = 64;

/** The side of a worker that goes: passes its clients on to the process that takes over. */
export class Passing {
  private readonly packet: Packet;
  private readonly held = new Set<Client>();
  private budget = PASSED_AT_ONCE_MAX;
  /** The other side cannot be reached: the clients are let go in the ordinary way. */
  private failed = false;
  /** Null: subscribers cannot be passed on. */
  private readonly retelling: Retelling | null;

  private constructor(
    private readonly core: Core,
    private readonly system: System,
    private readonly path: Uint8Array,
    heir: string,
  ) {
    this.packet = new Packet(system);
    this.retelling = Retelling.open(core, system, this.packet, heir);
  }

  /**
   * Null where it is not possible.
   * @param path where the other process waits for clients; empty: it does not
   * @param heir where one worker of it waits for those of this worker that subscribe; empty: none does
   */
  static open(core: Core, path: string, heir: string): Passing | null {
    const system = path === '' ? null : loadSystem();
    return system === null ? null : new Passing(core, system, encodeSocketPath(path), heir);
  }

  get settled(): boolean {
    return this.retelling?.settled !== false;
  }

  /**
   * Passes a client on, now or soon.
   * @returns false when it cannot be passed on as it is
   */
  pass(client: Client): boolean {
    const connection = client.transport;
    const able = !this.failed && connection instanceof Connection;
    if (able && isPassableAfterWait(client)) {
      client.setHold(Hold.passing);
      return true;
    }
    if (!able || !isPassable(client)) {
      this.release(client);
      return false;
    }
    const topics = subscriptionsOf(client);
    const ability = this.ability(topics);
    if (topics === null || ability !== Ability.now) {
      this.release(client);
      return ability === Ability.soon;
    }
    if (!this.held.has(client)) {
      if (this.held.size >= HELD_MAX) return true;
      this.held.add(client);
      // Nothing more is read of it; what it sends meanwhile stays in its connection.
      client.setHold(Hold.passing);
    }
    if (this.budget <= 0 || !isAtRest(client)) return true;
    return topics.length === 0 ? this.send(client, connection) : this.sendWith(client, connection, topics);
  }

  /** Looks after those that were waiting for their answers. Called every few milliseconds. */
  urge(): void {
    this.budget = PASSED_AT_ONCE_MAX;
    this.retelling?.urge();
    for (const client of [...this.held]) {
      if (client.closed) this.held.delete(client);
      else this.pass(client);
    }
  }

  private release(client: Client): void {
    this.held.delete(client);
    client.liftHold(Hold.passing);
  }

  private send(client: Client, connection: Connection<unknown>): boolean {
    const { system, packet } = this;
    this.budget--;
    const length = encodePassed(packet.payload, passedOf(client), pathOf(client, connection), client.carry);
    const socket = system.socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket < 0) return true;
    let errno = system.connect(socket, this.path, this.path.length) === 0 ? 0 : lastErrno(system);
    if (errno === 0) errno = packet.send(socket, connection.fd, length);
    system.close(socket);
    // As many wait there as may: soon.
    if (errno === Errno.EAGAIN) return true;
    if (errno !== 0) {
      this.failed = true;
      this.core.logs.note('warn', 'clients cannot be passed on; they are let go', { reason: errnoText(errno) });
      for (const each of this.core.clients) this.release(each);
      return false;
    }
    this.gone(client, connection);
    return true;
  }

  /** A client with subscriptions goes in one order with what is said of their topics. @returns true: it has gone, or goes soon */
  private sendWith(client: Client, connection: Connection<unknown>, topics: readonly Topic[]): boolean {
    const retelling = this.retelling as Retelling;
    const numbers = retelling.begin(topics);
    if (numbers === null) return true;
    this.budget--;
    const { payload } = this.packet;
    payload[0] = Retold.client;
    const length =
      1 + encodePassed(payload.subarray(1), passedOf(client), pathOf(client, connection), client.carry, numbers);
    if (retelling.send(connection.fd, length) === 0) this.gone(client, connection);
    return true;
  }

  private ability(topics: readonly Topic[] | null): AbilityNumber {
    if (topics === null) return Ability.soon;
    return topics.length === 0 ? Ability.now : (this.retelling?.ability(topics) ?? Ability.never);
  }

  private gone(client: Client, connection: Connection<unknown>): void {
    this.held.delete(client);
    connection.detach();
    this.core.left(client);
  }
}

/** Of the Unix socket that it came by; empty for a port. */
function pathOf(client: Client, connection: Connection<unknown>): string {
  return connection.remoteAddress === '' ? hostOf(client.address) : '';
}
