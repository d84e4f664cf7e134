// A process of its own that holds clients which block. Commands come as lines on standard input:
//   block N   opens N connections, each of which waits with BLPOP for a list of its own; answers `{ "blocked": n }`
//   leave     closes them all; answers `{ "left": n }`
//
//   node blocked-clients.js PORT
import net from 'node:net';
import { createInterface } from 'node:readline';

const port = Number(process.argv[2]);
/** Connections being opened at a time: a listener's queue is no longer than this on an untuned machine. */
const OPENING_MAX = 128;

let sockets = [];

function block(index) {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port });
    const done = (blocks) => {
      socket.removeAllListeners();
      socket.on('error', () => {});
      if (blocks) sockets.push(socket);
      resolve();
    };
    socket.once('error', () => done(false));
    socket.once('connect', () => {
      const key = `blocked:${index}`;
      socket.write(`*3\r\n$5\r\nBLPOP\r\n$${key.length}\r\n${key}\r\n$1\r\n0\r\n`, () => done(true));
    });
  });
}

async function blockAll(count) {
  let next = 0;
  const lane = async () => {
    while (next < count) await block(next++);
  };
  await Promise.all(Array.from({ length: OPENING_MAX }, lane));
  return { blocked: sockets.length };
}

function leave() {
  const leaving = sockets;
  sockets = [];
  for (const socket of leaving) socket.destroy();
  return { left: leaving.length };
}

for await (const line of createInterface({ input: process.stdin })) {
  const [word, count] = line.split(' ');
  console.log(JSON.stringify(word === 'block' ? await blockAll(Number(count)) : leave()));
}
process.exit(0);
