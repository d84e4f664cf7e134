import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countSlots, normalizeSlots, type SlotSet, subtractSlots } from '../../../../src/cluster/slots.js';
import {
  batchBounds,
  fitsIntoOneJob,
  JOB_BYTES_MAX,
  nextBatch,
} from '../../../../src/operations/move/atomic/batches.js';
import { causeOf, mayHaveLostWrites } from '../../../../src/operations/move/atomic/explain.js';
import { spreadOver } from '../../../../src/operations/move/atomic/slot-keys.js';
import { chooseMover } from '../../../../src/operations/move/mover.js';
import { redisAtomicDriver } from '../../../../src/operations/move/redis-atomic/driver.js';
import { valkeyAtomicDriver } from '../../../../src/operations/move/valkey-atomic/driver.js';

const SOURCE = 'a'.repeat(40);
const TARGET = 'b'.repeat(40);
const JOB = 'c'.repeat(40);
const slots = normalizeSlots([
  { start: 5, end: 9 },
  { start: 0, end: 3 },
]);
const move = { source: { id: SOURCE, address: 's:1' }, target: { id: TARGET, address: 't:1' }, slots };

const valkeyJob = (state: string, operation = 'EXPORT') =>
  Object.entries({
    name: JOB,
    operation,
    slot_ranges: '0-3 5-9',
    target_node: TARGET,
    source_node: SOURCE,
    create_time: 1_700_000_000,
    last_update_time: 1_700_000_001,
    last_ack_time: 1_700_000_002,
    state,
    message: state === 'failed' ? 'Ran out of memory (OOM) during slot import' : '',
    cow_size: 0,
    remaining_repl_size: 0,
  }).flat();

const redisTask = (state: string, operation = 'import', retries = 0) =>
  Object.entries({
    id: JOB,
    slots: '0-3 5-9',
    source: SOURCE,
    dest: TARGET,
    operation,
    state,
    last_error: '',
    retries,
    create_time: 1,
    start_time: 1,
    end_time: -1,
    write_pause_ms: 0,
  }).flat();

describe('Valkey’s jobs', () => {
  it('are begun at the source with all ranges and the target’s id', () => {
    expect(valkeyAtomicDriver.start(move).join(' ')).toBe(`CLUSTER MIGRATESLOTS SLOTSRANGE 0 3 5 9 NODE ${TARGET}`);
  });

  it('are read from GETSLOTMIGRATIONS, with words that a later version may add as under way', () => {
    const states = ['snapshotting', 'success', 'failed', 'cancelled', 'something-new'];
    const jobs = valkeyAtomicDriver.parse(states.map((state) => valkeyJob(state)));
    expect(jobs.map(({ phase }) => phase)).toEqual(['running', 'done', 'failed', 'cancelled', 'running']);
    expect(jobs[2]).toMatchObject({
      id: JOB,
      direction: 'export',
      slots,
      sourceId: SOURCE,
      targetId: TARGET,
      message: 'Ran out of memory (OOM) during slot import',
    });
    expect(valkeyAtomicDriver.parse([valkeyJob('cleaning-up', 'IMPORT')])).toMatchObject([
      { direction: 'import', phase: 'running' },
    ]);
  });

  it('of a replica tell neither source nor target', () => {
    const tracked = ['name', JOB, 'operation', 'IMPORT', 'slot_ranges', '7-7', 'state', 'occurring-on-primary'];
    expect(valkeyAtomicDriver.parse([tracked])).toMatchObject([{ sourceId: '', targetId: '', phase: 'running' }]);
  });

  it('have a pulse that stands still only when nothing is heard', () => {
    const [before] = valkeyAtomicDriver.parse([valkeyJob('snapshotting')]);
    const later = valkeyJob('snapshotting').map((word) => (word === 1_700_000_002 ? 1_700_000_003 : word));
    expect(valkeyAtomicDriver.parse([later])[0]?.pulse).not.toBe(before?.pulse);
    expect(valkeyAtomicDriver.parse([valkeyJob('snapshotting')])[0]?.pulse).toBe(before?.pulse);
  });
});

