/**
 * Connects, in Bun, to a host with two addresses of which the first one is silent; prints what came of it and after how
 * many milliseconds. Run without arguments.
 */
import { EpollSockets } from '../../../src/proxy/server/sockets/epoll-sockets.js';
import { encodeSocketAddress } from '../../../src/proxy/server/sockets/socket-address.js';
import type { PlainHandlers } from '../../../src/proxy/server/sockets/sockets.js';
import { AF_INET, loadSystem, SOCK_NONBLOCK, SOCK_STREAM } from '../../../src/proxy/server/sockets/system.js';

const TIMEOUT_MS = 2000;
/** More than a queue of one has room for. */
const FILLERS = 8;

const system = loadSystem();
const sockets = EpollSockets.open();
if (system === null || sockets === null) throw new Error('no epoll sockets here');
const address = (port: number) => encodeSocketAddress('127.0.0.1', port) as Uint8Array;

const live = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
// Nobody accepts, and the queue is full: the system drops what comes further.
const silent = system.socket(AF_INET, SOCK_STREAM, 0);
const bound = new Uint8Array(16);
system.bind(silent, address(0), 16);
system.listen(silent, 0);
system.getsockname(silent, bound, new Int32Array([16]));
const silentPort = ((bound[2] as number) << 8) | (bound[3] as number);
for (let i = 0; i < FILLERS; i++) {
  const fd = system.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  system.connect(fd, address(silentPort), 16);
}

const begun = performance.now();
const tell = (outcome: string) => {
  process.stdout.write(JSON.stringify({ outcome, ms: Math.round(performance.now() - begun) }));
  process.exit(0);
};
const handlers: PlainHandlers<null> = {
  open: ({ remotePort }) => tell(remotePort === live.port ? 'connected' : `connected to port ${remotePort}`),
  data() {},
  drain() {},
  end() {},
  close() {},
};
// A name's addresses are the resolver's to give; from here on it is the same.
const inner = sockets as unknown as { try(addresses: Uint8Array[], attempt: object): void };
inner.try([address(silentPort), address(live.port)], {
  untilMs: begun + TIMEOUT_MS,
  data: null,
  handlers,
  failed: tell,
});
