/** Backups of real servers, as a run makes them, put into a directory. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { findBackup, type ListedBackup } from '../../../../src/backup/catalogue.js';
import type { BackupShard } from '../../../../src/backup/manifest.js';
import { readRdb } from '../../../../src/backup/source/network.js';
import { DirectoryStore } from '../../../../src/backup/store/directory.js';
import { keySlot } from '../../../../src/cluster/key-slot.js';
import type { Command, NodeConnection } from '../../../../src/cluster/node-connection.js';
import { parseInfo, parseServerVersion } from '../../../../src/cluster/parse-info.js';
import { SLOT_COUNT } from '../../../../src/cluster/slots.js';
import { type MakeBackupOptions, makeBackup } from '../../../support/backup.js';
import type { RedisServer } from '../../../support/redis.js';

export interface Place {
  readonly directory: string;
  readonly store: DirectoryStore;
  remove(): Promise<void>;
}

export async function makePlace(): Promise<Place> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'forge-backups-'));
  return {
    directory,
    store: new DirectoryStore(path.join(directory, 'store')),
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

export const signal = () => new AbortController().signal;

async function slotKeysOf(connection: NodeConnection): Promise<[number, number][]> {
  const commands = Array.from({ length: SLOT_COUNT }, (_, slot) => ['CLUSTER', 'COUNTKEYSINSLOT', slot] as const);
  const outcomes = await connection.callAll(commands);
  return outcomes.flatMap((outcome, slot): [number, number][] => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return Number(outcome.value) > 0 ? [[slot, Number(outcome.value)]] : [];
  });
}

/** Of masters that nobody writes to meanwhile. */
export async function backUp(
  store: DirectoryStore,
  masters: readonly RedisServer[],
  options: Omit<MakeBackupOptions, 'shards' | 'shard'> & {
    readonly shard?: (index: number) => Partial<BackupShard>;
  } = {},
): Promise<ListedBackup> {
  const contents: Buffer[] = [];
  const described: Partial<BackupShard>[] = [];
  for (const [index, master] of masters.entries()) {
    const connection = await master.connect();
    const slotKeys = await slotKeysOf(connection);
    const version = parseServerVersion(parseInfo(await connection.callText('INFO', 'server')));
    const id = await connection.callText('CLUSTER', 'MYID');
    const source = await readRdb(connection, { signal: signal() });
    contents.push(await buffer(source.stream));
    described.push({
      masterId: id,
      masterAddress: master.address,
      slotKeys,
      keys: slotKeys.reduce((sum, [, keys]) => sum + keys, 0),
      source: {
        kind: 'network',
        nodeId: id,
        address: master.address,
        role: 'master',
        server: version?.product ?? 'redis',
        version: version?.text ?? '7.0.0',
      },
      ...options.shard?.(index),
    });
  }
  const made = await makeBackup(store, { ...options, shards: contents, shard: (index) => described[index] ?? {} });
  return findBackup(store, { id: made.id, secret: options.secret, signal: signal() });
}

export const DEBUG = ['--enable-debug-command', 'yes'];
export const LIBRARY = '#!lua name=orders\nredis.register_function("one", function() return 1 end)';
const BATCH = 500;

/** Sends each command to the master that serves its key, which is its second word. */
export async function write(masters: readonly RedisServer[], commands: readonly Command[]): Promise<void> {
  const boundary = (index: number) => Math.round((index * SLOT_COUNT) / masters.length);
  for (const [index, master] of masters.entries()) {
    const mine = commands.filter(([, key]) => {
      const slot = keySlot(Buffer.isBuffer(key) ? key : Buffer.from(String(key)));
      return slot >= boundary(index) && slot < boundary(index + 1);
    });
    const connection = await master.connect();
    try {
      for (let from = 0; from < mine.length; from += BATCH) {
        for (const outcome of await connection.callAll(mine.slice(from, from + BATCH))) {
          if (outcome.status === 'rejected') throw outcome.reason;
        }
      }
    } finally {
      connection.close();
    }
  }
}

