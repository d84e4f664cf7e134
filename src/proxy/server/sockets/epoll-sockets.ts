import { dns } from 'bun';
import type { Core } from '../../engine/core/core.js';
import type { Topic } from '../../engine/pubsub/topic.js';
import { Adopter, Delivery } from '../handover/adopter.js';
import { Heir } from '../handover/heir.js';
import { Packet } from '../handover/packet.js';
import type { Passed } from '../handover/passed.js';
import { Acceptor } from './acceptor.js';
import { BunSockets, KEEPALIVE_MS } from './bun-sockets.js';
import { Connection, type Lingering } from './connection.js';
import { Connector } from './connector.js';
import { Poller } from './poller.js';
import { findRuntimeLoop } from './runtime-loop.js';
import { decodeSocketAddress, encodeSocketAddress, SOCKADDR_BYTES_MAX } from './socket-address.js';
import type { ListenPlace, PlainHandlers, PlainListener, Sockets } from './sockets.js';
import {
  errnoCode,
  errnoText,
  IPPROTO_TCP,
  lastErrno,
  loadSystem,
  SO_KEEPALIVE,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  type System,
  setOption,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_NODELAY,
  TCP_RTO_MAX_MS,
} from './system.js';

/** Connections that wait to be accepted: Redis's `tcp-backlog`. */
const BACKLOG = 511;
/** A silent connection is given up after so many probes, at this distance. */
const PROBES = 3;
const PROBE_S = KEEPALIVE_MS / 1000 / PROBES;
/** What got lost is sent again after so long at most; else that doubles, up to two minutes after a long cut. */
const SENT_AGAIN_MS = 1_000;
/** What lasts too long is looked for this often. */
const SWEEP_MS = 100;
/** Addresses of one name that are tried, one after the other. */
const ADDRESSES_MAX = 8;

/**
 * Sockets straight on the system's calls. The runtime's own take 1.3 µs of its time for each piece that comes and is
 * answered, these 0.3 (docs/decisions/0015).
 */
export class EpollSockets implements Sockets {
  readonly kind = 'epoll';
  private readonly lingering = new Set<Lingering>();
  private readonly acceptors = new Set<Acceptor<unknown>>();
  /** What is on its way to a connection, and lasts too long at some time. */
  private readonly connecting = new Set<Expiring>();
  /** For hosts that are given by name. */
  private readonly others = new BunSockets();

  private constructor(
    private readonly system: System,
    private readonly poller: Poller,
  ) {
    this.every(SWEEP_MS, () => this.sweep());
  }

  /** Null where they cannot be had. */
  static open(): EpollSockets | null {
    const system = loadSystem();
    const loop = system === null ? null : findRuntimeLoop(system);
    if (system === null || loop === null) return null;
    const poller = new Poller(system);
    poller.start(loop);
    return new EpollSockets(system, poller);
  }

  get descriptor(): number {
    return this.poller.fd;
  }

  defer(callback: () => void): void {
    this.poller.defer(callback);
  }

  yield(): void {
    this.poller.yield();
  }

  every(ms: number, callback: () => void): void {
    this.poller.every(ms, callback);
  }

  listen<Data>(place: ListenPlace, handlers: PlainHandlers<Data>): PlainListener {
    if ('fd' in place) return this.accept(place.fd, 0, handlers, true);
    const address = encodeSocketAddress(place.host, place.port);
    if (address === null) return this.others.listen(place, handlers);
    const { system } = this;
    const fd = this.open(address);
    // The kernel spreads connections over the workers: each has a socket of its own for a port.
    setOption(system, fd, SOL_SOCKET, SO_REUSEADDR, 1);
    setOption(system, fd, SOL_SOCKET, SO_REUSEPORT, 1);
    // Connections have these from the socket that they were accepted from.
    this.tune(fd);
    if (system.bind(fd, address, address.length) !== 0 || system.listen(fd, BACKLOG) !== 0) {
      const errno = lastErrno(system);
      system.close(fd);
      throw systemError(errno);
    }
    return this.accept(fd, this.portOf(fd), handlers, false);
  }

  private accept<Data>(fd: number, port: number, handlers: PlainHandlers<Data>, isPath: boolean): PlainListener {
    const acceptor = new Acceptor(this.poller, fd, port, handlers, isPath, this.lingering);
    this.acceptors.add(acceptor as Acceptor<unknown>);
    return {
      port,
      stop: () => {
        this.acceptors.delete(acceptor as Acceptor<unknown>);
        acceptor.stop();
      },
    };
  }

  /**
   * Takes over a connection of another process. Nothing is heard of it before `begin`.
   * @param isPath it is of a Unix socket
   */
  adopt<Data>(fd: number, data: Data, handlers: PlainHandlers<Data>, isPath: boolean): Connection<Data> {
    const address = new Uint8Array(SOCKADDR_BYTES_MAX);
    this.system.getpeername(fd, address, new Int32Array([SOCKADDR_BYTES_MAX]));
    const peer = isPath ? null : decodeSocketAddress(address);
    return new Connection<Data>(this.poller, fd, data, handlers, peer, this.lingering);
  }