describe('Redis’s tasks', () => {
  it('are begun at the target, which finds the source itself, and cancelled by their id', () => {
    expect(redisAtomicDriver.start(move).join(' ')).toBe('CLUSTER MIGRATION IMPORT 0 3 5 9');
    const [job] = redisAtomicDriver.parse([redisTask('connecting')]);
    expect(job && redisAtomicDriver.cancel(job).join(' ')).toBe(`CLUSTER MIGRATION CANCEL ID ${JOB}`);
  });

  it('are not at their end when an import has failed: the server begins it again by itself', () => {
    const phase = (state: string, operation?: string) =>
      redisAtomicDriver.parse([redisTask(state, operation)])[0]?.phase;
    expect(phase('failed')).toBe('running');
    expect(phase('failed', 'migrate')).toBe('failed');
    expect([phase('completed'), phase('canceled'), phase('accumulate-buffer')]).toEqual([
      'done',
      'cancelled',
      'running',
    ]);
    expect(redisAtomicDriver.parse([redisTask('failed', 'import', 3)])[0]).toMatchObject({ retries: 3, slots });
  });
});

it('a reply of another shape has no jobs, and one with nonsense for slots is refused', () => {
  for (const { parse } of [valkeyAtomicDriver, redisAtomicDriver]) {
    for (const reply of [null, 'OK', 7, [], [null], [[]], [['name']], [[1, 2]]]) expect(parse(reply)).toEqual([]);
  }
  const nonsense = ['name', JOB, 'slot_ranges', '9-x', 'state', 'success'];
  expect(() => valkeyAtomicDriver.parse([nonsense])).toThrow(RangeError);
});

