import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseAddressList } from '../../../src/cluster/address.js';
import type { OperationState } from '../../../src/operations/journal/entry.js';
import { listOperations, unfinishedOperations } from '../../../src/operations/journal/journal.js';
import { TestOperator } from '../../support/operations/operator.js';
import { Traffic } from '../../support/operations/traffic.js';
import { poll, type RedisCluster, type RedisServer, startCluster } from '../../support/redis.js';
import { ROOT } from '../../support/repository.js';
import { tablesOf } from '../cluster/formed.js';
import { fill, idOf } from '../operations/move/moving.js';
import { FULL } from './kills.js';
import { expectSound } from './sound.js';

const PASSWORD = 'interrupted secret';
const KEYS = 12_000;
const RANGES = '0-399';
/** The 400 slots hold some 300 keys: so they are on their way until they are interrupted. */
const SLOWLY = ['--keys-per-second', '10'];
const END_MS = 60_000;
const RUN_MS = 180_000;
/** Amid the second group of 32 slots. */
const AMID = 150;
/** Groups have moved, and some slots are open. */
const LATE = 900;
/** From the moment at which the lock was taken away. */
const STOPS_MS = 15_000;

let cluster: RedisCluster;
let operator: TestOperator;
let traffic: Traffic;
let here: RedisServer;
let there: RedisServer;
let environment: NodeJS.ProcessEnv;

beforeAll(async () => {
  cluster = await startCluster({ masters: 3, requirepass: PASSWORD });
  [here, there] = cluster.masters as [RedisServer, RedisServer, RedisServer];
  environment = { REDIS_REQUIREPASS: PASSWORD, CLUSTER_SEED: cluster.addresses };
  await fill(cluster.masters, KEYS);
  traffic = await Traffic.start(parseAddressList(cluster.addresses), { password: PASSWORD });
});
beforeEach(async () => {
  operator = await TestOperator.create(environment);
});
afterEach(async () => {
  await operator.remove();
  expect(traffic.errors).toEqual([]);
});
afterAll(async () => {
  await traffic?.stop();
  await cluster?.stop();
});

/** Each test moves the slots where they are not. */
async function direction(): Promise<string[]> {
  const [table] = await tablesOf([here]);
  const target = table?.ownerOf(0)?.id === (await idOf(here)) ? there : here;
  return ['--ranges', RANGES, '--to', target.address];
}

/** Nobody repairs anything: what is open at this moment was left open. */
async function expectNothingOpen(): Promise<void> {
  for (const { openSlots } of await tablesOf(cluster.nodes)) expect(openSlots.map(({ slot }) => slot)).toEqual([]);
}

async function finish(argv: readonly string[]): Promise<void> {
  await operator.succeed('cluster/reshard', argv);
  await expectSound({ nodes: cluster.nodes, keys: KEYS, traffic });
}

/** A move that was killed half way: which operation it is, and how the cluster was before it. */
async function half(): Promise<{ id: string; signature: string | undefined }> {
  const [table] = await tablesOf([here]);
  expect(await operator.killed('cluster/reshard', await direction(), { mutation: LATE })).toBe(true);
  const [operation] = await unfinishedOperations(operator.paths.journals, [await idOf(here)]);
  return { id: operation?.operationId ?? '', signature: table?.signature };
}

async function expectUndone(signature: string | undefined): Promise<void> {
  await expectSound({ nodes: cluster.nodes, keys: KEYS, traffic });
  expect((await tablesOf([here]))[0]?.signature).toBe(signature);
}

