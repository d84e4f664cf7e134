import { describe, expect, it } from 'vitest';
import { MoveControl } from '../../../../src/operations/move/control.js';
import { chooseMover } from '../../../../src/operations/move/mover.js';

const signal = new AbortController().signal;

/** A control with a clock that only sleeping moves. */
function controlled(limits: ConstructorParameters<typeof MoveControl>[0]) {
  let now = 0;
  const slept: number[] = [];
  const control: MoveControl = new MoveControl({
    ...limits,
    now: () => now,
    sleep: async (ms) => {
      slept.push(ms);
      now += ms;
      if (slept.length === 5) control.resume();
    },
  });
  return { control, slept, now: () => now };
}

describe('the rate limit', () => {
  it('holds over many batches, for bytes or keys, whichever is slower', async () => {
    const { control, now } = controlled({ bytesPerSecond: 1_000, keysPerSecond: 10 });
    for (let batch = 0; batch < 20; batch++) {
      await control.turn(signal);
      control.spent(1, 500);
    }
    await control.turn(signal);
    expect(now()).toBeCloseTo(10_000, 0);
  });

  it('lets one batch pass that is larger than it, and then waits', async () => {
    const { control, slept, now } = controlled({ bytesPerSecond: 100 });
    await control.turn(signal);
    expect(slept).toEqual([]);
    control.spent(1, 1_000);
    await control.turn(signal);
    expect(now()).toBe(10_000);
  });

  it('is none when none was asked for, and does not save up idle time', async () => {
    const { control, slept } = controlled({});
    control.spent(1_000_000, 1e12);
    await control.turn(signal);
    expect(slept).toEqual([]);
  });
});

describe('a pause', () => {
  it('holds the next batch until it is over, and ends when the operator interrupts', async () => {
    const { control, slept } = controlled({});
    control.pause();
    await control.turn(signal);
    expect(slept).toHaveLength(5);
    control.pause();
    await expect(control.turn(AbortSignal.abort(new Error('interrupted')))).rejects.toThrow('interrupted');
  });
});

describe('the way between two nodes', () => {
  const old = { migrate: true, valkeyAtomic: false, redisAtomic: false };
  const valkey = { ...old, valkeyAtomic: true };
  const redis = { ...old, redisAtomic: true };
  const none = { ...old, migrate: false };
  const pair = { source: 'a:1', target: 'b:2' };

  it.each([
    [valkey, valkey, 'auto', 'valkey-atomic'],
    [redis, redis, 'atomic', 'redis-atomic'],
    [valkey, old, 'auto', 'migrate'],
    [valkey, redis, 'auto', 'migrate'],
    [valkey, valkey, 'migrate', 'migrate'],
  ] as const)('is atomic where both have the same kind of it', (source, target, method, name) => {
    expect(chooseMover(source, target, method, pair)).toBe(name);
  });

  it('is refused where there is none, or not the one that was asked for', () => {
    expect(() => chooseMover(valkey, old, 'atomic', pair)).toThrow(/a:1 and b:2 cannot move slots atomically/);
    expect(() => chooseMover(old, none, 'auto', pair)).toThrow(/No way to move slots/);
  });
});

describe('the pace', () => {
  it('is gentle for a source that has clients, by the first look at it', () => {
    const control = new MoveControl();
    expect(control.paceOf('quiet', 499)).toBe('fast');
    expect(control.paceOf('busy', 500)).toBe('gentle');
    // What the moves themselves ask of it does not count, nor that they slow clients down.
    expect(control.paceOf('quiet', 9_000)).toBe('fast');
    expect(control.paceOf('busy', 10)).toBe('gentle');
  });

  it('is what was asked for', () => {
    expect(new MoveControl({ pace: 'fast' }).paceOf('busy', 9_000)).toBe('fast');
    expect(new MoveControl({ pace: 'gentle' }).paceOf('quiet', 0)).toBe('gentle');
  });
});
