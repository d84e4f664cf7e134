import { describe, expect, it } from 'vitest';
import { ForgeError } from '../../../../../src/errors.js';
import { abandoned, explain } from '../../../../../src/operations/move/migrate/explain.js';
import {
  ConflictError,
  kindOfFailure,
  kindOfReply,
  RETRIED,
  showKeys,
} from '../../../../../src/operations/move/migrate/failures.js';
import { GROUP_SLOTS_MAX, groupLength } from '../../../../../src/operations/move/migrate/groups.js';
import { MoveProgress } from '../../../../../src/operations/move/migrate/progress.js';
import { slotStates } from '../../../../../src/operations/move/migrate/slot-states.js';
import { idOf, snapshotOf } from '../../support.js';

const pair = { source: { id: idOf(1), address: 's:1' }, target: { id: idOf(2), address: 't:2' } };
const replied = (reply: string) =>
  new ForgeError('refused', `s:1 answers to MIGRATE: ${reply}`, { details: { reply } });
const nowhere = { moved: [], back: [], open: [], stuck: [], kept: [] };

describe('what MIGRATE answers', () => {
  it.each([
    ['ERR Target instance replied with error: BUSYKEY Target key name already exists.', 'busy'],
    ["ERR Target instance replied with error: OOM command not allowed when used memory > 'maxmemory'.", 'full'],
    ["CROSSSLOT Keys in request don't hash to the same slot", 'mixed'],
    ['ERR Target instance replied with error: LOADING Redis is loading the dataset in memory', 'later'],
    ['ERR Target instance replied with error: CLUSTERDOWN The cluster is down', 'later'],
    ['ERR Target instance replied with error: BUSY Redis is busy running a script.', 'later'],
    ['ERR Target instance replied with error: TRYAGAIN Multiple keys request during rehashing of slot', 'later'],
    ['ERR Target instance replied with error: MOVED 5461 10.0.0.1:6379', 'unmarked'],
    ['ERR Target instance replied with error: ASK 5461 10.0.0.1:6379', 'unmarked'],
    ['IOERR error or timeout reading to target instance', 'lost'],
    ['ERR Target instance replied with error: NOAUTH Authentication required.', 'denied'],
    ['ERR Target instance replied with error: WRONGPASS invalid username-password pair or user is disabled.', 'denied'],
    ['ERR Target instance replied with error: NOPERM this user has no permissions', 'denied'],
    ['ERR Target instance replied with error: ERR DUMP payload version or checksum are wrong', 'foreign'],
    ['ERR Target instance replied with error: ERR Bad data format', 'foreign'],
    ['ERR syntax error', 'other'],
  ])('%s: %s', (reply, kind) => {
    expect(kindOfReply(reply)).toBe(kind);
    expect(kindOfFailure(replied(reply))).toBe(kind);
    const error = explain(pair, replied(reply), nowhere);
    expect(error.message.length).toBeGreaterThan(10);
    expect(error.next.join('').length).toBeGreaterThan(10);
  });

  it.each<[string, ForgeError, string, RegExp, RegExp]>([
    [
      'a source that the rest of the cluster has lost',
      new ForgeError('refused', 's:1 answers to MIGRATE: CLUSTERDOWN The cluster is down', {
        host: 's:1',
        details: { reply: 'CLUSTERDOWN The cluster is down' },
      }),
      's:1',
      /^s:1 did not become ready in time: .* is down\.$/,
      /^s:1 serves again when it reaches most masters/,
    ],
    [
      'a target that the rest of the cluster has lost',
      replied('ERR Target instance replied with error: CLUSTERDOWN The cluster is down'),
      't:2',
      /^t:2 did not become ready/,
      /^t:2 serves again/,
    ],
    [
      'a target that does not answer forge',
      new ForgeError('timeout', 't:2 did not answer CLUSTER in time.', { host: 't:2' }),
      't:2',
      /^t:2 was lost: t:2 did not answer CLUSTER in time\.$/,
      /^Check that t:2 runs and answers this host\.$/,
    ],
    [
      'a source that does not answer forge',
      new ForgeError('timeout', 's:1 did not answer MIGRATE in time.', { host: 's:1' }),
      's:1',
      /^s:1 was lost: /,
      /^Check that s:1 runs and answers this host, and that s:1 can connect to t:2 /,
    ],
    [
      'a source that does not reach the target',
      replied('IOERR error or timeout writing to target instance'),
      't:2',
      /^The way from s:1 to t:2 was lost: .* target instance\.$/,
      /^Check that both run/,
    ],
  ])('names who failed: %s', (_, failure, host, message, next) => {
    const error = explain(pair, failure, nowhere);
    expect(error.host).toBe(host);
    expect(error.message).toMatch(message);
    expect(error.next[0]).toMatch(next);
  });

  it('is tried again only where time can change it', () => {
    expect([...RETRIED].sort()).toEqual(['later', 'lost', 'unmarked']);
  });

  it('is told with where the slots are, and keys are shown on one line, however they look', () => {
    const settlement = { moved: [1], back: [2, 3, 4], open: [9], stuck: [], kept: [Buffer.from('a\nb')] };
    const error = explain(pair, new ConflictError(2, [Buffer.from('k"1')]), settlement);
    expect(error.kind).toBe('refused');
    expect(error.message).toContain('different values of "k\\"1" (slot 2)');
    expect(error.message).toContain('went back to s:1: 2-4');
    expect(error.message).toContain('Still open');
    expect(error.message).toContain('"a\\nb"');
    expect(error.details).toMatchObject({ back: [2, 3, 4], open: [9], keys: ['k"1'] });
    const many = showKeys(Array.from({ length: 9 }, () => Buffer.alloc(500, 'x')));
    expect(many).toContain('and 4 more');
    expect(many.length).toBeLessThan(700);
  });

  it('names slots that nobody may close, and those that a full source does not take back', () => {
    const lost = abandoned(new ForgeError('locked', 'Taken over.', { next: ['Wait.'] }), [7, 8]);
    expect(lost).toMatchObject({ kind: 'locked', next: ['Wait.'], details: { open: [7, 8] } });
    expect((lost as Error).message).toContain('some of them open: slots 7-8');
    const fault = new Error('a fault');
    expect(abandoned(fault, [7])).toBe(fault);
    const full = explain(pair, replied('OOM command not allowed'), { ...nowhere, stuck: [5] });
    expect(full.message).toContain('Still open, because s:1 did not take back what had arrived');
    expect(full.next.join(' ')).toContain('Give s:1 more maxmemory as well');
    expect(full.details).toEqual({ open: [5] });
  });

  it('is nothing where it is no failure of a node', () => {
    expect(kindOfFailure(new ForgeError('locked', 'taken'))).toBeUndefined();
    expect(kindOfFailure(new Error('a fault'))).toBeUndefined();
    expect(kindOfFailure(new ForgeError('timeout', 'hangs'))).toBe('lost');
  });
});