describe('Ctrl-C amid a move', { timeout: RUN_MS }, () => {
  const signals = [
    ['SIGINT', 130, 'Interrupted by Ctrl-C'],
    ['SIGTERM', 143, 'Ended by SIGTERM'],
  ] as const;
  it.each(FULL ? signals : signals.slice(0, 1))(
    '(%s) finishes the slots in hand, leaves none open, and says how to go on',
    async (signal, code, words) => {
      const argv = await direction();
      const result = await operator.run('cluster/reshard', argv, {
        death: { mutation: AMID },
        victim: { pid: 0, signal },
      });
      expect(result.code, result.stderr).toBe(code);
      await expectNothingOpen();
      expect(result.stderr).toContain(words);
      expect(result.stderr).toMatch(/Go on: forge resume \d{8}-\d{6}-[0-9a-f]{6}, or the same command again/);
      expect(await unfinishedOperations(operator.paths.journals, [await idOf(here)])).toHaveLength(1);
      await finish(argv);
    },
  );
});

/** A command on a terminal of its own; what it shows, and how the terminal goes away. */
function onTerminal(command: readonly string[]) {
  const words = [process.execPath, 'bin/dev.js', ...command, '--yes'];
  const terminal = spawn('python3', [path.join(ROOT, 'test/support/terminal.py'), ...words], {
    cwd: ROOT,
    env: { ...process.env, ...environment, FORGE_HOME: operator.home },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let shown = '';
  terminal.stdout.on('data', (chunk) => {
    shown += chunk;
  });
  const showed = async (pattern: RegExp) => {
    try {
      await poll(`${pattern} is shown`, END_MS, () => pattern.test(shown));
    } catch (cause) {
      throw new Error(shown, { cause });
    }
  };
  return { showed, close: () => terminal.kill('SIGKILL') };
}

/** The operation's journal says that it ended because the terminal went away, and it is not done. */
async function expectHungUp(): Promise<OperationState | undefined> {
  const [operation] = await poll('forge has ended', END_MS, async () => {
    const operations = await listOperations(operator.paths.journals);
    return operations[0]?.failure?.kind === 'hung-up' && operations;
  });
  expect(operation?.result).toBeUndefined();
  return operation;
}

describe('a terminal that goes away', { timeout: RUN_MS }, () => {
  it('interrupts what was started on it: the slots in hand are finished, though nothing can be shown any more', async () => {
    const argv = await direction();
    const terminal = onTerminal(['cluster', 'reshard', ...argv, ...SLOWLY]);
    try {
      // A second group is on its way, at the latest.
      await terminal.showed(/[1-9]\d* of 400 slots/);
    } finally {
      terminal.close();
    }
    await expectHungUp();
    await expectNothingOpen();
    await finish(argv);
  });

  it.runIf(FULL)('interrupts a rollback as well, which the same rollback finishes', async () => {
    const { id, signature } = await half();
    const terminal = onTerminal(['rollback', id, ...SLOWLY]);
    try {
      await terminal.showed(/[1-9]\d* of 400 slots/);
    } finally {
      terminal.close();
    }
    expect(await expectHungUp()).toMatchObject({ direction: 'back' });
    await expectNothingOpen();
    await operator.succeed('rollback', [id]);
    await expectUndone(signature);
  });

  it('does not matter to what has none: cron, nohup, a service', async () => {
    const argv = await direction();
    const result = await operator.run('cluster/reshard', argv, {
      death: { mutation: AMID },
      victim: { pid: 0, signal: 'SIGHUP' },
      wrapper: ['nohup'],
    });
    expect(result.code, result.stderr).toBe(0);
    await expectSound({ nodes: cluster.nodes, keys: KEYS, traffic });
  });
});

describe('Ctrl-C amid a rollback', { timeout: RUN_MS }, () => {
  it('finishes the slots in hand, leaves none open, and says how to go on', async () => {
    const { id, signature } = await half();
    const result = await operator.run('rollback', [id], {
      death: { mutation: AMID / 2 },
      victim: { pid: 0, signal: 'SIGINT' },
    });
    expect(result.code, result.stderr).toBe(130);
    expect(result.stderr).toContain(`Go on undoing: forge rollback ${id}`);
    await expectNothingOpen();
    await operator.succeed('rollback', [id]);
    await expectUndone(signature);
  });
});

describe('a lock that is taken away', { timeout: RUN_MS }, () => {
  it('stops the work in the middle; what is left is told, and resume finishes it', async () => {
    const argv = await direction();
    const second = await TestOperator.create(environment);
    try {
      const running = operator.start('cluster/reshard', [...argv, ...SLOWLY]);
      await running.said(/[1-9]\d* of 400 slots/);
      await second.succeed('lock/release', []);
      const released = performance.now();
      const { code, stderr } = await running.ended;
      expect(performance.now() - released).toBeLessThan(STOPS_MS);
      expect(code, stderr).toBe(6);
      const id = /forge resume (\d{8}-\d{6}-[0-9a-f]{6})/.exec(stderr)?.[1] ?? '';
      const open = (await tablesOf(cluster.nodes)).flatMap(({ openSlots }) => openSlots);
      expect(new Set(open.map(({ slot }) => slot)).size, stderr).toBeLessThanOrEqual(64);
      if (open.length > 0) expect(stderr).toMatch(/some of them open: slots \d/);
      await operator.succeed('resume', [id]);
      await expectSound({ nodes: cluster.nodes, keys: KEYS, traffic });
    } finally {
      await second.remove();
    }
  });
});

describe('two operators at once', { timeout: RUN_MS }, () => {
  it('are kept apart: the second is told who is at work, whatever it wants', async () => {
    const second = await TestOperator.create(environment);
    const argv = await direction();
    try {
      const running = operator.start('cluster/reshard', [...argv, ...SLOWLY]);
      await running.said(/[1-9]\d* of 400 slots/);
      const refused = await Promise.all([
        second.run('cluster/reshard', argv),
        second.run('cluster/rebalance', ['--threshold', '0', '--weight', `${here.address}=2`]),
      ]);
      for (const { code, stderr, stdout } of refused) {
        // Refused by the lock; or, while a group is open, by the guard that looks before it.
        expect([5, 6], stderr).toContain(code);
        expect(stdout + stderr).toMatch(/is at work on this cluster|open|process \d+/);
      }
      const list = await operator.succeed('resume', []);
      expect(list.stdout).toMatch(/ at work +\d+ of \d+ steps done/);
      expect(list.stderr).not.toContain('Finish it');
      running.child.kill('SIGINT');
      expect((await running.ended).code).toBe(130);
      const afterwards = await operator.succeed('resume', []);
      expect(afterwards.stdout).toMatch(/ unfinished +\d+ of \d+ steps done/);
      expect(afterwards.stderr).toContain('Finish it');
      await expectNothingOpen();
      await finish(argv);
    } finally {
      await second.remove();
    }
  });

  it.runIf(FULL)('one that hung changes nothing any more when another has gone on', { timeout: 180_000 }, async () => {
    const second = await TestOperator.create(environment);
    const argv = await direction();
    try {
      const hanging = operator.start('cluster/reshard', argv, {
        death: { mutation: AMID },
        victim: { pid: 0, signal: 'SIGSTOP' },
      });
      const status = `/proc/${hanging.child.pid}/status`;
      await poll('it hangs', END_MS, () => /State:\tT/.test(readFileSync(status, 'utf8')));
      await poll('the lock of the one that hangs is taken over', 90_000, async () => {
        const { code } = await second.run('cluster/fix', []);
        return code === 0;
      });
      await expectSound({ nodes: cluster.nodes, keys: KEYS, traffic, name: 'taken over' });
      const before = (await tablesOf([here]))[0]?.signature;
      hanging.child.kill('SIGCONT');
      const { code, stderr } = await hanging.ended;
      expect([4, 6], stderr).toContain(code);
      expect((await tablesOf([here]))[0]?.signature).toBe(before);
      await expectNothingOpen();
      await finish(argv);
    } finally {
      await second.remove();
    }
  });
});
