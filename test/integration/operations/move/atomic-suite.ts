/** What holds for every server that moves slots atomically: one set of tests for Valkey and for Redis. */
import { Cluster } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ForgeError } from '../../../../src/errors.js';
import { unfinishedOperations } from '../../../../src/operations/journal/journal.js';
import { MoveControl } from '../../../../src/operations/move/control.js';
import { resumeOperation } from '../../../../src/operations/run.js';
import type { StepEvent } from '../../../../src/operations/step.js';
import { openSession, temporaryHome } from '../../../support/operations/join.js';
import { poll, type RedisCluster, type RedisServer, startCluster } from '../../../support/redis.js';
import { FETCH_TIMEOUT_MS } from '../../../support/servers.js';
import { expectKeys, expectOwned, fill, type Home, idOf, moveSlots, slotOf } from './moving.js';

const PASSWORD = 'atomic secret';
const KEYS = 12_000;
const WAIT_MS = 30_000;
/** Per key of a snapshot, in microseconds: a job of 300 keys takes seconds, so that something can happen in it. */
const SLOW_US = 20_000;

/** Nodes that hang as well: a minute per server. */
const SWEEP = process.env['FORGE_TEST_SWEEP'] !== undefined;

export interface AtomicServer {
  readonly name: string;
  readonly note: string;
  readonly executable: () => string;
  /** Begins a job by hand, as another tool does. */
  readonly begin: (from: RedisServer, to: RedisServer, start: number, end: number) => Promise<void>;
  /** How many jobs the node has under way. */
  readonly running: (node: RedisServer) => Promise<number>;
  /** Whether the nodes let each other in by masterauth; Redis has a secret of the cluster for it. */
  readonly byMasterauth: boolean;
}