describe('slots are cut into jobs', () => {
  const anySlots = fc
    .array(fc.tuple(fc.integer({ min: 0, max: 16_383 }), fc.integer({ min: 0, max: 60 })), {
      minLength: 1,
      maxLength: 12,
    })
    .map((pairs) => normalizeSlots(pairs.map(([start, more]) => ({ start, end: Math.min(16_383, start + more) }))));

  it('that hold every slot once, in order, within the bounds or with one slot', () => {
    fc.assert(
      fc.property(
        anySlots,
        fc.integer({ min: 1, max: 500 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 0, max: 99 }),
        (all, keysMax, rangesMax, seed) => {
          const keysOf = (slot: number) => (slot * 31 + seed) % 97;
          let left: SlotSet = all;
          let last = -1;
          while (left.length > 0) {
            const batch = nextBatch(left, keysOf, 10, { keysMax, bytesMax: 2_000, rangesMax });
            expect(batch.slots[0]?.start).toBeGreaterThan(last);
            last = batch.slots.at(-1)?.end ?? last;
            const count = countSlots(batch.slots);
            if (count > 1) {
              expect(batch.keys).toBeLessThanOrEqual(keysMax);
              expect(batch.bytes).toBeLessThanOrEqual(2_000);
            }
            expect(batch.slots.length).toBeLessThanOrEqual(rangesMax);
            const rest = subtractSlots(left, batch.slots);
            expect(countSlots(rest)).toBe(countSlots(left) - count);
            left = rest;
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('of all slots at once where they are small, and none', () => {
    const all = [{ start: 0, end: 4_095 }];
    expect(nextBatch(all, () => 40, 120, batchBounds({})).slots).toEqual(all);
    expect(() => nextBatch([], () => 0, 0, batchBounds({}))).toThrow(RangeError);
  });

  it('or not, where all that the node holds fits into one and no limit is set', () => {
    const all = [{ start: 0, end: 16_383 }];
    expect(fitsIntoOneJob(all, JOB_BYTES_MAX, {})).toBe(true);
    expect(fitsIntoOneJob(all, JOB_BYTES_MAX + 1, {})).toBe(false);
    expect(fitsIntoOneJob(all, 1, { keysPerSecond: 1 })).toBe(false);
    expect(fitsIntoOneJob(all, 1, { bytesPerSecond: 1 })).toBe(false);
    const scattered = Array.from({ length: 1_001 }, (_, i) => ({ start: i * 2, end: i * 2 }));
    expect(fitsIntoOneJob(scattered, 1, {})).toBe(false);
  });

  it('and a bounded number of them is looked at afterwards, from the first to the last', () => {
    expect(spreadOver([1, 2, 3], 5)).toEqual([1, 2, 3]);
    const spread = spreadOver(
      Array.from({ length: 4_096 }, (_, i) => i),
      256,
    );
    expect(new Set(spread).size).toBe(256);
    expect([spread[0], spread.at(-1)]).toEqual([0, 4_095]);
  });

  it('that are no larger than half a gigabyte, and under a limit than two seconds of it', () => {
    expect(batchBounds({})).toMatchObject({ bytesMax: JOB_BYTES_MAX, keysMax: Number.POSITIVE_INFINITY });
    expect(batchBounds({ bytesPerSecond: 1_000, keysPerSecond: 7 })).toMatchObject({ bytesMax: 2_000, keysMax: 14 });
    expect(batchBounds({ bytesPerSecond: 1e12 }).bytesMax).toBe(JOB_BYTES_MAX);
  });
});

describe('what the servers say', () => {
  it.each([
    ['Failed to AUTH to target node: -WRONGPASS invalid username-password pair', 'denied', false, true],
    ['NOPERM User x has no permissions to run the cluster|migrateslots command', 'denied', false, true],
    ['Ran out of memory (OOM) during slot import', 'refused', false, false],
    ['ERR Slots are being manually imported', 'refused', false, false],
    ['ERR all slot states must be STABLE to start a slot migration task.', 'refused', false, false],
    [
      'Connection lost to target. Check CLUSTER GETSLOTMIGRATIONS on the target node for more information.',
      'unreachable',
      true,
      false,
    ],
    ['Unable to connect to target node: Connection refused', 'unreachable', true, false],
    ['Timed out after too long with no interaction', 'unreachable', true, false],
    ['Failed to start snapshot', 'refused', true, false],
    ['ERR Target node does not agree about current slot ownership', 'refused', true, false],
    ['ERR another ASM task is already in progress', 'refused', true, false],
    ['Data was flushed', 'refused', true, false],
    ['Slot migration not allowed by module x', 'refused', false, true],
    ['Cancelled due to user request', 'refused', false, false],
    ['A failover occurred during slot import', 'refused', false, false],
  ])('“%s” is %s; again %s, by MIGRATE %s', (text, kind, again, elsewise) => {
    expect(causeOf(text)).toMatchObject({ kind, again, elsewise });
    expect(causeOf(text).next).not.toBe('');
  });

  it('tells where writes may be lost', () => {
    expect(
      mayHaveLostWrites('Unpaused before migration completed (migration may have succeeded with lost writes)'),
    ).toBe(true);
    expect(mayHaveLostWrites('Write pause timeout during slot handoff: destination did not take ownership')).toBe(true);
    expect(mayHaveLostWrites('Data was flushed')).toBe(false);
  });
});

describe('the way of moving', () => {
  const pair = { source: 's:1', target: 't:1' };
  const old = { migrate: true, valkeyAtomic: false, redisAtomic: false };
  const valkey = { ...old, valkeyAtomic: true };
  const redis = { ...old, redisAtomic: true };

  it('is the atomic one where both nodes have the same, else MIGRATE', () => {
    expect(chooseMover(valkey, valkey, 'auto', pair)).toBe('valkey-atomic');
    expect(chooseMover(redis, redis, 'auto', pair)).toBe('redis-atomic');
    for (const [from, to] of [
      [valkey, old],
      [old, valkey],
      [redis, valkey],
      [old, redis],
      [old, old],
    ] as const) {
      expect(chooseMover(from, to, 'auto', pair)).toBe('migrate');
    }
    expect(chooseMover(valkey, valkey, 'migrate', pair)).toBe('migrate');
  });

  it('is refused where it was demanded and cannot be had', () => {
    expect(() => chooseMover(valkey, old, 'atomic', pair)).toThrow('cannot move slots atomically');
    const nothing = { migrate: false, valkeyAtomic: false, redisAtomic: false };
    expect(() => chooseMover(nothing, old, 'auto', pair)).toThrow('No way to move slots');
    expect(() => chooseMover(valkey, { ...valkey, migrate: false }, 'migrate', pair)).toThrow('No way to move slots');
  });
});
