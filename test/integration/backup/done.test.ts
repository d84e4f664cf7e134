/**
 * What backups are for: a cluster that is written to all the time is backed up into a real S3 store, and lost; it comes
 * back in its own shape, and as five masters instead of three. Every write up to the offset that the manifest names is
 * there, and none after it.
 */
import { randomInt } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keySlot } from '../../../src/cluster/key-slot.js';
import type { Command } from '../../../src/cluster/node-connection.js';
import { SLOT_COUNT } from '../../../src/cluster/slots.js';
import { forge } from '../../support/forge.js';
import { type RedisCluster, type RedisServer, startCluster, startServers } from '../../support/redis.js';
import { startS3, type TestS3 } from '../../support/s3.js';
import { executableOf, FETCH_TIMEOUT_MS, ONE_SERVER } from '../../support/servers.js';
import { addGroup, contentOf, DEBUG, everything, LIBRARY, write } from './restore/fixtures.js';

const TEST_MS = 120_000;
const MASTERS = 3;
const KEYS = 300;
const LATER_MS = Date.parse('2100-01-01');
/** A ping of a master to its replicas moves its offset as well: none comes in so short a time. */
const QUIET = ['--repl-ping-replica-period', '3600', ...DEBUG];
/** Keys that are written meanwhile. */
const IS_LOAD = /^load:/;

interface Write {
  /** Of the master's stream, once it was done. */
  readonly offset: number;
  readonly apply: (state: Map<string, string>) => void;
}

/** One client of one master, which notes at which offset each of its writes was done. */
class Load {
  readonly writes: Write[] = [];
  #stopped = false;
  readonly #running: Promise<void>;

  constructor(master: RedisServer, index: number) {
    const from = Math.round((index * SLOT_COUNT) / MASTERS);
    const until = Math.round(((index + 1) * SLOT_COUNT) / MASTERS);
    const keys: string[] = [];
    for (let number = 0; keys.length < KEYS; number++) {
      const slot = keySlot(Buffer.from(`load:${number}`));
      if (slot >= from && slot < until) keys.push(`load:${number}`);
    }
    this.#running = this.#write(master, keys);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  /** What is there when all writes up to this offset are done. */
  at(offset: number): Map<string, string> {
    const state = new Map<string, string>();
    for (const { offset: done, apply } of this.writes) if (done <= offset) apply(state);
    return state;
  }

  async #write(master: RedisServer, keys: readonly string[]): Promise<void> {
    const connection = await master.connect();
    try {
      for (let round = 1; !this.#stopped; round++) {
        const key = keys[randomInt(keys.length)] as string;
        const { command, apply } = nextWrite(key, round);
        const [done, info] = await connection.callAll([command, ['INFO', 'replication']]);
        if (done?.status !== 'fulfilled' || info?.status !== 'fulfilled') throw new Error(`${command[0]} failed`);
        this.writes.push({ offset: Number(/master_repl_offset:(\d+)/.exec(String(info.value))?.[1]), apply });
        await sleep(1);
      }
    } finally {
      connection.close();
    }
  }
}

function nextWrite(key: string, round: number): { command: Command; apply: Write['apply'] } {
  const kind = randomInt(4);
  if (kind === 0) return { command: ['DEL', key], apply: (state) => state.delete(key) };
  const time = kind === 1 ? LATER_MS + round : -1;
  const words: Command = ['SET', key, round, ...(kind === 1 ? ['PXAT', time] : [])];
  return { command: words, apply: (state) => state.set(key, `${round} ${time}`) };
}

/** Values and times of the keys that were written meanwhile. */
async function loadOf(nodes: readonly RedisServer[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const node of nodes) {
    const connection = await node.connect();
    try {
      const keys = ((await connection.call('KEYS', 'load:*')) as string[]).sort();
      for (const key of keys) {
        found.set(key, `${await connection.call('GET', key)} ${await connection.call('PEXPIRETIME', key)}`);
      }
    } finally {
      connection.close();
    }
  }
  return found;
}

