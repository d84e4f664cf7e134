import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isClusterName, keyOf, newBackupId, parseKey, shardName, timeOfBackup } from '../../../src/backup/layout.js';
import {
  type BackupManifest,
  isComplete,
  objectsOf,
  readManifest,
  writeManifest,
} from '../../../src/backup/manifest.js';
import { ForgeError } from '../../../src/errors.js';

const MASTER = 'a'.repeat(40);
const SUM = '0'.repeat(64);
const AT = '2026-11-22T05:49:00.000Z';
const KEY = Buffer.alloc(32, 7);

const object = (name: string) => ({ name, bytes: 10, sha256: SUM, plainBytes: 20, plainSha256: SUM });
const manifest = (more: Partial<BackupManifest> = {}): BackupManifest => ({
  format: 1,
  id: '20261122T054900Z-3fa2c1',
  cluster: 'orders',
  forge: '0.1.0',
  startedAt: AT,
  finishedAt: AT,
  compression: 'gzip',
  currentEpoch: 3,
  nodes: [
    { id: MASTER, address: '127.0.0.1:7001', role: 'master', slots: [{ start: 0, end: 16_383 }], configEpoch: 1 },
  ],
  shards: [
    {
      masterId: MASTER,
      masterAddress: '127.0.0.1:7001',
      slots: [{ start: 0, end: 16_383 }],
      configEpoch: 1,
      source: {
        kind: 'network',
        nodeId: MASTER,
        address: '127.0.0.1:7001',
        role: 'master',
        server: 'redis',
        version: '7.0.15',
      },
      replicationId: 'b'.repeat(40),
      offset: 12,
      startedAt: AT,
      finishedAt: AT,
      slotKeys: [[7, 2]],
      keys: 2,
      object: object('shard-0001.rdb.gz'),
    },
  ],
  missing: [],
  moving: [],
  settings: object('settings.json.gz'),
  ...more,
});
const place = 'orders/x/manifest.json';
const kindOf = (text: string, key?: Buffer) => {
  try {
    readManifest(text, { place, secret: key });
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(ForgeError);
    return (error as ForgeError).kind;
  }
};

describe('a manifest', () => {
  it('is read as it was written', () => {
    expect(readManifest(writeManifest(manifest()), { place })).toEqual({ manifest: manifest(), sealed: true });
    expect(objectsOf(manifest()).map(({ name }) => name)).toEqual(['shard-0001.rdb.gz', 'settings.json.gz']);
    expect(isComplete(manifest())).toBe(true);
    const missing = [{ masterId: MASTER, address: 'x', slots: [], reason: 'down' }];
    expect(isComplete(manifest({ missing }))).toBe(false);
  });

  it('tells of every byte that is another one', () => {
    const text = writeManifest(manifest());
    fc.assert(
      fc.property(fc.nat({ max: text.length - 1 }), fc.integer({ min: 1, max: 127 }), (at, change) => {
        const changed = `${text.slice(0, at)}${String.fromCharCode(text.charCodeAt(at) ^ change)}${text.slice(at + 1)}`;
        expect(['verification', 'refused']).toContain(kindOf(changed));
      }),
      { numRuns: 500 },
    );
    // Blanks between the words of JSON mean nothing, and yet somebody has been there.
    expect(kindOf(JSON.stringify(JSON.parse(text)))).toBe('verification');
    expect(kindOf(`${text}\n`)).toBe('verification');
    for (let length = 0; length < text.length; length += 37) expect(kindOf(text.slice(0, length))).toBe('verification');
  });

  it('of an encrypted backup is sealed by its key', () => {
    const encryption = { cipher: 'aes-256-gcm', salt: 'c2FsdA==', chunkBytes: 65_536 } as const;
    const text = writeManifest(manifest({ encryption }), KEY);
    expect(readManifest(text, { place, secret: KEY }).sealed).toBe(true);
    expect(readManifest(text, { place }).sealed).toBe(false);
    expect(kindOf(text, Buffer.alloc(32, 8))).toBe('verification');
    // Nobody without the key makes one that passes: the plain digest does not.
    expect(kindOf(writeManifest(manifest({ encryption })), KEY)).toBe('verification');
  });

  it('is short, although it tells the keys of every slot', () => {
    const slotKeys = Array.from({ length: 16_384 }, (_, slot): [number, number] => [slot, 100]);
    const [shard] = manifest().shards;
    const whole = manifest({ shards: shard === undefined ? [] : [{ ...shard, slotKeys }] });
    const text = writeManifest(whole);
    expect(text.length).toBeLessThan(16_384 * 12);
    expect(readManifest(text, { place }).manifest).toEqual(whole);
  });

  it('names chunks that fit into memory', () => {
    for (const chunkBytes of [0, 1_023, 2 ** 30]) {
      const encryption = { cipher: 'aes-256-gcm', salt: 'c2FsdA==', chunkBytes } as const;
      expect(() => writeManifest(manifest({ encryption }))).toThrow();
    }
  });

  it('of a newer format says so, of a wrong content what is wrong', () => {
    expect(kindOf(JSON.stringify({ ...manifest(), format: 2, newer: true }))).toBe('refused');
    expect(kindOf('null')).toBe('verification');
    expect(kindOf('[]')).toBe('verification');
    expect(() => writeManifest(manifest({ id: '../../etc' }))).toThrow();
    expect(() => writeManifest(manifest({ moving: [{ start: 5, end: 4 }] }))).toThrow();
  });
});

describe('names of backups', () => {
  it('have the time in them, and sort by it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: Date.UTC(2200, 0) }), (ms) => {
        const id = newBackupId(ms);
        expect(timeOfBackup(id)).toBe(Math.floor(ms / 1_000) * 1_000);
        expect(parseKey(keyOf('orders', id, 'manifest.json'))).toEqual({
          cluster: 'orders',
          id,
          name: 'manifest.json',
        });
      }),
    );
    expect(timeOfBackup('20260231T000000Z-abcdef')).toBeUndefined();
    expect(timeOfBackup('20261122T250000Z-abcdef')).toBeUndefined();
  });

  it('lead nowhere else', () => {
    for (const name of ['..', '.', '', 'a/b', 'a b', '-x', 'x'.repeat(64), 'a\0'])
      expect(isClusterName(name), name).toBe(false);
    for (const key of [
      'a/b/c',
      'orders/20261122T054900Z-3fa2c1',
      'orders/20261122T054900Z-3fa2c1/',
      'x/orders/20261122T054900Z-3fa2c1/y',
    ]) {
      expect(parseKey(key), key).toBeUndefined();
    }
  });

  it('of objects say what they are', () => {
    expect(shardName(3, { source: 'network', compression: 'gzip', encrypted: false })).toBe('shard-0003.rdb.gz');
    expect(shardName(12, { source: 'files', compression: 'zstd', encrypted: true })).toBe('shard-0012.tar.zst.enc');
  });
});
