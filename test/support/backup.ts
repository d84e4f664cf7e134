/** Backups as a run makes them, of bytes that a test gives: packed, summed, with a manifest that is sealed. */
import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { keyFor, SALT_BYTES } from '../../src/backup/archive/encryption.js';
import { pack } from '../../src/backup/archive/pack.js';
import { type Compression, keyOf, MANIFEST, newBackupId, SETTINGS, shardName } from '../../src/backup/layout.js';
import {
  type BackupManifest,
  type BackupObject,
  type BackupShard,
  FORMAT,
  writeManifest,
} from '../../src/backup/manifest.js';
import type { BackupStore } from '../../src/backup/store/store.js';
import { SLOT_COUNT } from '../../src/cluster/slots.js';

const CHUNK_BYTES = 64 * 1024;
const FINISHED_AFTER_MS = 2_000;
/** The snapshot of a server without keys, Redis 7.0: its version, the end, and no sum, which is eight zeros. */
export const EMPTY_RDB = Buffer.concat([Buffer.from('REDIS0010'), Buffer.from([0xff]), Buffer.alloc(8)]);

export interface MakeBackupOptions {
  /** `orders` when not told. */
  readonly cluster?: string;
  /** When it was begun; now when not told. */
  readonly atMs?: number;
  readonly id?: string;
  /** What each shard's object holds; two shards without keys when not told. */
  readonly shards?: readonly Buffer[];
  /** What settings.json holds; no such object when false. */
  readonly settings?: Buffer | false;
  /** Encrypted with it. */
  readonly secret?: Buffer;
  readonly compression?: Compression;
  /** So many masters more are not in it. */
  readonly missing?: number;
  /** Put into the manifest, over what is there. */
  readonly manifest?: Partial<BackupManifest>;
  /** Put into each shard of the manifest, over what is there. */
  readonly shard?: (index: number) => Partial<BackupShard>;
}

export interface MadeBackup {
  readonly cluster: string;
  readonly id: string;
  readonly manifest: BackupManifest;
  /** Keys of all its objects in the store, the manifest's last. */
  readonly keys: readonly string[];
}

/** Puts a backup into the store. */
export async function makeBackup(store: BackupStore, options: MakeBackupOptions = {}): Promise<MadeBackup> {
  const { cluster = 'orders', atMs = Date.now(), compression = 'gzip', secret, missing = 0 } = options;
  const id = options.id ?? newBackupId(atMs);
  const contents = options.shards ?? [EMPTY_RDB, EMPTY_RDB];
  const { signal } = new AbortController();
  const salt = secret === undefined ? undefined : randomBytes(SALT_BYTES);
  const putObject = async (name: string, content: Buffer): Promise<BackupObject> => {
    const key = secret === undefined || salt === undefined ? undefined : keyFor(secret, salt, name);
    const { stream, object } = pack(Readable.from([content], { objectMode: false }), { name, compression, key });
    await store.put(keyOf(cluster, id, name), stream, { signal });
    return object();
  };
  const ranges = slotRanges(contents.length + missing);
  const startedAt = new Date(atMs).toISOString();
  const finishedAt = new Date(atMs + FINISHED_AFTER_MS).toISOString();
  const encrypted = secret !== undefined;
  const shards: BackupShard[] = [];
  for (const [index, content] of contents.entries()) {
    const masterId = nodeId(`${cluster}/master-${index}`);
    const address = addressOf(index);
    shards.push({
      masterId,
      masterAddress: address,
      slots: [ranges[index] ?? { start: 0, end: SLOT_COUNT - 1 }],
      configEpoch: index + 1,
      source: { kind: 'network', nodeId: masterId, address, role: 'master', server: 'redis', version: '7.0.15' },
      replicationId: nodeId(`${cluster}/replication-${index}`),
      offset: 1_000 + index,
      startedAt,
      finishedAt,
      keys: 0,
      object: await putObject(shardName(index + 1, { source: 'network', compression, encrypted }), content),
      ...options.shard?.(index),
    });
  }
  const settings = options.settings === false ? undefined : (options.settings ?? Buffer.from('{}\n'));
  const manifest: BackupManifest = {
    format: FORMAT,
    id,
    cluster,
    forge: '0.0.0',
    startedAt,
    finishedAt,
    compression,
    ...(salt === undefined
      ? {}
      : { encryption: { cipher: 'aes-256-gcm', salt: salt.toString('base64'), chunkBytes: CHUNK_BYTES } }),
    currentEpoch: contents.length + missing,
    nodes: ranges.map((slots, index) => ({
      id: nodeId(`${cluster}/master-${index}`),
      address: addressOf(index),
      role: 'master',
      slots: [slots],
      configEpoch: index + 1,
    })),
    shards,
    missing: ranges.slice(contents.length).map((slots, index) => ({
      masterId: nodeId(`${cluster}/master-${contents.length + index}`),
      address: addressOf(contents.length + index),
      slots: [slots],
      reason: 'it does not answer',
    })),
    moving: [],
    ...(settings === undefined ? {} : { settings: await putObject(SETTINGS, settings) }),
    ...options.manifest,
  };
  await store.write(keyOf(cluster, id, MANIFEST), Buffer.from(writeManifest(manifest, secret)), signal);
  const names = [...shards.map(({ object }) => object.name), ...(settings === undefined ? [] : [SETTINGS]), MANIFEST];
  return { cluster, id, manifest, keys: names.map((name) => keyOf(cluster, id, name)) };
}

const nodeId = (name: string) => createHash('sha1').update(name).digest('hex');
const addressOf = (index: number) => `127.0.0.1:${7001 + index}`;

/** All slots, divided as evenly as they can be. */
function slotRanges(count: number): { start: number; end: number }[] {
  return Array.from({ length: count }, (_, index) => ({
    start: Math.floor((index * SLOT_COUNT) / count),
    end: Math.floor(((index + 1) * SLOT_COUNT) / count) - 1,
  }));
}
