/** Commands run in this process, as an operator would type them; and keys that must not get lost meanwhile. */
import { Cluster } from 'ioredis';
import { expect, vi } from 'vitest';
import type { ForgeError } from '../../../../src/errors.js';
import type { RunResult } from '../../../../src/operations/run.js';
import { poll, type RedisServer } from '../../../support/redis.js';
import { ROOT } from '../../../support/repository.js';
import { tablesOf } from '../../cluster/formed.js';

const AGREE_MS = 20_000;

export interface Run {
  readonly stdout: string;
  readonly stderr: string;
  readonly result?: RunResult;
  readonly error?: ForgeError;
}

/** Runs the command with these words. */
export async function run(
  command: { run(argv: string[], root: string): Promise<unknown> },
  ...argv: string[]
): Promise<Run> {
  const caught = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      caught[name] += String(text);
      return true;
    });
  }
  try {
    const result = (await command.run(argv, ROOT)) as RunResult;
    return { ...caught, result };
  } catch (error) {
    return { ...caught, error: error as ForgeError };
  } finally {
    vi.restoreAllMocks();
  }
}

/** The result of a command that must not fail. */
export async function done(...words: Parameters<typeof run>): Promise<RunResult> {
  const { result, error } = await run(...words);
  if (error !== undefined) throw error;
  return result as RunResult;
}

const contentOf = (n: number) => `value ${n} ${'x'.repeat(n % 50)}`;

export async function fill(nodes: readonly RedisServer[], count: number, password?: string): Promise<void> {
  const client = new Cluster(
    nodes.map(({ host, port }) => ({ host, port })),
    { redisOptions: { password } },
  );
  try {
    for (let start = 0; start < count; start += 500) {
      const batch = Array.from({ length: Math.min(500, count - start) }, (_, n) => start + n);
      await Promise.all(batch.map((n) => client.set(`key:${n}`, contentOf(n))));
    }
  } finally {
    client.disconnect();
  }
}

/** Every key is there and equal. */
export async function expectKeys(nodes: readonly RedisServer[], count: number, password?: string): Promise<void> {
  const client = new Cluster(
    nodes.map(({ host, port }) => ({ host, port })),
    { redisOptions: { password } },
  );
  try {
    for (let start = 0; start < count; start += 500) {
      const batch = Array.from({ length: Math.min(500, count - start) }, (_, n) => start + n);
      expect(await Promise.all(batch.map((n) => client.get(`key:${n}`)))).toEqual(batch.map(contentOf));
    }
  } finally {
    client.disconnect();
  }
}

/** All these nodes, and no others, are one cluster that serves every slot and agrees; its shards by port. */
export async function shardsOf(nodes: readonly RedisServer[]) {
  const tables = await poll('the nodes agree', AGREE_MS, async () => {
    const all = await tablesOf(nodes);
    return new Set(all.map(({ signature }) => signature)).size === 1 && all;
  });
  const [table] = tables;
  if (table === undefined) throw new Error('no nodes');
  expect(table.nodes).toHaveLength(nodes.length);
  expect(table.uncovered).toEqual([]);
  for (const { openSlots, handshakes } of tables) expect([openSlots, handshakes]).toEqual([[], []]);
  return new Map(
    table.shards.map(({ master, replicas }) => [
      master.port,
      {
        slots: master.slots.reduce((sum, { start, end }) => sum + end - start + 1, 0),
        replicas: replicas.map(({ port }) => port),
      },
    ]),
  );
}
