import { NO_PLACE } from '../engine/admission/admission.js';
import { type Bytes, utf8Encoded } from '../engine/bytes.js';
import { takeUp } from '../engine/clients/passing.js';
import type { Client } from '../engine/core/client.js';
import type { Core } from '../engine/core/core.js';
import type { Transport } from '../engine/core/runtime.js';
import type { Topic } from '../engine/pubsub/topic.js';
import { Counter } from '../engine/stats.js';
import { countLarge, LARGE_CHUNK_BYTES } from './collector.js';
import type { Passed } from './handover/passed.js';
import type { WorkerAddress } from './messages.js';
import { faultText, post } from './post.js';
import { KEEPALIVE_MS } from './sockets/bun-sockets.js';
import type { EpollSockets } from './sockets/epoll-sockets.js';
import type { PlainHandlers, PlainSocket, Sockets } from './sockets/sockets.js';
import { type Refusal, TlsAcceptor, type TlsSocket } from './tls/acceptor.js';
import type { ServerTls } from './tls/material.js';

/** The first byte of everything that a TLS client says first, and of no command. */
const TLS_HANDSHAKE_RECORD = 0x16;

/** One address on which a worker accepts clients. */
export interface Listening {
  readonly port: number;
  /** Connections that are no clients yet. */
  readonly handshakes: number;
  /** Accepts nobody any more. */
  stop(): void;
  /** Clients that come from here on get these certificates, and this time for their handshakes. */
  configure(tls: ServerTls | null, handshakeTimeoutMs: number): void;
  /** Called with every tick. */
  tick(): void;
}

type Socket = Bun.Socket<Client | undefined> & TlsSocket;
type Plain = PlainSocket<Client | undefined>;
/** What sockets with and without TLS have in common. */
type AnySocket = Pick<Plain, 'remoteAddress' | 'remotePort' | 'localAddress' | 'localPort' | 'terminate'> & {
  data: Client | undefined;
};

const REFUSED = {
  connection_error: Counter.downstream_ssl_connection_error,
  fail_verify_no_cert: Counter.downstream_ssl_fail_verify_no_cert,
  fail_verify_error: Counter.downstream_ssl_fail_verify_error,
} as const satisfies Record<Refusal, number>;

/**
 * Accepts clients for `core`.
 * @throws when the address cannot be used
 */
export function listen(
  core: Core,
  sockets: Sockets,
  address: WorkerAddress,
  tls: ServerTls | null,
  handshakeTimeoutMs: number,
): Listening {
  if (tls === null) {
    const place = address.fd === undefined ? { host: address.host, port: address.port } : { fd: address.fd };
    const listener = sockets.listen<Client | undefined>(place, plainHandlers(core, address));
    return { port: listener.port, handshakes: 0, stop: () => listener.stop(), configure() {}, tick() {} };
  }
  const acceptor = new TlsAcceptor<Socket>(tls, handshakeTimeoutMs);
  const secure = new SecureSide(core, address, acceptor);
  const listener = open(address, secure.handlers(), acceptor.options());
  return {
    port: listener.port,
    get handshakes() {
      return acceptor.size;
    },
    stop: () => listener.stop(false),
    configure(next, timeoutMs) {
      acceptor.timeoutMs = timeoutMs;
      if (next !== null) acceptor.replace(next, listener);
    },
    tick: () => secure.tick(),
  };
}

type Handlers = Bun.SocketHandler<Client | undefined>;

/** Listens with TLS, which is the runtime's. */
function open(address: WorkerAddress, socket: Handlers, tls: object) {
  // `reusePort`, `fd` and a context are honoured by the runtime and missing from its types. The kernel spreads
  // connections over the workers: each has a socket of its own for a port, and they share that of a path.
  const where =
    address.fd === undefined ? { hostname: address.host, port: address.port, reusePort: true } : { fd: address.fd };
  // A client may close its sending side and still wait for its replies.
  const options = { ...where, allowHalfOpen: true, socket, tls };
  return Bun.listen<Client | undefined>(options as unknown as Bun.TCPSocketListenOptions<Client | undefined>);
}