describe('the slots of a move', () => {
  const statesOf = (one: string, two: string, gone: readonly string[] = []) => {
    const snapshot = snapshotOf([
      { n: 1, slots: one },
      { n: 2, slots: two },
    ]);
    const [from, to] = [snapshot.report(idOf(1))?.myself, snapshot.report(idOf(2))?.myself];
    if (from === undefined || to === undefined) throw new Error('not described');
    return slotStates(from, to, [{ start: 10, end: 12 }], (id) => gone.includes(id));
  };
  const none = { done: [], toClose: [], toMove: [], turned: [], foreign: [] };
  const [a, b, c] = [idOf(1), idOf(2), idOf(3)];

  it.each([
    ['are all to move', '10-12', '20', { toMove: [10, 11, 12] }],
    [
      'are to move also when both or one of both was marked',
      `10-12 [10->-${b}] [11->-${b}]`,
      `20 [10-<-${a}] [12-<-${a}]`,
      { toMove: [10, 11, 12] },
    ],
    ['have moved', '20', '10-12', { done: [10, 11, 12] }],
    ['have moved, and the source does not know', '10-12', '10-12', { toClose: [10, 11, 12] }],
    ['have moved, and a mark is left', `20 [10->-${b}]`, '10-12', { done: [11, 12], toClose: [10] }],
    ['were on their way back', `20 [11-<-${b}]`, `10-12 [11->-${a}] [12->-${a}]`, { done: [10], turned: [11, 12] }],
    ['have gone back, and the target does not know', '10-12', `20 [11->-${a}]`, { toMove: [10, 12], turned: [11] }],
  ])('%s', (_, one, two, expected) => {
    expect(statesOf(one, two)).toEqual({ ...none, ...expected });
  });

  it('are left alone where they are on their way elsewhere, but not where elsewhere is a dead node', () => {
    const states = statesOf(`10-11 [10->-${c}]`, '20');
    expect(states.toMove).toEqual([11]);
    expect(states.foreign).toEqual([
      { slot: 10, why: 'it is on its way to another node' },
      { slot: 12, why: 'neither of both serves it' },
    ]);
    expect(statesOf(`10-12 [10->-${c}]`, '20', [c]).toMove).toEqual([10, 11, 12]);
  });
});

describe('a group of slots', () => {
  const slots = (count: number, keys: number) => Array.from({ length: count }, (_, slot) => ({ slot, keys }));

  it('is bounded by slots, by keys, by bytes and by the rate, and never empty', () => {
    expect(groupLength(slots(500, 0), 100)).toBe(GROUP_SLOTS_MAX);
    expect(groupLength(slots(500, 1_000), 100)).toBe(4);
    expect(groupLength(slots(500, 10), 1024 * 1024)).toBe(1);
    expect(groupLength(slots(500, 1_000_000), 100)).toBe(1);
    expect(groupLength(slots(500, 10), 100, { keysPerSecond: 50 })).toBe(5);
    expect(groupLength(slots(500, 10), 100, { bytesPerSecond: 2_000 })).toBe(2);
    expect(groupLength([], 100)).toBe(0);
  });
});

describe('progress', () => {
  it('tells the time left by the pace of the keys, once it is known', () => {
    let now = 0;
    const progress = new MoveProgress(10, () => now);
    progress.expect(1_000);
    progress.batch({ slot: 0, keys: Array.from({ length: 100 }, () => Buffer.alloc(1)), bytes: 5_000, big: false });
    progress.slotsDone(1);
    expect(progress.event()).toEqual({ type: 'progress', slotsDone: 1, slotsTotal: 10, keys: 100, bytes: 5_000 });
    now = 2_000;
    expect(progress.event()).toMatchObject({ secondsLeft: 18 });
    expect(progress.keyBytes).toBe(50);
    progress.slotsDone(9);
    expect(progress.event()).toMatchObject({ secondsLeft: 0, slotsDone: 10 });
  });

  it('goes by slots where there are no keys', () => {
    let now = 0;
    const progress = new MoveProgress(10, () => now);
    now = 1_000;
    progress.slotsDone(5);
    expect(progress.event()).toMatchObject({ secondsLeft: 1 });
  });
});
