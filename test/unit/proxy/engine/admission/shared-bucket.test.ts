import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SharedBucket } from '../../../../../src/proxy/engine/admission/shared-bucket.js';

const START_MS = 1_000_000;

/** What workers do with a bucket that they share. */
const step = fc.record({
  worker: fc.nat(3),
  kind: fc.constantFrom('take', 'take', 'take', 'giveBack', 'pass'),
  amount: fc.integer({ min: 1, max: 500 }),
  ms: fc.integer({ min: 0, max: 400 }),
});

describe('a bucket that workers share', () => {
  it('never gives more than its rate and its burst, however it is taken from and given back to', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.integer({ min: 1, max: 1000 }),
        fc.array(step, { maxLength: 200 }),
        (rate, burst, steps) => {
          const memory = new BigInt64Array(new SharedArrayBuffer(8));
          const workers = Array.from({ length: 4 }, () => new SharedBucket(memory, 0, rate, burst));
          const held = [0, 0, 0, 0];
          let nowMs = START_MS;
          let out = 0;
          for (const { worker, kind, amount, ms } of steps) {
            const bucket = workers[worker]!;
            if (kind === 'pass') nowMs += ms;
            else if (kind === 'take') {
              const taken = bucket.take(amount, nowMs);
              expect(taken).toBeLessThanOrEqual(amount);
              held[worker]! += taken;
              out += taken;
            } else {
              const back = Math.min(held[worker]!, amount);
              if (back > 0) bucket.giveBack(back);
              held[worker]! -= back;
              out -= back;
            }
            expect(out).toBeLessThanOrEqual(burst + ((nowMs - START_MS) * rate) / 1000 + 1);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('gives all of its rate to whoever asks often enough', () => {
    fc.assert(
      fc.property(fc.integer({ min: 10, max: 100_000 }), fc.integer({ min: 1, max: 50 }), (rate, wanted) => {
        const bucket = new SharedBucket(new BigInt64Array(1), 0, rate, rate / 4);
        let out = 0;
        for (let ms = 0; ms < 3000; ms++) {
          for (let taken = 1; taken > 0; out += taken) taken = bucket.take(wanted, START_MS + ms);
        }
        expect(out).toBeGreaterThan(rate * 3 * 0.99 - 1);
        expect(out).toBeLessThan(rate * 3.26 + 2);
      }),
      { numRuns: 20 },
    );
  });

  it('pays debts before it gives anything', () => {
    const bucket = new SharedBucket(new BigInt64Array(1), 0, 1000, 250);
    bucket.spend(2250, START_MS);
    expect(bucket.inDebt(START_MS + 1990)).toBe(true);
    expect(bucket.take(1, START_MS + 1990)).toBe(0);
    expect(bucket.inDebt(START_MS + 2001)).toBe(false);
    expect(bucket.take(10, START_MS + 2010)).toBeGreaterThan(0);
  });
});
