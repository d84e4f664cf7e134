import type { ListenPlace, PlainHandlers, PlainListener, PlainSocket, Sockets } from './sockets.js';

/** Silent connections are probed after this time, as Redis's `tcp-keepalive` has it. */
export const KEEPALIVE_MS = 300_000;

/** The runtime's own sockets, on every system that it runs on. */
export class BunSockets implements Sockets {
  readonly kind = 'runtime';
  readonly descriptor = -1;

  listen<Data>(place: ListenPlace, handlers: PlainHandlers<Data>): PlainListener {
    // `reusePort` and `fd` are honoured by the runtime and missing from its types. The kernel spreads connections over
    // the workers: each has a socket of its own for a port, and they share that of a path.
    const where = 'fd' in place ? { fd: place.fd } : { hostname: place.host, port: place.port, reusePort: true };
    // A client may close its sending side and still wait for its replies, as `printf … | nc` does.
    const options = { ...where, allowHalfOpen: true, socket: this.handlers(handlers, 'fd' in place) };
    const listener = Bun.listen<Data>(options as unknown as Bun.TCPSocketListenOptions<Data>);
    return { port: listener.port, stop: () => listener.stop(false) };
  }

  connect<Data>(
    host: string,
    port: number,
    timeoutMs: number,
    data: Data,
    handlers: PlainHandlers<Data>,
    failed: (reason: string) => void,
  ): void {
    let pending = true;
    const fail = (reason: string) => {
      if (!pending) return;
      pending = false;
      clearTimeout(timer);
      failed(reason);
    };
    const timer = setTimeout(() => fail(`no connection within ${timeoutMs} ms`), timeoutMs);
    const common = this.handlers(handlers, false);
    Bun.connect<Data>({
      hostname: host,
      port,
      data,
      socket: {
        ...common,
        open(socket) {
          clearTimeout(timer);
          if (!pending) {
            socket.terminate();
            return;
          }
          pending = false;
          common.open(socket);
        },
        connectError: (_socket, error) => fail(error.message),
      },
    }).catch((error: Error) => fail(error.message));
  }

  defer(callback: () => void): void {
    setImmediate(callback);
  }

  yield(): void {}

  every(ms: number, callback: () => void): void {
    setInterval(callback, ms);
  }

  private handlers<Data>(handlers: PlainHandlers<Data>, isPath: boolean) {
    type Socket = Bun.Socket<Data>;
    const plain = (socket: Socket) => socket as unknown as PlainSocket<Data>;
    return {
      open: (socket: Socket) => {
        if (!isPath) {
          socket.setNoDelay(true);
          socket.setKeepAlive(true, KEEPALIVE_MS);
        }
        handlers.open(plain(socket));
      },
      data: (socket: Socket, bytes: Buffer) => handlers.data(plain(socket), bytes),
      drain: (socket: Socket) => handlers.drain(plain(socket)),
      end: (socket: Socket) => handlers.end(plain(socket)),
      close: (socket: Socket, error?: Error) => handlers.close(plain(socket), error),
      error: (socket: Socket, error: Error) => {
        socket.terminate();
        handlers.close(plain(socket), error);
      },
    };
  }
}