export function describeAtomicMoves(server: AtomicServer): void {
  describe(`moving slots by ${server.name}`, () => {
    let cluster: RedisCluster;
    let home: Home;
    let masters: RedisServer[];
    beforeAll(async () => {
      cluster = await startCluster({ masters: 3, requirepass: PASSWORD, executable: server.executable() });
      masters = [...cluster.masters];
      await fill(masters, KEYS);
      home = await temporaryHome();
    }, FETCH_TIMEOUT_MS);
    afterAll(() => cluster?.stop());
    afterEach(async () => {
      // One of them may be dead on purpose.
      for (const node of masters) await node.call('CONFIG', 'SET', 'rdb-key-save-delay', 0).catch(() => undefined);
      await home.remove();
      home = await temporaryHome();
    });

    const at = (index: number) => masters[index] as RedisServer;
    const pair = (from: number, to: number, start: number, end: number) => ({
      seeds: cluster.addresses,
      home,
      from: at(from),
      to: at(to),
      ranges: [{ start, end }],
      password: PASSWORD,
    });
    const slow = (node: RedisServer, us = SLOW_US) => node.call('CONFIG', 'SET', 'rdb-key-save-delay', us);
    const whole = () =>
      poll('the cluster is whole', WAIT_MS, async () => {
        const infos = await Promise.all(masters.map((node) => node.call('CLUSTER', 'INFO')));
        return infos.every((info) => String(info).includes('cluster_state:ok'));
      });
    const underWay = (node: RedisServer) =>
      poll('a job is under way', WAIT_MS, async () => (await server.running(node)) > 0);

    async function run(
      setting: Parameters<typeof moveSlots>[0],
      options: Parameters<typeof moveSlots>[1] = {},
    ): Promise<{ outcome: string; error?: ForgeError; events: StepEvent[]; notes: string[]; commands: string[] }> {
      const events: StepEvent[] = [];
      const commands: string[] = [];
      const observer = {
        event: (_: unknown, event: StepEvent) => void events.push(event),
        mutation: ({ command }: { command: readonly string[] }) => void commands.push(command.join(' ')),
      };
      const result = await moveSlots(setting, { observer, ...options }).then(
        ({ status }) => ({ outcome: status }),
        (error: ForgeError) => ({ outcome: `${error.kind}: ${error.message}`, error }),
      );
      const notes = events.flatMap((event) => (event.type === 'progress' ? [] : [event.text]));
      return { ...result, events, notes, commands };
    }

    async function expectDone(setting: ReturnType<typeof pair>): Promise<void> {
      await expectOwned(cluster.nodes, setting.to, setting.ranges);
      await expectKeys(masters, KEYS);
      for (const node of masters) expect(await server.running(node)).toBe(0);
    }

    it('takes every key along in one job, says which way was taken, and every node knows the new owner', async () => {
      const setting = pair(0, 1, 0, 800);
      const { outcome, events, notes, commands } = await run(setting);
      expect(outcome).toBe('done');
      await expectDone(setting);
      expect(notes).toContain(server.note);
      expect(commands).toHaveLength(1);
      expect(events.at(-1)).toMatchObject({ type: 'progress', slotsDone: 801, slotsTotal: 801, secondsLeft: 0 });
    });

    it('cuts the slots into jobs under a rate limit, begins none while paused, and stops after the one in hand', async () => {
      const setting = pair(0, 1, 801, 1400);
      const move = new MoveControl({ keysPerSecond: 100 });
      const stop = new AbortController();
      let jobs = 0;
      const observer = {
        event: (_: unknown, event: StepEvent) => {
          if (event.type !== 'progress') return;
          jobs++;
          if (jobs === 1) {
            move.pause();
            setTimeout(() => {
              expect(jobs).toBe(1);
              move.setLimits({ keysPerSecond: 100 });
              move.resume();
            }, 1_500);
          }
          if (jobs === 2) stop.abort(new Error('enough'));
        },
      };
      await expect(moveSlots(setting, { move, observer, signal: stop.signal })).rejects.toThrow('enough');
      expect(jobs).toBe(2);
      const again = await run(setting);
      expect(again.outcome).toBe('done');
      await expectDone(setting);
    });

    it('waits for the job that a killed run, or another tool, has begun, and begins none of its own', async () => {
      const setting = pair(0, 1, 1401, 1800);
      await slow(at(0), SLOW_US / 4);
      await server.begin(at(0), at(1), 1401, 1800);
      const { outcome, notes, commands } = await run(setting);
      expect(outcome).toBe('done');
      await expectDone(setting);
      expect(notes.join()).toContain('400 slots (1401-1800) are on their way already');
      expect(commands).toEqual([]);
    });

    it('cancels the job that goes the other way, which is now undone', async () => {
      const setting = pair(1, 0, 1801, 2200);
      await slow(at(0));
      await server.begin(at(0), at(1), 1801, 2200);
      const { outcome, notes } = await run(setting);
      expect(outcome).toBe('done');
      await expectDone(setting);
      expect(notes.join()).toContain('in the other direction');
    });

    it('cancels the job in hand on Ctrl-C; nothing has moved then, and the same command again moves all', async () => {
      const setting = pair(0, 1, 2201, 2700);
      await slow(at(0));
      const stop = new AbortController();
      const moving = run(setting, { signal: stop.signal });
      await underWay(at(0));
      stop.abort(new Error('Ctrl-C'));
      expect((await moving).error?.message).toBe('Ctrl-C');
      for (const node of masters) expect(await server.running(node)).toBe(0);
      await expectOwned(cluster.nodes, at(0), setting.ranges);
      await expectKeys(masters, KEYS);
      await at(0).call('CONFIG', 'SET', 'rdb-key-save-delay', 0);
      expect((await run(setting)).outcome).toBe('done');
      await expectDone(setting);
    });

    it.runIf(SWEEP)('gives up a target that hangs, after a bounded time, with the slots where they were', async () => {
      const setting = pair(0, 1, 2701, 3100);
      await slow(at(0));
      const moving = run(setting, { waitMs: 2_000 });
      await underWay(at(0));
      await at(1).kill('SIGSTOP');
      const { error } = await moving;
      await at(1).kill('SIGCONT');
      expect(error).toMatchObject({ kind: expect.stringMatching(/unreachable|timeout/) });
      expect(error?.message).toContain(at(1).address);
      await at(0).call('CONFIG', 'SET', 'rdb-key-save-delay', 0);
      await poll(
        'no job runs',
        WAIT_MS,
        async () => (await server.running(at(0))) + (await server.running(at(1))) === 0,
      );
      await whole();
      await expectKeys(masters, KEYS);
      expect((await run(setting)).outcome).toBe('done');
      await expectDone(setting);
    });

    it.runIf(SWEEP)('gives up a source that hangs, after a bounded time, and goes on when it is back', async () => {
      const setting = pair(0, 1, 3101, 3500);
      await slow(at(0));
      const moving = run(setting, { waitMs: 2_000 });
      await underWay(at(0));
      await at(0).kill('SIGSTOP');
      const { error } = await moving;
      await at(0).kill('SIGCONT');
      expect(error).toMatchObject({ kind: expect.stringMatching(/unreachable|timeout/) });
      await at(0).call('CONFIG', 'SET', 'rdb-key-save-delay', 0);
      await whole();
      expect((await run(setting)).outcome).toBe('done');
      await expectDone(setting);
    });

    it('says that the memory of the target does not do, leaves the slots where they are, and goes on with more', async () => {
      const setting = pair(0, 1, 3501, 4200);
      const used = /used_memory:(\d+)/.exec(String(await at(1).call('INFO', 'memory')))?.[1];
      await at(1).call('CONFIG', 'SET', 'maxmemory', Number(used) + 10_000);
      const { error } = await run(setting);
      await at(1).call('CONFIG', 'SET', 'maxmemory', 0);
      expect(error).toMatchObject({ kind: 'refused' });
      expect(error?.message).toMatch(/memory/);
      expect(error?.next.join()).toMatch(/memory/i);
      await expectOwned(cluster.nodes, at(0), setting.ranges);
      await expectKeys(masters, KEYS);
      expect((await run(setting)).outcome).toBe('done');
      await expectDone(setting);
    });

    it('finishes slots that were left open by MIGRATE first, and moves the rest atomically', async () => {
      const setting = pair(0, 1, 4201, 4600);
      await at(1).call('CLUSTER', 'SETSLOT', 4300, 'IMPORTING', await idOf(at(0)));
      await at(0).call('CLUSTER', 'SETSLOT', 4300, 'MIGRATING', await idOf(at(1)));
      const { outcome, notes } = await run(setting);
      expect(outcome).toBe('done');
      await expectDone(setting);
      expect(notes).toContain('MIGRATE is taken: 1 slots were left open (4300)');
      expect(notes).toContain(server.note);
    });

    it('moves by MIGRATE where another slot is open, and refuses when the atomic way was demanded', async () => {
      const setting = pair(0, 1, 4601, 4900);
      await at(0).call('CLUSTER', 'SETSLOT', 5400, 'MIGRATING', await idOf(at(1)));
      const demanded = await run(setting, { move: new MoveControl({ method: 'atomic' }) });
      expect(demanded.error).toMatchObject({
        kind: 'refused',
        message: expect.stringContaining('1 other slots are open'),
      });
      const { outcome, notes } = await run(setting, { waitMs: 1_000 });
      await at(0).call('CLUSTER', 'SETSLOT', 5400, 'STABLE');
      // What is left open elsewhere is told by the verification.
      expect(outcome).toMatch(/^verification/);
      expect(notes.join()).toContain('MIGRATE is taken: 1 other slots are open');
      await expectDone(setting);
    });

    it('loses no acknowledged write of a client that writes meanwhile, and the client sees no error', async () => {
      const setting = pair(0, 1, 4901, 5300);
      const keys = Array.from({ length: 200_000 }, (_, i) => `count:${i}`).filter((key) => {
        const slot = slotOf(key);
        return slot >= 4901 && slot <= 5300;
      });
      const some = keys.slice(0, 300);
      const client = new Cluster([{ host: at(0).host, port: at(0).port }], { redisOptions: { password: PASSWORD } });
      const acknowledged = new Map<string, number>();
      let stop = false;
      const writer = async (mine: string[]) => {
        for (let i = 0; !stop; i++) {
          const key = mine[i % mine.length] as string;
          acknowledged.set(key, await client.incr(key));
        }
      };
      const writing = Promise.all(Array.from({ length: 20 }, (_, i) => writer(some.filter((_, at) => at % 20 === i))));
      try {
        await poll('writes go on', WAIT_MS, () => acknowledged.size > 200);
        await slow(at(0), SLOW_US / 10);
        expect((await run(setting)).outcome).toBe('done');
        await expectOwned(cluster.nodes, setting.to, setting.ranges);
        const moved = acknowledged.get(some[0] as string) ?? 0;
        await poll('writes still go on', WAIT_MS, () => (acknowledged.get(some[0] as string) ?? 0) > moved);
      } finally {
        stop = true;
        await writing;
      }
      for (const [key, count] of acknowledged) expect(Number(await client.get(key))).toBe(count);
      for (const key of acknowledged.keys()) await client.del(key);
      client.disconnect();
      await expectKeys(masters, KEYS);
    });

    it.runIf(server.byMasterauth)(
      'moves by MIGRATE where the nodes do not let each other in, and says why',
      async () => {
        const setting = pair(0, 1, 5301, 5350);
        await at(0).call('CONFIG', 'SET', 'masterauth', '');
        const demanded = await run(setting, { move: new MoveControl({ method: 'atomic' }) });
        expect(demanded.error).toMatchObject({
          kind: 'denied',
          next: expect.arrayContaining([expect.stringContaining('primaryauth')]),
        });
        const { outcome, notes } = await run(setting);
        await at(0).call('CONFIG', 'SET', 'masterauth', PASSWORD);
        expect(outcome).toBe('done');
        await expectDone(setting);
        expect(notes).toContain('MIGRATE is taken: the atomic way is not to be had');
        expect(notes.join()).not.toContain(PASSWORD);
      },
    );

    it('moves the last slot of a master, which may become a replica by that', async () => {
      const setting = pair(2, 0, 10923, 16383);
      expect((await run(setting)).outcome).toBe('done');
      await expectOwned(cluster.nodes, setting.to, setting.ranges);
    });

    it('leaves everything with the source when the target dies', async () => {
      const setting = pair(0, 1, 5351, 5460);
      // The master that gave its last slot away becomes a replica, and loads: no change is begun meanwhile.
      await poll('every node is linked', WAIT_MS, async () => {
        const infos = await Promise.all(masters.map((node) => node.call('INFO')));
        return !infos.some((info) => /master_link_status:down|master_sync_in_progress:1|loading:1/.test(String(info)));
      });
      const held = Number(await at(0).call('DBSIZE'));
      await slow(at(0), 4 * SLOW_US);
      const moving = run(setting, { waitMs: 3_000 });
      const early = moving.then(({ outcome, notes }) => Promise.reject(new Error(`${outcome}: ${notes.join('; ')}`)));
      await Promise.race([underWay(at(0)), early]);
      early.catch(() => {});
      await at(1).kill();
      const { error } = await moving;
      expect(error).toMatchObject({ kind: 'unreachable', host: at(1).address });
      expect(error?.message).toContain(at(1).address);
      expect(await server.running(at(0))).toBe(0);
      expect(await at(0).call('DBSIZE')).toBe(held);
      await expectOwned([at(0), at(2)], at(0), setting.ranges);
    });
  });

  describe.runIf(SWEEP)(`a shard that fails over while slots move by ${server.name}`, () => {
    it('is followed: the same command again moves the slots from the new master', async () => {
      const home = await temporaryHome();
      const cluster = await startCluster({
        masters: 3,
        replicasPerMaster: 1,
        requirepass: PASSWORD,
        executable: server.executable(),
      });
      try {
        await fill(cluster.masters, KEYS);
        const [from, to, third] = cluster.masters as [RedisServer, RedisServer, RedisServer];
        const [heir] = cluster.replicas as [RedisServer];
        const setting = {
          seeds: cluster.addresses,
          home,
          from,
          to,
          ranges: [{ start: 0, end: 800 }],
          password: PASSWORD,
        };
        await from.call('CONFIG', 'SET', 'rdb-key-save-delay', SLOW_US);
        const moving = moveSlots(setting, { waitMs: 3_000 }).catch((error: ForgeError) => error);
        await poll('a job is under way', WAIT_MS, async () => (await server.running(from)) > 0);
        await from.kill();
        expect(await moving).toMatchObject({ kind: expect.stringMatching(/unreachable|refused|timeout/) });
        await poll('the replica is the master', WAIT_MS, async () => {
          const roles = await Promise.all([heir, to, third].map((node) => node.call('CLUSTER', 'NODES')));
          return roles.every((table) => new RegExp(`:${heir.port}@\\S+ \\S*master`).test(String(table)));
        });
        const session = await openSession(to.address, { password: PASSWORD });
        const [begun] = await unfinishedOperations(home.paths.journals, session.memberIds);
        const settings = { session, paths: home.paths, waitMs: 10_000 };
        const result = await resumeOperation(settings, begun?.operationId ?? '');
        session.close();
        expect(result.status).toBe('done');
        const alive = [heir, to, third];
        await expectOwned(alive, to, setting.ranges);
        await expectKeys(alive, KEYS);
      } finally {
        await Promise.all([cluster.stop(), home.remove()]);
      }
    });
  });
}
