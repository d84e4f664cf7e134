import { describe, expect, it } from 'vitest';
import type { ListedBackup } from '../../../src/backup/catalogue.js';
import type { BackupManifest } from '../../../src/backup/manifest.js';
import { promisesOf, summaryOf } from '../../../src/backup/summary.js';

const shard = (startedAt: string, keys: number) =>
  ({ startedAt, keys, source: { kind: 'network' } }) as BackupManifest['shards'][number];
const manifest = (more: Partial<BackupManifest> = {}) =>
  ({
    shards: [shard('2026-11-22T05:49:00.000Z', 3), shard('2026-11-22T05:49:02.500Z', 4)],
    missing: [],
    moving: [],
    compression: 'gzip',
    ...more,
  }) as unknown as BackupManifest;
const listed = (more: Partial<ListedBackup>): ListedBackup => ({
  ...{ cluster: 'orders', id: 'x', atMs: 0, state: 'complete', active: false, kept: false },
  ...{ bytes: 10, keys: [], newestMs: 0, sealed: true },
  ...more,
});

describe('what is told of a backup', () => {
  it('is what its manifest has, where there is one', () => {
    const missing = [{ masterId: 'm', address: 'a', slots: [{ start: 0, end: 9 }], reason: 'down' }];
    expect(summaryOf(listed({ manifest: manifest({ missing }) }))).toMatchObject({
      ...{ shards: 2, masters: 3, keys: 7, source: 'network', encrypted: false, at: '1970-01-01T00:00:00.000Z' },
    });
    const bare = summaryOf(listed({ state: 'damaged', problem: 'no JSON' }));
    expect(bare).toMatchObject({ state: 'damaged', problem: 'no JSON' });
    expect(bare).not.toHaveProperty('keys');
  });

  it('says whether the last look found anything, in its bytes or in servers', () => {
    const verified = { cluster: 'orders', id: 'x', at: '2026-11-22T05:49:00.000Z', by: 'a@b', how: 'load' } as const;
    const found = (faults: string[], loadFaults: string[]) =>
      summaryOf(listed({ verified: { ...verified, manifest: '', faults, loadFaults } })).verified?.good;
    expect([found([], []), found(['x'], []), found([], ['x'])]).toEqual([true, false, false]);
  });

  it('promises no more than what holds', () => {
    const slots = (start: number, end: number) => [{ start, end }];
    expect(promisesOf(manifest())).toEqual([
      expect.stringMatching(/^Each shard is as it was at one instant/),
      expect.stringMatching(/up to 2\.5 s apart: nothing is promised across/),
    ]);
    expect(promisesOf(manifest({ shards: [shard('2026-11-22T05:49:00.000Z', 1)] }))).toHaveLength(1);
    const missing = [{ masterId: 'm', address: 'a', slots: slots(0, 9), reason: 'down' }];
    const all = promisesOf(manifest({ missing, moving: slots(5, 6) })).join('\n');
    expect(all).toMatch(/^2 slots were on their way/m);
    expect(all).toMatch(/^10 slots of 1 masters are not in it/m);
  });
});
