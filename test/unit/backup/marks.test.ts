import { describe, expect, it } from 'vitest';
import {
  FAULTS_REMEMBERED_MAX,
  MARK_MAX_BYTES,
  readKeepMark,
  readVerifiedMark,
  writeKeepMark,
  writeVerifiedMark,
} from '../../../src/backup/marks.js';

const about = { cluster: 'orders', id: '20261122T054900Z-3fa2c1', at: '2026-11-22T05:49:00.000Z', by: 'ops@db-1' };

describe('a mark beside a backup', () => {
  it('is read as it was written, and not with a byte changed', () => {
    const keep = { ...about, note: 'before the upgrade' };
    const text = writeKeepMark(keep);
    expect(readKeepMark(text)).toEqual(keep);
    expect(readKeepMark(text.replace('before', 'beforE'))).toBeUndefined();
    expect(readKeepMark(`${text} `)).toBeUndefined();
    const verified = { ...about, how: 'load' as const, manifest: 'a'.repeat(64), faults: [], loadFaults: ['no'] };
    expect(readVerifiedMark(writeVerifiedMark(verified))).toEqual(verified);
    // One is not the other, although both are sealed.
    expect(readKeepMark(writeVerifiedMark(verified))).toBeUndefined();
    expect(readVerifiedMark(text)).toBeUndefined();
  });

  it('has a bound, however much was found', () => {
    const faults = Array.from({ length: 5_000 }, (_, index) => `${index} ${'\u001b'.repeat(5_000)}`);
    const mark = { ...about, how: 'deep' as const, manifest: 'a'.repeat(64), faults, loadFaults: faults };
    const text = writeVerifiedMark(mark);
    expect(readVerifiedMark(text)?.faults).toHaveLength(FAULTS_REMEMBERED_MAX);
    expect(Buffer.byteLength(text)).toBeLessThan(MARK_MAX_BYTES);
    expect(() => writeKeepMark({ ...about, note: 'x'.repeat(10_000) })).toThrow();
    expect(() => writeKeepMark({ ...about, cluster: '../etc' })).toThrow();
  });
});
