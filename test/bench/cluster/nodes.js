// What slots are moved on: masters that share all slots, filled with keys, and one more master without slots.
import { mkdirSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { withRedis } from '../endpoints.js';
import { freePort, start, stop, until } from '../processes.js';

const SLOTS = 16_384;
const CHUNK_KEYS = 2_000;
const AT_REST_OPS = 100;
/** As the clients of the benchmark write them. */
const KEY_DIGITS = 12;

const TABLE = Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  return crc;
});

/** CRC16/XMODEM of the key, as the cluster specification has it; the keys here have no hash tag. */
export function slotOf(key) {
  let crc = 0;
  for (let i = 0; i < key.length; i++) crc = ((crc << 8) & 0xffff) ^ TABLE[(crc >> 8) ^ key.charCodeAt(i)];
  return crc % SLOTS;
}

export const keyOf = (index) => `key:${String(index).padStart(KEY_DIGITS, '0')}`;

export const boundary = (index, count) => Math.round((index * SLOTS) / count);

async function startNode(folder, executable) {
  const port = await freePort();
  const directory = path.join(folder, `redis-${port}`);
  mkdirSync(directory);
  const child = start(executable, [
    ...['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', directory],
    ...['--cluster-enabled', 'yes', '--cluster-config-file', 'nodes.conf', '--protected-mode', 'no'],
  ]);
  await until(`a server on port ${port}`, () => withRedis(port, (redis) => redis.ping()), { child });
  return { port, pid: child.pid, child };
}

/** For its first two seconds a server says that its cluster is down (CLUSTER_WRITABLE_DELAY): forge waits for the end of that. */
const FIRST_SECONDS_MS = 2_500;

/** Nodes in cluster mode that know nobody. */
export async function startEmpty(folder, count, executable = 'redis-server') {
  const nodes = await Promise.all(Array.from({ length: count }, () => startNode(folder, executable)));
  await new Promise((resolve) => setTimeout(resolve, FIRST_SECONDS_MS));
  return { nodes, stop: () => Promise.all(nodes.map(({ child }) => stop(child))) };
}

/**
 * `masters` masters with all slots and `keys` keys of `valueBytes` bytes, and one master without slots.
 * @returns the nodes, the empty one last, and `stop`
 */
export async function startFilled(folder, { masters = 3, keys, valueBytes = 64, executable = 'redis-server' }) {
  const nodes = await Promise.all(Array.from({ length: masters + 1 }, () => startNode(folder, executable)));
  for (const [index, { port }] of nodes.entries()) {
    await withRedis(port, async (redis) => {
      if (index < masters) {
        await redis.call('CLUSTER', 'ADDSLOTSRANGE', boundary(index, masters), boundary(index + 1, masters) - 1);
      }
      await redis.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
    });
  }
  for (const { port: from } of nodes) {
    await withRedis(from, async (redis) => {
      for (const { port } of nodes) if (port !== from) await redis.call('CLUSTER', 'MEET', '127.0.0.1', port);
    });
  }
  for (const { port } of nodes) {
    await until(`the cluster as port ${port} sees it`, () =>
      withRedis(port, async (redis) => {
        const info = String(await redis.call('CLUSTER', 'INFO'));
        const table = String(await redis.call('CLUSTER', 'NODES'));
        const met = table.trim().split('\n');
        return (
          info.includes('cluster_state:ok') &&
          met.length === masters + 1 &&
          !met.some((line) => /handshake|noaddr|fail/.test(line))
        );
      }),
    );
  }
  await Promise.all(nodes.slice(0, masters).map(({ port }, index) => fill(port, index, { masters, keys, valueBytes })));
  // forge is careful with masters that serve clients, and has to see that the filling is over.
  for (const { port } of nodes) {
    await until(`port ${port} is at rest`, () =>
      withRedis(port, async (redis) => {
        const [, ops] = /instantaneous_ops_per_sec:(\d+)/.exec(String(await redis.info('stats'))) ?? [];
        return Number(ops) < AT_REST_OPS;
      }),
    );
  }
  return { nodes, stop: () => Promise.all(nodes.map(({ child }) => stop(child))) };
}

/** Writes all keys of one master's slots, in pipelines. */
async function fill(port, index, { masters, keys, valueBytes }) {
  const [first, end] = [boundary(index, masters), boundary(index + 1, masters)];
  const value = 'x'.repeat(valueBytes);
  const socket = net.connect(port, '127.0.0.1');
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  let text = '';
  let pending = 0;
  const send = async () => {
    let bytes = 0;
    const expected = pending * '+OK\r\n'.length;
    const answered = new Promise((resolve, reject) => {
      socket.on('data', (chunk) => {
        bytes += chunk.length;
        if (chunk.includes('-')) reject(new Error(`filling: ${chunk.toString().slice(0, 100)}`));
        if (bytes >= expected) resolve();
      });
    });
    socket.write(text);
    await answered;
    socket.removeAllListeners('data');
    text = '';
    pending = 0;
  };
  for (let i = 0; i < keys; i++) {
    const key = keyOf(i);
    const slot = slotOf(key);
    if (slot < first || slot >= end) continue;
    text += `*3\r\n$3\r\nSET\r\n$${key.length}\r\n${key}\r\n$${value.length}\r\n${value}\r\n`;
    if (++pending === CHUNK_KEYS) await send();
  }
  if (pending > 0) await send();
  socket.destroy();
}

/** Who serves how many slots, whether a slot is open, and how many keys there are, by every node's own word. */
export async function inspect(nodes) {
  const found = [];
  for (const { port } of nodes) {
    found.push(
      await withRedis(port, async (redis) => {
        const table = String(await redis.call('CLUSTER', 'NODES'))
          .trim()
          .split('\n');
        const mine = table.find((line) => line.includes('myself')) ?? '';
        const words = mine.split(' ').slice(8);
        const ranges = words.filter((word) => !word.startsWith('['));
        const slots = ranges.reduce((sum, word) => {
          const [first, last = first] = word.split('-').map(Number);
          return sum + last - first + 1;
        }, 0);
        return { slots, open: words.length - ranges.length, keys: await redis.dbsize() };
      }),
    );
  }
  const sum = (field) => found.reduce((total, node) => total + node[field], 0);
  return { slots: sum('slots'), open: sum('open'), keys: sum('keys'), slotsOf: found.map(({ slots }) => slots) };
}
