// A process of its own that holds many idle connections. Commands come as lines on standard input:
//   open N    opens N more connections, each of which asks PING (or GET) once; answers `{ "open": total, "failed": n }`
//   check     asks on every connection once more; answers `{ "answered": n }`
//
//   node idle-clients.js PORT
import net from 'node:net';
import { createInterface } from 'node:readline';

const port = Number(process.argv[2]);
/** Connections from one source address: well below the range of outgoing ports. */
const PER_ADDRESS = 5_000;
/** Connections being opened at a time: a listener's queue is no longer than this on an untuned machine. */
const OPENING_MAX = 128;
const ANSWER_TIMEOUT_MS = 10_000;
const REQUEST = '*2\r\n$3\r\nGET\r\n$10\r\nidle:check\r\n';

const sockets = [];

function ask(socket) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => done(false), ANSWER_TIMEOUT_MS);
    const done = (answered) => {
      clearTimeout(timer);
      socket.removeAllListeners('data');
      resolve(answered);
    };
    socket.once('data', (chunk) => done(chunk.latin1Slice(0, 1) === '$'));
    socket.once('close', () => done(false));
    socket.write(REQUEST);
  });
}

function open(index) {
  return new Promise((resolve) => {
    const localAddress = `127.0.0.${2 + Math.floor(index / PER_ADDRESS)}`;
    const socket = net.connect({ host: '127.0.0.1', port, localAddress });
    socket.setMaxListeners(0);
    socket.once('error', () => resolve(false));
    socket.once('connect', async () => {
      socket.on('error', () => {});
      const answered = await ask(socket);
      if (answered) sockets.push(socket);
      resolve(answered);
    });
  });
}

async function openMore(count) {
  const first = sockets.length;
  let next = 0;
  let failed = 0;
  const lane = async () => {
    while (next < count) if (!(await open(first + next++))) failed++;
  };
  await Promise.all(Array.from({ length: OPENING_MAX }, lane));
  return { open: sockets.length, failed };
}

async function check() {
  let answered = 0;
  for (let start = 0; start < sockets.length; start += OPENING_MAX) {
    const results = await Promise.all(sockets.slice(start, start + OPENING_MAX).map(ask));
    answered += results.filter(Boolean).length;
  }
  return { answered };
}

for await (const line of createInterface({ input: process.stdin })) {
  const [word, count] = line.split(' ');
  console.log(JSON.stringify(word === 'open' ? await openMore(Number(count)) : await check()));
}
process.exit(0);