const restOf = (content: ReadonlyMap<string, string>) => new Map([...content].filter(([key]) => !IS_LOAD.test(key)));
const sorted = (content: ReadonlyMap<string, string>) => [...content].sort(([one], [other]) => (one < other ? -1 : 1));

let s3: TestS3;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'forge-done-'));
  s3 = await startS3();
}, FETCH_TIMEOUT_MS);
afterAll(async () => {
  await s3?.stop();
  await rm(folder, { recursive: true, force: true });
});

describe.each(ONE_SERVER)('a cluster of %s that is lost while it is written to', (_, name) => {
  it(
    'comes back as it was at the offsets of its backup, in its own shape and in another',
    async () => {
      const options = { executable: executableOf(name), args: QUIET };
      const run = async (...words: string[]) => {
        const common = ['--config', '/dev/null', '--env-file', '/dev/null', '--cluster', name, '--json'];
        const env = { ...s3.environment, FORGE_HOME: path.join(folder, 'home') };
        const result = await forge([...words, ...common], { env, limitMs: TEST_MS });
        expect(result.code, result.stdout + result.stderr).toBe(0);
        return JSON.parse(result.stdout);
      };
      const place = `s3://${s3.bucket}/${name}`;
      let rest: Map<string, string>;
      const expected = new Map<string, string>();
      const before = await startCluster({ masters: MASTERS, replicasPerMaster: 1, ...options });
      const loads: Load[] = [];
      try {
        await write(before.masters, everything());
        await addGroup(before.masters);
        for (const master of before.masters) await master.call('FUNCTION', 'LOAD', LIBRARY);
        loads.push(...before.masters.map((master, index) => new Load(master, index)));
        while (loads.some(({ writes }) => writes.length < KEYS)) await sleep(10);
        await run('backup', '--seed', before.addresses, '--to', place);
        await Promise.all(loads.map((load) => load.stop()));
        rest = restOf(await contentOf(before.masters));
        const { manifest } = await run('backup', 'show', 'latest', '--from', place);
        for (const [index, shard] of manifest.shards.entries()) {
          const load = loads[index] as Load;
          expect(shard.source.role).toBe('replica');
          // It was written to before that, and afterwards.
          expect(load.writes.at(0)?.offset).toBeLessThan(shard.offset);
          expect(load.writes.at(-1)?.offset).toBeGreaterThan(shard.offset);
          for (const [key, value] of load.at(shard.offset)) expected.set(key, value);
        }
      } finally {
        await Promise.all(loads.map((load) => load.stop().catch(() => undefined)));
        await before.stop();
      }
      await run('backup', 'verify', 'latest', '--from', place);

      const same = await startServers(MASTERS, { ...options, cluster: true });
      let other: RedisCluster | undefined;
      try {
        other = await startCluster({ masters: 5, ...options });
        const nodes = same.map(({ address }) => address).join(',');
        await run('restore', 'latest', '--from', place, '--nodes', nodes, '--yes');
        await run('restore', 'latest', '--from', place, '--seed', other.addresses, '--yes');
        for (const [shape, servers] of [
          ['the same shape', same],
          ['five masters', other.masters],
        ] as const) {
          expect(sorted(await loadOf(servers)), shape).toEqual(sorted(expected));
          expect(sorted(restOf(await contentOf(servers))), shape).toEqual(sorted(rest));
          for (const server of servers) expect(String(await server.call('FUNCTION', 'LIST'))).toContain('orders');
        }
        const slots = async (server: RedisServer) =>
          /myself,master .* connected (.*)$/m.exec(String(await server.call('CLUSTER', 'NODES')))?.[1];
        expect((await Promise.all(same.map(slots))).sort()).toEqual(['0-5460', '10923-16383', '5461-10922']);
      } finally {
        await Promise.all(same.map((server) => server.stop()));
        await other?.stop();
      }
    },
    TEST_MS,
  );
});
