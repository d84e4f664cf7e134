import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AFTER_START_MS,
  AGAIN_MS,
  COLLECT_AFTER_BYTES,
  COLLECT_IDLE_MS,
  CollectionTimes,
  QUIET_MS,
} from '../../../../src/proxy/server/collection-times.js';

/** The distance of the ticks here. */
const TICK_MS = 100;

/** Ticks until `untilMs`, with events at the given times; gives the times of the collections. */
function run(times: CollectionTimes, untilMs: number, events: readonly number[] = []): number[] {
  const collected: number[] = [];
  const left = [...events].sort((a, b) => a - b);
  let last = 0;
  for (let now = TICK_MS; now <= untilMs; now += TICK_MS) {
    while (left[0] !== undefined && left[0] < now) last = left.shift() as number;
    times.noteEvents(last);
    if (times.tick(now)) collected.push(now);
    last = now;
  }
  return collected;
}

function started(): CollectionTimes {
  const times = new CollectionTimes();
  times.start(0);
  return times;
}

describe('the times of collections', () => {
  it('are none before the start', () => {
    const times = new CollectionTimes();
    expect(times.tick(1e9)).toBe(false);
  });

  it('are one soon after the start, one when it is quiet, and then few', () => {
    const at = run(started(), 100_000);
    expect(at[0]).toBe(AFTER_START_MS);
    expect(at[1]).toBe(AFTER_START_MS + QUIET_MS);
    expect(at.slice(2)).toEqual(at.slice(1, -1).map((before) => before + AGAIN_MS));
    expect(at).toHaveLength(6);
  });

  it('are none while clients are there, and one when they have been silent for long enough', () => {
    const busy = Array.from({ length: 300 }, (_, i) => i * TICK_MS + 50);
    const lastMs = busy.at(-1) as number;
    const at = run(started(), lastMs + QUIET_MS + AGAIN_MS + 2 * TICK_MS, busy);
    expect(at[0]).toBe(Math.ceil((lastMs + QUIET_MS) / TICK_MS) * TICK_MS);
    expect(at).toHaveLength(2);
  });

  it('never come within the quiet time of an event, whenever events come', () => {
    // Not in the same instant as a tick: there the one is not told from the other, and the clock is finer than that.
    const instant = fc.integer({ min: 1, max: 60_000 }).map((ms) => ms + 0.5);
    const events = fc.array(instant, { maxLength: 30 });
    fc.assert(
      fc.property(events, (given) => {
        const at = run(started(), 120_000, given);
        for (const now of at) {
          const since = Math.max(0, ...given.filter((event) => event < now));
          // The first one after the start is sooner, when nothing has come.
          expect(now - since).toBeGreaterThanOrEqual(since === 0 ? AFTER_START_MS : QUIET_MS);
        }
        // And a quiet worker is never left alone for longer.
        const end = Math.max(0, ...given);
        expect(at.some((now) => now > end && now <= end + QUIET_MS + TICK_MS)).toBe(true);
      }),
    );
  });
});

describe('large chunks', () => {
  const CHUNK_BYTES = 1024 * 1024;

  it('are collected when there are many, once', () => {
    const times = started();
    const enough = COLLECT_AFTER_BYTES / CHUNK_BYTES;
    for (let i = 1; i < enough; i++) expect(times.large(CHUNK_BYTES, 10)).toBe(false);
    expect(times.large(CHUNK_BYTES, 10)).toBe(true);
    expect(times.large(CHUNK_BYTES, 10)).toBe(true);
    expect(times.takeLarge()).toBe(true);
    expect(times.takeLarge()).toBe(false);
    expect(times.large(CHUNK_BYTES, 11)).toBe(false);
  });

  it('are collected when they have stopped coming, however busy the worker is', () => {
    const times = started();
    times.large(CHUNK_BYTES, 2000);
    const busy = Array.from({ length: 60 }, (_, i) => i * TICK_MS + 50);
    expect(run(times, 5900, busy)).toEqual([2000 + COLLECT_IDLE_MS]);
  });

  it('are not while they come, below the bound', () => {
    const times = started();
    const collected: number[] = [];
    for (let now = TICK_MS; now <= 3000; now += TICK_MS) {
      expect(times.large(CHUNK_BYTES, now - 1)).toBe(false);
      times.noteEvents(now - 1);
      if (times.tick(now)) collected.push(now);
    }
    expect(collected).toEqual([]);
  });
});