/** Where a connection comes from; empty for one that has no address. */
function hostOf(socket: AnySocket, { path }: WorkerAddress): string {
  return path === undefined ? socket.remoteAddress : '';
}

/** What every accepted client has; those of a path have no addresses of their own. */
function accept(core: Core, socket: AnySocket, address: WorkerAddress, place: number): Client {
  const client = acceptSocket(core, socket, address);
  client.place = place;
  return client;
}

function acceptSocket(core: Core, socket: AnySocket, { path }: WorkerAddress): Client {
  if (path !== undefined) return core.accept(socket as unknown as Transport, `${path}:0`, `${path}:0`);
  const peer = `${socket.remoteAddress}:${socket.remotePort}`;
  return core.accept(socket as unknown as Transport, peer, `${socket.localAddress}:${socket.localPort}`);
}

/** What happens to a client once it is one. */
function clientHandlers(core: Core) {
  return {
    data(socket: AnySocket, bytes: Buffer) {
      const client = socket.data as Client;
      core.beginEvent();
      core.add(Counter.downstream_cx_rx_bytes_total, bytes.length);
      if (bytes.length >= LARGE_CHUNK_BYTES) countLarge(bytes.length, core.nowMs);
      try {
        client.received(bytes as unknown as Bytes);
      } catch (error) {
        fault(core, error, client);
      }
    },
    drain(socket: AnySocket) {
      core.beginEvent();
      socket.data?.drained();
    },
    end(socket: AnySocket) {
      core.beginEvent();
      socket.data?.ended();
    },
    close(socket: AnySocket) {
      if (socket.data !== undefined) core.left(socket.data);
    },
    error(socket: AnySocket) {
      socket.terminate();
      if (socket.data !== undefined) core.left(socket.data);
    },
  };
}

function plainHandlers(core: Core, address: WorkerAddress): PlainHandlers<Client | undefined> {
  const common = clientHandlers(core);
  return {
    ...common,
    open(socket: Plain) {
      core.beginEvent();
      const place = core.admission.reserve(hostOf(socket, address));
      if (place >= NO_PLACE) socket.data = accept(core, socket, address, place);
      else {
        // Nothing is read, as nobody is there.
        const refusal = utf8Encoded(core.admission.refusal(place));
        socket.write(refusal, 0, refusal.length);
        socket.end();
      }
    },
    data(socket: Plain, bytes: Buffer) {
      if (socket.data === undefined) return;
      if (bytes[0] === TLS_HANDSHAKE_RECORD && isFirst(socket.data as Client)) {
        const client = socket.data as Client;
        core.count(Counter.downstream_cx_tls_on_plain_port);
        core.logs.note('warn', 'a client speaks TLS on a port that does not; it was closed. Give it the TLS port', {
          client: client.address,
        });
        socket.terminate();
        core.left(client);
        return;
      }
      common.data(socket, bytes);
    },
    full(reason: string) {
      core.logs.note('error', 'cannot accept clients for now; those who come wait', { reason });
    },
  };
}

/** Goes on with a client of another process; who would not be let in any more is closed. */
export function adopt(
  core: Core,
  sockets: EpollSockets,
  fd: number,
  { client: passed, path, input }: Passed,
  topics: readonly Topic[] = [],
): void {
  core.beginEvent();
  const address: WorkerAddress = { host: '', port: 0, ...(path === '' ? {} : { path }) };
  const none: Client | undefined = undefined;
  const socket = sockets.adopt<Client | undefined>(fd, none, plainHandlers(core, address), path !== '');
  const client = accept(core, socket, address, core.admission.readmit(hostOf(socket, address)));
  socket.data = client;
  core.count(Counter.downstream_cx_taken_over_total);
  if (socket.begin() && takeUp(core, client, passed, input, topics)) return;
  socket.terminate();
  core.left(client);
}

/** Nothing was received of it yet. */
function isFirst(client: Client): boolean {
  return client.lastEntry === null && client.carry === null && client.large === null;
}

/** Clients that speak TLS: they become clients when their handshake is over. */
class SecureSide {
  /** Of connections in their handshakes, where they are counted. */
  private readonly places = new Map<Socket, number>();
  constructor(
    private readonly core: Core,
    private readonly address: WorkerAddress,
    private readonly acceptor: TlsAcceptor<Socket>,
  ) {}