  /** Waits for connections that another process passes on. @param fd listening; it is closed in the end */
  adopter(fd: number, adopt: (descriptor: number, passed: Passed) => void): Adopter {
    const packet = new Packet(this.system);
    return new Adopter(this.poller, fd, (each) => new Delivery(this.poller, packet, each, adopt).begin());
  }

  /** Waits for workers of another process that pass their subscribers on. @param fd listening; it is closed in the end */
  heirs(
    core: Core,
    fd: number,
    adopt: (descriptor: number, passed: Passed, topics: readonly Topic[]) => void,
  ): Adopter {
    const packet = new Packet(this.system);
    return new Adopter(this.poller, fd, (each) => new Heir(core, this.poller, packet, each, adopt).begin());
  }

  connect<Data>(
    host: string,
    port: number,
    timeoutMs: number,
    data: Data,
    handlers: PlainHandlers<Data>,
    failed: (reason: string) => void,
  ): void {
    const attempt: Attempt<Data> = { untilMs: performance.now() + timeoutMs, data, handlers, failed };
    const address = encodeSocketAddress(host, port);
    if (address !== null) {
      this.try([address], attempt);
      return;
    }
    // The answer comes by the runtime's loop, and may come much later than anybody waits: a resolver has times of its own.
    this.poller.yield();
    const lookup: Expiring = {
      expire: (nowMs) => {
        if (nowMs >= attempt.untilMs) settle(() => failed(`${host} was not looked up within ${timeoutMs} ms`));
      },
    };
    const settle = (then: () => void) => {
      if (this.connecting.delete(lookup)) then();
    };
    this.connecting.add(lookup);
    dns.lookup(host, { backend: 'system' }).then(
      (found) => {
        const addresses = found.flatMap(({ address }) => encodeSocketAddress(address, port) ?? []);
        settle(() => this.try(addresses.slice(0, ADDRESSES_MAX), attempt));
      },
      (error: Error & { code?: string }) =>
        settle(() => failed(`${host} is not known: ${error.code ?? error.message}`)),
    );
  }

  /** Tries the addresses one after the other. Each has its share of the time: a silent one leaves some for the others. */
  private try<Data>(addresses: readonly Uint8Array[], attempt: Attempt<Data>, reason = 'no address'): void {
    const { poller, system } = this;
    const [address, ...others] = addresses;
    const next = (said: string) => this.try(others, attempt, said);
    const now = performance.now();
    if (address === undefined || now >= attempt.untilMs) {
      poller.defer(() => attempt.failed(reason));
      return;
    }
    let fd: number;
    try {
      fd = this.open(address);
    } catch (error) {
      next((error as Error).message);
      return;
    }
    this.tune(fd);
    // Kernels before 6.15 refuse it.
    setOption(system, fd, IPPROTO_TCP, TCP_RTO_MAX_MS, SENT_AGAIN_MS);
    const peer = decodeSocketAddress(address);
    const untilMs = now + (attempt.untilMs - now) / addresses.length;
    const connector = new Connector(poller, fd, address, untilMs, (problem) => {
      this.connecting.delete(connector);
      if (problem !== null) {
        system.close(fd);
        next(problem);
        return;
      }
      const connection = new Connection<Data>(poller, fd, attempt.data, attempt.handlers, peer, this.lingering);
      connection.proceed();
      attempt.handlers.open(connection);
    });
    this.connecting.add(connector);
    connector.begin();
  }

  /** @throws Error when the system gives no socket */
  private open(address: Uint8Array): number {
    const fd = this.system.socket(address[0] as number, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) throw systemError(lastErrno(this.system));
    return fd;
  }

  private tune(fd: number): void {
    const { system } = this;
    setOption(system, fd, IPPROTO_TCP, TCP_NODELAY, 1);
    setOption(system, fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    setOption(system, fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_MS / 1000);
    setOption(system, fd, IPPROTO_TCP, TCP_KEEPINTVL, PROBE_S);
    setOption(system, fd, IPPROTO_TCP, TCP_KEEPCNT, PROBES);
  }

  private portOf(fd: number): number {
    const address = new Uint8Array(SOCKADDR_BYTES_MAX);
    this.system.getsockname(fd, address, new Int32Array([SOCKADDR_BYTES_MAX]));
    return decodeSocketAddress(address).port;
  }

  private sweep(): void {
    const now = performance.now();
    for (const connection of this.lingering) if (now >= connection.lingerUntilMs) connection.terminate();
    for (const each of [...this.connecting]) each.expire(now);
    for (const acceptor of this.acceptors) acceptor.retry();
  }
}

interface Expiring {
  expire(nowMs: number): void;
}

interface Attempt<Data> {
  readonly untilMs: number;
  readonly data: Data;
  readonly handlers: PlainHandlers<Data>;
  readonly failed: (reason: string) => void;
}

function systemError(errno: number): Error {
  return Object.assign(new Error(errnoText(errno)), { code: errnoCode(errno) });
}
