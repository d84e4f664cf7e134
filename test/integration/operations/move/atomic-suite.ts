/** What holds for every server that moves slots atomically: one set of tests for Valkey and for Redis. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ForgeError } from '../../../../src/errors.js';
import { MoveControl } from '../../../../src/operations/move/control.js';
import type { StepEvent } from '../../../../src/operations/step.js';
import { temporaryHome } from '../../../support/operations/join.js';
import { poll, type RedisCluster, type RedisServer, startCluster } from '../../../support/redis.js';
import { FETCH_TIMEOUT_MS } from '../../../support/servers.js';
import { expectKeys, expectOwned, fill, type Home, idOf, moveSlots } from './moving.js';

const PASSWORD = 'atomic secret';
const KEYS = 12_000;
const WAIT_MS = 30_000;
/** Per key of a snapshot, in microseconds: a job of 300 keys takes seconds, so that something can happen in it. */
const SLOW_US = 20_000;

/** All servers with all cases: more than a minute. Without it, a node that hangs is tried with one server and one side. */
const SWEEP = process.env['FORGE_TEST_SWEEP'] !== undefined;

export interface AtomicServer {
  readonly name: string;
  readonly note: string;
  readonly executable: () => string;
  /** Begins a job by hand, as another tool does. */
  readonly begin: (from: RedisServer, to: RedisServer, start: number, end: number) => Promise<void>;
  /** How many jobs the node has under way. */
  readonly running: (node: RedisServer) => Promise<number>;
  /** Whether a target that hangs is tried in every run of the tests. */
  readonly hangs: boolean;
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
      for (const node of masters) await node.call('CONFIG', 'SET', 'rdb-key-save-delay', 0);
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

    it.runIf(SWEEP || server.hangs)(
      'gives up a target that hangs, after a bounded time, with the slots where they were',
      async () => {
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
      },
    );

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

    it('moves the last slot of a master, which may become a replica by that', async () => {
      const setting = pair(2, 0, 10923, 16383);
      expect((await run(setting)).outcome).toBe('done');
      await expectOwned(cluster.nodes, setting.to, setting.ranges);
    });
  });
}