  handlers(): Handlers {
    const { core, address, acceptor } = this;
    const common = clientHandlers(core);
    const handlers = {
      ...common,
      open: (socket: Socket) => {
        core.beginEvent();
        const place = core.admission.reserve(hostOf(socket, address));
        if (place < NO_PLACE) {
          // There is no way to tell it before its handshake, which would be work.
          socket.terminate();
          return;
        }
        this.places.set(socket, place);
        if (!acceptor.begin(socket, core.nowMs)) this.refuse(socket, 'connection_error', 'too many handshakes at once');
      },
      /** Asked by the runtime when a client names the server that it wants. */
      serverName: (_listener: unknown, name: string) => acceptor.select(name),
      handshake: (socket: Socket, success: boolean, error: (Error & { code?: string }) | null) => {
        core.beginEvent();
        if (!acceptor.finish(socket)) return;
        const refusal = acceptor.refusal(socket, success, error);
        if (refusal !== null) {
          this.refuse(socket, refusal, error?.message ?? 'no certificate of a client');
          return;
        }
        core.count(Counter.downstream_ssl_handshake);
        if (address.path === undefined) {
          socket.setNoDelay(true);
          socket.setKeepAlive(true, KEEPALIVE_MS);
        }
        const client = accept(core, socket, address, this.places.get(socket) ?? NO_PLACE);
        this.places.delete(socket);
        client.details.certificateName = acceptor.certificateName(socket);
        socket.data = client;
      },
      data: (socket: Socket, bytes: Buffer) => {
        // Of who was not let in, nothing is read.
        if (socket.data !== undefined) common.data(socket, bytes);
      },
      close: (socket: Socket) => {
        if (acceptor.finish(socket)) this.count('connection_error', socket, 'closed by the client');
        common.close(socket);
      },
      error: (socket: Socket, error: Error) => {
        if (acceptor.finish(socket)) this.count('connection_error', socket, error.message);
        common.error(socket);
      },
    };
    return handlers as unknown as Handlers;
  }

  tick(): void {
    const { core, acceptor } = this;
    for (const socket of acceptor.late(core.nowMs)) {
      this.refuse(socket, 'connection_error', `not done within ${acceptor.timeoutMs} ms`);
    }
  }

  private refuse(socket: Socket, why: Refusal, reason: string): void {
    this.count(why, socket, reason);
    socket.terminate();
  }

  private count(why: Refusal, socket: Socket, reason: string): void {
    const { core, address } = this;
    core.count(REFUSED[why]);
    const place = this.places.get(socket);
    if (this.places.delete(socket)) core.admission.release(place ?? NO_PLACE);
    const client = address.path ?? `${socket.remoteAddress}:${socket.remotePort}`;
    core.logs.note('warn', 'a TLS handshake with a client failed', { client, reason: explain(reason) });
  }
}

/** The library's words, and for those that are met most what they mean. */
function explain(reason: string): string {
  const words = reason.replace(/^error:[0-9a-f]+:/, '').replace('SSL routines:OPENSSL_internal:', '');
  if (/WRONG_VERSION_NUMBER|HTTP_REQUEST/.test(words)) return `${words}: it does not speak TLS`;
  if (/ALERT_UNKNOWN_CA|ALERT_BAD_CERTIFICATE|ALERT_CERTIFICATE_UNKNOWN/.test(words))
    return `${words}: it does not trust the certificate of this proxy`;
  // What TLS 1.3 clients of OpenSSL say then is not encrypted, and is not understood.
  if (/BAD_PACKET_LENGTH/.test(words))
    return `${words}: it broke off, as clients do that do not trust the certificate of this proxy`;
  if (/UNSUPPORTED_PROTOCOL/.test(words)) return `${words}: its TLS version is not among those of tls_params`;
  return words;
}

/** A fault of the proxy's own, met while it served a client: that client is let go, the others are not. */
function fault(core: Core, error: unknown, client: Client): void {
  post({
    type: 'log',
    level: 'error',
    message: faultText('serving a client', error),
    fields: { client: client.address },
  });
  client.transport.terminate();
  core.left(client);
}
