import { describe, expect, it } from 'vitest';
import {
  LIMITS,
  OBJECT_BYTES_MAX,
  PART_BYTES_MIN,
  PARTS_MAX,
  partBytesAt,
  pauseBefore,
} from '../../../../src/backup/store/s3/limits.js';

const MIB = 1024 * 1024;

describe('parts', () => {
  it('reach the largest object that S3 has with the parts that it has', () => {
    let offset = 0;
    let parts = 0;
    while (offset < OBJECT_BYTES_MAX) {
      const bytes = partBytesAt(offset);
      // S3 takes no part above 5 GiB.
      expect(bytes).toBeLessThanOrEqual(5 * 1024 * MIB);
      offset += bytes;
      parts++;
    }
    expect(parts).toBeLessThanOrEqual(PARTS_MAX);
  });

  it('are small for all objects that a shard has, so that several fit into the memory', () => {
    expect(partBytesAt(0)).toBe(PART_BYTES_MIN);
    expect(partBytesAt(10 * 1024 * MIB)).toBe(PART_BYTES_MIN);
    expect(2 * partBytesAt(27 * 1024 * MIB)).toBeLessThanOrEqual(LIMITS.memoryBytes);
    expect((LIMITS.partsAtOnce + 1) * PART_BYTES_MIN).toBeLessThanOrEqual(LIMITS.memoryBytes);
  });
});

describe('pauses', () => {
  it('double up to a bound, and leave a half to chance', () => {
    expect([2, 3, 4].map((attempt) => pauseBefore(attempt, LIMITS, 1))).toEqual([200, 400, 800]);
    expect(pauseBefore(2, LIMITS, 0)).toBe(100);
    expect(pauseBefore(50, LIMITS, 1)).toBe(LIMITS.pauseMaxMs);
  });
});
