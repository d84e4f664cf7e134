import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ForgeError } from '../../../src/errors.js';
import { parseAudit } from '../../../src/operations/audit.js';
import { listOperations, unfinishedOperations } from '../../../src/operations/journal/journal.js';
import { formatPlan, type Plan, parsePlan } from '../../../src/operations/plan.js';
import { rollbackOperation, runPlan } from '../../../src/operations/run.js';
import { compiledPrograms } from '../../support/operations/compiled.js';
import { joinPlan, openSession, temporaryHome } from '../../support/operations/join.js';
import type { KilledRun } from '../../support/operations/killed.js';
import { poll, type RedisCluster, type RedisServer, startCluster, startRedis } from '../../support/redis.js';
import { failureOf, tablesOf } from '../cluster/formed.js';
import { FULL } from '../torture/kills.js';

const PASSWORD = 'operations secret';
const PROGRAM = 'test/support/operations/killed.js';
const CHILD_MS = 30_000;

let cluster: RedisCluster;
let stranger: RedisServer;
let home: Awaited<ReturnType<typeof temporaryHome>>;

beforeEach(async () => {
  home = await temporaryHome();
  [cluster, stranger] = await Promise.all([
    startCluster({ masters: 3, requirepass: PASSWORD }),
    startRedis({ cluster: true, requirepass: PASSWORD, args: ['--repl-diskless-sync-delay', '0'] }),
  ]);
  for (const master of cluster.masters) await master.call('CONFIG', 'SET', 'repl-diskless-sync-delay', 0);
});
afterEach(async () => {
  await Promise.all([cluster?.stop(), stranger?.stop(), home?.remove()]);
});

async function join(options: Partial<Parameters<typeof runPlan>[0]> & { plan?: Plan } = {}) {
  const session = await openSession(cluster.addresses, { also: stranger.address, password: PASSWORD });
  try {
    const plan = options.plan ?? joinPlan(session.snapshot);
    return await runPlan({ session, paths: home.paths, waitMs: 15_000, confirm: async () => true, ...options, plan });
  } finally {
    session.close();
  }
}

async function expectJoined(): Promise<void> {
  const tables = await tablesOf([...cluster.nodes, stranger]);
  for (const table of tables) {
    expect(table.nodes).toHaveLength(4);
    expect(table.uncovered).toEqual([]);
    expect(table.openSlots).toEqual([]);
    expect(table.replicas).toHaveLength(1);
  }
  expect(new Set(tables.map(({ signature }) => signature)).size).toBe(1);
  expect(await stranger.call('INFO', 'replication')).toContain('master_link_status:up');
}

async function makeStrange(): Promise<void> {
  const [table] = await tablesOf([stranger]);
  const id = table?.myself?.id ?? '';
  await stranger.call('CLUSTER', 'RESET', 'HARD');
  for (const node of cluster.nodes) await node.call('CLUSTER', 'FORGET', id).catch(() => undefined);
  await poll('the node is gone', 5_000, async () => {
    const tables = await tablesOf(cluster.nodes);
    return tables.every(({ nodes, handshakes }) => nodes.length === 3 && handshakes.length === 0);
  });
}

/** Runs it in a process of its own, which kills itself. */
async function killed(run: Pick<KilledRun, 'line' | 'moment' | 'rollback'>): Promise<NodeJS.Signals | null> {
  const all: KilledRun = { seeds: cluster.addresses, also: stranger.address, home: home.home, ...run };
  const child = spawn(process.execPath, [path.join(await compiledPrograms(), PROGRAM), JSON.stringify(all)], {
    env: { ...process.env, REDIS_REQUIREPASS: PASSWORD },
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: CHILD_MS,
  });
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  return new Promise((resolve, reject) => {
    child.once('close', (code, signal) => {
      if (code === null || code === 0) resolve(signal);
      else reject(new Error(stderr));
    });
  });
}

