import { spawn } from 'node:child_process';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { initCluster } from '../../../src/cluster/init/init-cluster.js';
import type { Mutation } from '../../../src/cluster/init/member.js';
import { openInit } from '../../../src/cluster/init/session.js';
import { ForgeError } from '../../../src/errors.js';
import { poll, type RedisServer } from '../../support/redis.js';
import { expectFormed, failureOf, optionsFor, PASSWORD, start, stopAll, tablesOf } from './formed.js';

const RUN = path.resolve(import.meta.dirname, '../../../bin/run.js');
const RUN_MS = 20_000;

afterEach(stopAll);

/** Makes the nodes empty and strangers to each other again. */
async function reset(servers: readonly RedisServer[]): Promise<void> {
  await Promise.all(servers.map((server) => server.call('CLUSTER', 'RESET', 'HARD')));
  await poll('all nodes are alone', 5_000, async () => {
    const tables = await tablesOf(servers);
    return tables.every((table) => table.nodes.length === 1 && table.handshakes.length === 0);
  });
}

class Killed extends Error {}

/**
 * Runs until the mutation with the number `last` is about to be sent, and then dies as a killed process does: its
 * connections close, and nothing is cleaned up. Returns the mutations that were announced.
 */
async function runAndDie(servers: readonly RedisServer[], last: number): Promise<Mutation[]> {
  const seen: Mutation[] = [];
  const session = await openInit(
    optionsFor(servers, {
      observer: {
        mutation: (mutation) => {
          if (seen.length >= last) {
            session.close();
            throw new Killed();
          }
          seen.push(mutation);
        },
      },
    }),
  );
  await session.apply().then(
    () => session.close(),
    (error: unknown) => {
      if (seen.length < last) throw error;
    },
  );
  return seen;
}

/** The first, the middle and the last mutation of every kind. */
function momentsOf(mutations: readonly Mutation[]): { name: string; index: number }[] {
  const kinds = new Map<string, number[]>();
  for (const [index, { command }] of mutations.entries()) {
    const name = command.slice(0, command[0] === 'CONFIG' ? 3 : 2).join(' ');
    kinds.set(name, [...(kinds.get(name) ?? []), index]);
  }
  return [...kinds].flatMap(([name, indexes]) =>
    [...new Set([indexes[0], indexes[indexes.length >> 1], indexes.at(-1)])].map((index = 0) => ({ name, index })),
  );
}

describe('a run that was killed', () => {
  it('is finished by the next one, whatever the command before which it died', async () => {
    const servers = await start(6);
    const mutations = await runAndDie(servers, Number.POSITIVE_INFINITY);
    await expectFormed(servers, 3);
    const moments = momentsOf(mutations);
    expect(moments.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'CLUSTER ADDSLOTSRANGE',
        'CLUSTER SET-CONFIG-EPOCH',
        'CLUSTER MEET',
        'CLUSTER REPLICATE',
        'CONFIG SET cluster-node-timeout',
      ]),
    );
    for (const { name, index } of moments) {
      await reset(servers);
      await runAndDie(servers, index);
      const result = await initCluster(optionsFor(servers)).catch((error: unknown) => {
        throw new Error(`not finished after a death before ${name} (number ${index})`, { cause: error });
      });
      expect(result.shards).toHaveLength(3);
      await expectFormed(servers, 3, { syncDelayMayBeLeft: true });
    }
  });

  it('leaves no lowered node timeout behind, once the command was run again', async () => {
    const servers = await start(6);
    await initCluster(optionsFor(servers));
    for (const server of servers.slice(0, 2)) await server.call('CONFIG', 'SET', 'cluster-node-timeout', 501);
    const session = await openInit(optionsFor(servers));
    expect(session.state).toBe('begun');
    await session.apply();
    session.close();
    await expectFormed(servers, 3);
  });

  it('is finished also when the masters serve all slots already, and only the replicas are missing', async () => {
    const servers = await start(6);
    await initCluster(optionsFor(servers));
    for (const replica of servers.slice(3)) await replica.call('CLUSTER', 'RESET', 'SOFT');
    const seed = servers[0] as RedisServer;
    for (const replica of servers.slice(3)) await replica.call('CLUSTER', 'MEET', seed.host, seed.port);
    await poll('everybody sees six healthy masters', 10_000, async () => {
      const tables = await tablesOf(servers);
      const agreed = new Set(tables.map(({ signature }) => signature)).size === 1;
      return agreed && tables[0]?.masters.length === 6 && tables.every(({ handshakes }) => handshakes.length === 0);
    });
    await seed.call('SET', '{06S}written', 'meanwhile');
    const result = await initCluster(optionsFor(servers));
    expect(result).toMatchObject({ status: 'formed', shards: [{}, {}, {}] });
    await expectFormed(servers, 3);
    expect(await seed.call('GET', '{06S}written')).toBe('meanwhile');
  });

  it('is not taken up by another plan', async () => {
    const servers = await start(6);
    await runAndDie(servers, 9);
    const failure = await failureOf(initCluster(optionsFor([...servers].reverse())));
    expect(failure.kind).toBe('refused');
    expect(failure.message).toMatch(/already serves 546[12] slots/);
    expect(failure.next.join()).toContain('in the same order');
  });
});

