import type { Bytes } from '../engine/bytes.js';
import type { Client } from '../engine/core/client.js';
import type { Core } from '../engine/core/core.js';
import type { Transport } from '../engine/core/runtime.js';
import { Counter } from '../engine/stats.js';
import { faultText, KEEPALIVE_MS, post } from './bun-runtime.js';
import { countLarge, LARGE_CHUNK_BYTES } from './collector.js';

/**
 * Accepts clients for `core`.
 * @throws when the address cannot be used
 */
export function listen(core: Core, hostname: string, port: number) {
  // `reusePort` is honoured by the runtime and missing from its types: the kernel spreads connections over the workers.
  const address = { hostname, port, reusePort: true };
  return Bun.listen<Client>({
    ...address,
    // A client may close its sending side and still wait for its replies, as `printf … | nc` does.
    allowHalfOpen: true,
    socket: {
      open(socket) {
        socket.setNoDelay(true);
        socket.setKeepAlive(true, KEEPALIVE_MS);
        socket.data = core.accept(socket as unknown as Transport, peer(socket), here(socket));
      },
      data(socket, bytes) {
        const client = socket.data;
        core.beginEvent();
        core.add(Counter.downstream_cx_rx_bytes_total, bytes.length);
        if (bytes.length >= LARGE_CHUNK_BYTES) countLarge(bytes.length, core.nowMs);
        try {
          client.received(bytes as unknown as Bytes);
        } catch (error) {
          fault(core, error, client);
        }
      },
      drain(socket) {
        core.beginEvent();
        socket.data.drained();
      },
      end(socket) {
        core.beginEvent();
        socket.data.ended();
      },
      close(socket) {
        core.left(socket.data);
      },
      error(socket) {
        socket.terminate();
        core.left(socket.data);
      },
    },
  });
}

function peer(socket: { remoteAddress: string; remotePort: number }): string {
  return `${socket.remoteAddress}:${socket.remotePort}`;
}

function here(socket: { localAddress: string; localPort: number }): string {
  return `${socket.localAddress}:${socket.localPort}`;
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