describe('an operation', () => {
  it('is carried out, written into the journal and the audit log, and verified', async () => {
    const mutations: string[] = [];
    const result = await join({ observer: { mutation: ({ command }) => void mutations.push(command.join(' ')) } });
    expect(result).toMatchObject({ status: 'done', resumed: false });
    await expectJoined();
    expect(mutations.some((command) => command.startsWith('CLUSTER REPLICATE '))).toBe(true);
    const [state] = await listOperations(home.paths.journals);
    expect(state).toMatchObject({ result: 'done', operationId: result.operationId });
    expect([...(state?.steps.values() ?? [])]).toEqual(['done', 'done', 'done', 'done']);
    const { entries } = parseAudit(await readFile(home.paths.audit, 'utf8'));
    expect(entries.map(({ event, result: outcome }) => [event, outcome])).toEqual([
      ['begin', undefined],
      ['end', 'done'],
    ]);
    expect(JSON.stringify(entries)).not.toContain(PASSWORD);
  });

  it('is only shown by a dry run, and refused when the cluster has changed since its plan was made', async () => {
    const dry = await join({ dryRun: true });
    expect(dry.status).toBe('planned');
    const saved = parsePlan(formatPlan(dry.plan), 'plan.json');
    expect(saved).toEqual(dry.plan);
    expect(await listOperations(home.paths.journals)).toEqual([]);
    await cluster.masters[0]?.call('CLUSTER', 'DELSLOTS', 0);
    await cluster.masters[1]?.call('CLUSTER', 'DELSLOTS', 0);
    await cluster.masters[2]?.call('CLUSTER', 'DELSLOTS', 0);
    expect(await failureOf(join({ plan: saved }))).toMatchObject({
      kind: 'refused',
      message: 'The cluster has changed since the plan was made.',
    });
  });

  it('is refused by every guard that is violated, and not when these are overridden by name', async () => {
    await stranger.call('FLUSHALL');
    await stranger.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383);
    await poll(
      'the node serves',
      5_000,
      async () => String(await stranger.call('SET', 'k', 'v').catch(() => '')) === 'OK',
    );
    const failure = await failureOf(join());
    expect(failure.kind).toBe('refused');
    expect(failure.message).toMatch(/not-empty: \S+ holds 1 key\n\s+other-cluster: \S+ serves slots of its own/);
    expect(failure.next.join()).toContain('--force not-empty,other-cluster');
    expect((await join({ force: ['not-empty', 'other-cluster'], dryRun: true })).status).toBe('planned');
  });

  it('that somebody else carries out keeps others away until it is done', async () => {
    let second: Promise<ForgeError> | undefined;
    const other = await temporaryHome();
    await join({
      observer: {
        mutation: async () => {
          second ??= failureOf(join({ plan: undefined, paths: other.paths }));
          await second;
        },
      },
    });
    await other.remove();
    const failure = await second;
    expect(failure).toMatchObject({ kind: 'locked', exitCode: 6 });
    expect(failure?.message).toMatch(/process \d+, test join, since 20/);
    await expectJoined();
  });
});

describe('an operation that was killed', () => {
  it('is finished by the same command, at whatever line of the journal it died', async () => {
    await join();
    const [done] = await listOperations(home.paths.journals);
    // A begin, two lines per step, an end. Dying after a line is dying before the next, but for the last.
    const last = 1 + 2 * (done?.plan.steps.length ?? 0);
    expect(last).toBe(9);
    const deaths = [
      ...Array.from({ length: last }, (_, index) => ({ line: index + 1, moment: 'before' as const })),
      { line: 4, moment: 'torn' as const },
      { line: last, moment: 'after' as const },
    ];
    // Every third without the full sweep: test/integration/torture kills whole commands.
    for (const death of FULL ? deaths : deaths.filter((_, i) => i % 3 === 0 || i >= last)) {
      await makeStrange();
      const name = `${death.moment} line ${death.line}`;
      expect(await killed(death), name).toBe('SIGKILL');
      const session = await openSession(cluster.addresses, { password: PASSWORD });
      const unfinished = await unfinishedOperations(home.paths.journals, session.memberIds);
      session.close();
      const ended = death.moment === 'after';
      expect(unfinished, name).toHaveLength(ended ? 0 : 1);
      expect((await join()).status, name).toBe(ended ? 'unchanged' : 'done');
      await expectJoined();
    }
  }, 180_000);

  it('is undone by a rollback, which can be killed as well', async () => {
    for (const line of [3, 5, 7]) {
      expect(await killed({ line, moment: 'after' })).toBe('SIGKILL');
      const [operation] = (await listOperations(home.paths.journals)).filter(({ result }) => result === undefined);
      const operationId = operation?.operationId ?? '';
      expect(await killed({ line: line + 3, moment: 'after', rollback: operationId })).toBe('SIGKILL');
      // Now it only goes back.
      const refusal = await failureOf(join());
      expect(refusal.next.join()).toContain(`forge rollback ${operationId}`);
      const session = await openSession(cluster.addresses, { also: stranger.address, password: PASSWORD });
      const result = await rollbackOperation({ session, paths: home.paths, waitMs: 15_000 }, operationId);
      session.close();
      expect(result.status).toBe('rolled-back');
      const tables = await tablesOf(cluster.nodes);
      expect(tables.map(({ nodes }) => nodes.length)).toEqual([3, 3, 3]);
      expect((await tablesOf([stranger]))[0]?.nodes).toHaveLength(1);
    }
  }, 120_000);

  it('keeps other operations away until it is finished or undone', async () => {
    expect(await killed({ line: 3, moment: 'after' })).toBe('SIGKILL');
    const session = await openSession(cluster.addresses, { also: stranger.address, password: PASSWORD });
    const plan = joinPlan(session.snapshot, { join: 'something else' });
    const failure = await failureOf(
      runPlan({ session, paths: home.paths, plan, confirm: async () => true }).finally(() => session.close()),
    );
    expect(failure).toMatchObject({ kind: 'refused' });
    expect(failure.next.join()).toMatch(/forge resume \d{8}-\d{6}-[0-9a-f]{6}.*forge rollback/);
    await join();
    await expectJoined();
  });
});