describe('a run that is interrupted', () => {
  it('puts back what it changed for the time being, and says how to finish', async () => {
    const servers = await start(6);
    const controller = new AbortController();
    const failure = await failureOf(
      initCluster(
        optionsFor(servers, {
          signal: controller.signal,
          observer: {
            mutation: ({ command }) => {
              if (command[1] === 'REPLICATE') controller.abort(new ForgeError('interrupted', 'Interrupted by Ctrl-C.'));
            },
          },
        }),
      ),
    );
    expect(failure).toMatchObject({
      kind: 'interrupted',
      exitCode: 130,
      message: 'The cluster is formed only in part.',
    });
    expect(failure.next.join()).toContain('Run the same command again');
    for (const server of servers) {
      expect(await server.call('CONFIG', 'GET', 'repl-diskless-sync-delay')).toEqual(['repl-diskless-sync-delay', '5']);
    }
    await initCluster(optionsFor(servers));
    await expectFormed(servers, 3);
  });
});

interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** Runs the real program, and sends it a signal when a line with `at` appears. */
async function forge(servers: readonly RedisServer[], options: { at?: string; signal?: NodeJS.Signals } = {}) {
  const addresses = servers.map(({ address }) => address).join(',');
  const child = spawn(process.execPath, [RUN, 'init-cluster', addresses, '--yes', '--timeout', '15s'], {
    env: { ...process.env, REDIS_REQUIREPASS: PASSWORD, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: RUN_MS,
    killSignal: 'SIGKILL',
  });
  let stdout = '';
  let stderr = '';
  let sent = false;
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
    if (options.at !== undefined && !sent && stderr.includes(options.at))
      sent = child.kill(options.signal ?? 'SIGKILL');
  });
  return new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

describe('forge init-cluster', () => {
  it('ends with 130 on Ctrl-C, and after a SIGKILL at any step the next run finishes the job', async () => {
    const servers = await start(6);
    const interrupted = await forge(servers, { at: 'Join the nodes', signal: 'SIGINT' });
    expect(interrupted).toMatchObject({ code: 130 });
    expect(interrupted.stderr).toContain('formed only in part');
    expect(interrupted.stderr).toContain('Run the same command again');

    for (const at of ['Assign the slots', 'Join the nodes', 'Attach the replicas', 'Wait until all nodes agree']) {
      await reset(servers);
      const killed = await forge(servers, { at });
      expect(killed.signal).toBe('SIGKILL');
      const finished = await forge(servers);
      expect(finished.code, finished.stderr).toBe(0);
      await expectFormed(servers, 3, { syncDelayMayBeLeft: true });
      expect(finished.stdout + finished.stderr).not.toContain(PASSWORD);
    }
  });

  it('fails with the exit code of what went wrong', async () => {
    const servers = await start(6, { requirepass: 'another one' });
    const denied = await forge(servers);
    expect(denied.code).toBe(11);
    expect(denied.stderr).toContain('6 of 6 nodes cannot be used');
    expect(denied.stderr).not.toContain('    at ');
  });
});