const LATER_MS = 3_600_000;

/** Every type, small and large, with times and without; a key of any bytes. */
export function everything(): Command[] {
  const commands: Command[] = [];
  const strings = Array.from({ length: 400 }, (_, i): Command => ['SET', `string:${i}`, `value ${i}`]);
  const mortal = Array.from({ length: 100 }, (_, i): Command => ['SET', `mortal:${i}`, i, 'PX', LATER_MS + i]);
  commands.push(...strings, ...mortal, ['SET', 'number', 12_345], ['SET', 'big', randomBytes(3_000_000)]);
  commands.push(['SET', Buffer.from([0, 255, 13, 10, 123, 125]), 'bytes'], ['SET', 'compressible', 'a'.repeat(5_000)]);
  for (let i = 0; i < 300; i++) {
    commands.push(['RPUSH', 'list:long', `element ${i} ${'x'.repeat(i)}`], ['SADD', 'set:large', `member ${i}`]);
    commands.push(['ZADD', 'zset:large', i / 4, `member ${i}`], ['HSET', 'hash:large', `field ${i}`, `value ${i}`]);
    commands.push(['XADD', 'stream', `${i + 1}-1`, 'field', i]);
  }
  commands.push(['RPUSH', 'list', 'a', 'b', 1], ['SADD', 'set', 'a', 'b'], ['SADD', 'set:numbers', 1, 2, 70_000]);
  commands.push(['ZADD', 'zset', 1.5, 'a', '-inf', 'b'], ['HSET', 'hash', 'a', 1, 'b', 2], ['PFADD', 'log', 'a', 'b']);
  commands.push(['SETBIT', 'bits', 1_000, 1], ['GEOADD', 'places', 13.4, 52.5, 'Berlin']);
  return commands;
}

/** Groups of the stream, with what they have been given and not acknowledged. */
export async function addGroup(masters: readonly RedisServer[]): Promise<void> {
  const slot = keySlot(Buffer.from('stream'));
  const owner = masters[Math.floor((slot * masters.length) / SLOT_COUNT)] ?? masters[0];
  await owner?.call('XGROUP', 'CREATE', 'stream', 'workers', '0');
  await owner?.call('XREADGROUP', 'GROUP', 'workers', 'one', 'COUNT', 5, 'STREAMS', 'stream', '>');
}

/** Every key of the nodes with its type, its time, and the digest of its value. */
export async function contentOf(nodes: readonly RedisServer[]): Promise<Map<string, string>> {
  const content = new Map<string, string>();
  for (const node of nodes) {
    const connection = await node.connect();
    try {
      let cursor = '0';
      do {
        const [scan] = await connection.callAll([['SCAN', cursor, 'COUNT', 1_000]], { binary: true });
        if (scan?.status !== 'fulfilled') throw scan?.reason;
        const [next, keys] = scan.value as [Buffer, Buffer[]];
        cursor = next.toString();
        const outcomes = await connection.callAll(
          keys.flatMap((key): Command[] => [
            ['TYPE', key],
            ['PEXPIRETIME', key],
            ['DEBUG', 'DIGEST-VALUE', key],
          ]),
        );
        const values = outcomes.map((outcome) => {
          if (outcome.status === 'rejected') throw outcome.reason;
          return String(outcome.value);
        });
        for (const [index, key] of keys.entries()) {
          content.set(key.toString('latin1'), values.slice(3 * index, 3 * index + 3).join(' '));
        }
      } while (cursor !== '0');
    } finally {
      connection.close();
    }
  }
  return content;
}

export async function empty(nodes: readonly RedisServer[]): Promise<void> {
  for (const node of nodes) {
    await node.call('FLUSHALL');
    await node.call('FUNCTION', 'FLUSH');
  }
}
