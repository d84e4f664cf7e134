import { describe, expect, it } from 'vitest';
import { reconnectDelay } from '../../../../../src/proxy/engine/core/reconnect.js';

const LIMITS = { reconnectDelayMs: 20, reconnectQuickMs: 150, reconnectQuickAttempts: 60, reconnectDelayMaxMs: 2_000 };
const delays = (failures: readonly number[], random = 0.5) =>
  failures.map((count) => reconnectDelay(LIMITS, count, random));

describe('until a host is tried again', () => {
  it('doubles up to what a client hardly notices', () => {
    expect(delays([0, 1, 2, 3, 4, 59])).toEqual([20, 40, 80, 150, 150, 150]);
  });

  it('then doubles again up to the largest', () => {
    expect(delays([60, 61, 62, 63, 64, 1_000_000])).toEqual([150, 300, 600, 1_200, 2_000, 2_000]);
  });

  it('is half to one and a half times that', () => {
    expect(delays([3, 64], 0)).toEqual([75, 1_000]);
    expect(delays([3, 64], 0.999_999).map(Math.round)).toEqual([225, 3_000]);
  });
});
