import type { Bytes } from '../engine/bytes.js';
import type { Core } from '../engine/core/core.js';
import type { Transport, TransportEvents } from '../engine/core/runtime.js';
import { Counter } from '../engine/stats.js';
import { countLarge, LARGE_CHUNK_BYTES } from './collector.js';
import { faultText, post } from './post.js';
import { KEEPALIVE_MS } from './sockets/bun-sockets.js';
import type { PlainSocket, Sockets } from './sockets/sockets.js';
import { connectOptions, handshakeProblem, type UpstreamTls } from './tls/upstream.js';

/** A cluster whose nodes speak TLS. */
export interface UpstreamSide {
  readonly tls: UpstreamTls;
  /** How long a connection may take to be made, its handshake counted in. */
  readonly timeoutMs: number;
}

type Socket = Bun.Socket<TransportEvents>;
/** What sockets with and without TLS have in common. */
type AnySocket = Transport & { readonly data: TransportEvents };

/** Connects without TLS. */
export function connectPlain(
  core: Core,
  sockets: Sockets,
  host: string,
  port: number,
  events: TransportEvents,
  timeoutMs: number,
): void {
  const handlers = {
    ...established(core),
    open(socket: PlainSocket<TransportEvents>) {
      core.beginEvent();
      socket.data.opened(socket);
    },
  };
  sockets.connect(host, port, timeoutMs, events, handlers, (reason) => {
    core.beginEvent();
    events.failed(reason);
  });
}

/** Connects, and hands the connection over when its handshake is done and the node is who it should be. */
export function connectTls(
  core: Core,
  host: string,
  port: number,
  events: TransportEvents,
  cluster: number,
  { tls, timeoutMs }: UpstreamSide,
): void {
  const common = established(core);
  /** Neither handed over nor given up. */
  let pending = true;
  let connecting: Socket | null = null;
  const failed = (reason: string, counter = Counter.upstream_ssl_connection_error) => {
    if (!pending) return;
    pending = false;
    clearTimeout(timer);
    connecting?.terminate();
    core.beginEvent();
    core.numbered[cluster]?.count(counter);
    events.failed(reason);
  };
  const timer = setTimeout(() => failed(`TLS handshake: not done within ${timeoutMs} ms`), timeoutMs);
  const options = {
    hostname: host,
    port,
    data: events,
    tls: connectOptions(tls),
    socket: {
      ...common,
      open(socket: Socket) {
        connecting = socket;
        if (!pending) socket.terminate();
      },
      handshake(socket: Socket, success: boolean, error: (Error & { code?: string }) | null) {
        if (!pending) return;
        const problem = handshakeProblem(tls, socket.authorized, success, error);
        if (problem !== null) {
          const { untrusted, reason } = problem;
          failed(reason, untrusted ? Counter.upstream_ssl_fail_verify_error : Counter.upstream_ssl_connection_error);
          return;
        }
        pending = false;
        clearTimeout(timer);
        core.numbered[cluster]?.count(Counter.upstream_ssl_handshake);
        opened(core, socket);
      },
      end(socket: Socket) {
        if (pending) failed('TLS handshake: closed by the upstream');
        else common.end(socket);
      },
      close(socket: Socket, error?: Error) {
        if (pending) failed(error?.message ?? 'TLS handshake: connection lost');
        else common.close(socket, error);
      },
      error(socket: Socket, error: Error) {
        if (pending) failed(error.message);
        else common.error(socket, error);
      },
      connectError(_socket: Socket, error: Error) {
        failed(error.message);
      },
    },
  };
  Bun.connect<TransportEvents>(options as unknown as Bun.TCPSocketConnectOptions<TransportEvents>).catch(
    (error: Error) => failed(error.message),
  );
}

function opened(core: Core, socket: Socket): void {
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEPALIVE_MS);
  core.beginEvent();
  socket.data.opened(socket as unknown as Transport);
}

/** What happens to a connection that was handed over. */
function established(core: Core) {
  return {
    data(socket: AnySocket, bytes: Buffer) {
      core.beginEvent();
      if (bytes.length >= LARGE_CHUNK_BYTES) countLarge(bytes.length, core.nowMs);
      try {
        socket.data.received(bytes as unknown as Bytes);
      } catch (error) {
        post({ type: 'log', level: 'error', message: faultText('reading an upstream', error) });
        socket.data.closed('fault in the proxy');
        socket.terminate();
      }
    },
    drain(socket: AnySocket) {
      core.beginEvent();
      socket.data.drained();
    },
    end(socket: AnySocket) {
      socket.terminate();
      core.beginEvent();
      socket.data.closed('closed by the upstream');
    },
    close(socket: AnySocket, error?: Error) {
      core.beginEvent();
      socket.data.closed(error?.message ?? 'connection lost');
    },
    error(socket: AnySocket, error: Error) {
      core.beginEvent();
      socket.data.closed(error.message);
      socket.terminate();
    },
  };
}
