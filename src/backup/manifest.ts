/**
 * What a backup says of itself. It is written last: what has none is no backup. Its seal is a digest of all the rest, so
 * that no byte of it changes unnoticed; where the backup is encrypted, made with its key.
 */
import * as z from 'zod/mini';
import { isSlot, SLOT_COUNT } from '../cluster/slots.js';
import { ForgeError } from '../errors.js';
import { keyFor } from './archive/encryption.js';
import { isBackupId, isClusterName, MANIFEST } from './layout.js';
import { sealFits, sealText } from './sealed.js';

/** Raised when a reader of the former one would be wrong about what it reads. */
export const FORMAT = 1;
/** A manifest of 1,000 shards with keys in all slots has some 2 MiB. */
export const MANIFEST_MAX_BYTES = 16 * 1024 * 1024;
/** Whoever reads keeps a chunk in memory. */
const CHUNK_MIN_BYTES = 1_024;
const CHUNK_MAX_BYTES = 16 * 1024 * 1024;
/** Where slots and their keys are written over many lines. */
const PAIR = /\[\n\s*(\d+),\n\s*(\d+)\n\s*\]/g;
const BETWEEN_PAIRS = /\],\n\s*\[/g;

const NODE_ID = /^[0-9a-f]{40}$/;
const SHA256 = /^[0-9a-f]{64}$/;

const whole = z.int().check(z.nonnegative());
const time = z.iso.datetime();
const slot = whole.check(z.refine(isSlot));
const range = z
  .strictObject({ start: slot, end: slot })
  .check(z.refine(({ start, end }) => start <= end, 'a range begins after its end'));
const nodeId = z.string().check(z.regex(NODE_ID));
const sha256 = z.string().check(z.regex(SHA256));

/** One object in the store. */
const objectSchema = z.strictObject({
  name: z.string().check(z.regex(/^[a-z0-9][a-z0-9.-]{0,80}$/)),
  /** As it is stored: compressed and encrypted. */
  bytes: whole,
  sha256,
  /** Of what it holds, before both. */
  plainBytes: whole,
  plainSha256: sha256,
});

const shardSchema = z.strictObject({
  masterId: nodeId,
  masterAddress: z.string(),
  slots: z.array(range),
  configEpoch: whole,
  /** Who was read: a replica, or the master itself. */
  source: z.strictObject({
    kind: z.enum(['network', 'files']),
    nodeId,
    address: z.string(),
    role: z.enum(['master', 'replica']),
    server: z.string(),
    version: z.string(),
  }),
  /** The instant of the data in the stream of writes: INFO replication. */
  replicationId: z.string(),
  offset: whole,
  /** When the server began to write down what it had, and when all of it had arrived. */
  startedAt: time,
  finishedAt: time,
  /** Keys of each slot at about that time: 16,384 at most, only those above 0. */
  slotKeys: z.optional(z.array(z.tuple([slot, whole])).check(z.maxLength(SLOT_COUNT))),
  keys: whole,
  object: objectSchema,
});

const bodySchema = z.strictObject({
  format: z.literal(FORMAT),
  id: z.string().check(z.refine(isBackupId)),
  cluster: z.string().check(z.refine(isClusterName)),
  /** The version of the program that made it. */
  forge: z.string(),
  startedAt: time,
  finishedAt: time,
  compression: z.enum(['gzip', 'zstd', 'none']),
  /** What the key must be like; never the key. */
  encryption: z.optional(
    z.strictObject({
      cipher: z.literal('aes-256-gcm'),
      salt: z.string(),
      chunkBytes: z.int().check(z.gte(CHUNK_MIN_BYTES), z.lte(CHUNK_MAX_BYTES)),
    }),
  ),
  currentEpoch: whole,
  nodes: z.array(
    z.strictObject({
      id: nodeId,
      address: z.string(),
      hostname: z.optional(z.string()),
      role: z.enum(['master', 'replica']),
      masterId: z.optional(nodeId),
      slots: z.array(range),
      configEpoch: whole,
    }),
  ),
  shards: z.array(shardSchema),
  /** Masters that are not in it, with `--partial`. */
  missing: z.array(
    z.strictObject({ masterId: nodeId, address: z.string(), slots: z.array(range), reason: z.string() }),
  ),
  /** Slots that were on their way from one shard to another meanwhile: a key of these may be in both, or in none. */
  moving: z.array(range),
  settings: z.optional(objectSchema),
});

export type BackupObject = z.infer<typeof objectSchema>;
export type BackupShard = z.infer<typeof shardSchema>;
export type BackupManifest = z.infer<typeof bodySchema>;

/** The file. @param secret of an encrypted backup: its seal is made with it */
export function writeManifest(manifest: BackupManifest, secret?: Buffer): string {
  const body = bodySchema.parse(manifest);
  // One slot a line would be most of the file.
  const json = JSON.stringify(body, undefined, 2).replace(PAIR, '[$1,$2]').replace(BETWEEN_PAIRS, '],[');
  return sealText(json, sealKey(body, secret));
}

function sealKey({ encryption }: BackupManifest, secret: Buffer | undefined): Buffer | undefined {
  if (encryption === undefined || secret === undefined) return undefined;
  return keyFor(secret, Buffer.from(encryption.salt, 'base64'), MANIFEST);
}

export interface ReadManifestOptions {
  /** For messages: where it is. */
  readonly place: string;
  /** Of an encrypted backup; without it, the seal of one is not looked at, which `sealed` tells. */
  readonly secret?: Buffer;
}

/**
 * Reads the file, and looks at its seal.
 * @throws ForgeError `refused` for a newer format; `verification` for one that is damaged, or for another key
 */
export function readManifest(
  text: string,
  options: ReadManifestOptions,
): { manifest: BackupManifest; sealed: boolean } {
  const { place, secret } = options;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw damaged(place, 'it is no JSON', cause);
  }
  const { format } = (json ?? {}) as { format?: unknown };
  if (typeof format === 'number' && format > FORMAT) {
    throw new ForgeError(
      'refused',
      `${place} was made by a newer forge (format ${format}; this one reads ${FORMAT}).`,
      {
        next: 'Update forge.',
      },
    );
  }
  const { seal: _, ...body } = (typeof json === 'object' && json !== null ? json : {}) as { seal?: unknown };
  const parsed = bodySchema.safeParse(body);
  if (!parsed.success) throw damaged(place, z.prettifyError(parsed.error).split('\n')[0] ?? 'wrong content');
  const manifest = parsed.data;
  if (manifest.encryption !== undefined && secret === undefined) return { manifest, sealed: false };
  if (!sealFits(text, sealKey(manifest, secret))) {
    const why = manifest.encryption === undefined ? 'its seal is wrong' : 'its seal is wrong, or this is another key';
    throw damaged(place, why);
  }
  return { manifest, sealed: true };
}

function damaged(place: string, why: string, cause?: unknown): ForgeError {
  return new ForgeError('verification', `${place} is damaged: ${why}.`, {
    next: 'Take another backup of the list: forge backup list.',
    cause,
  });
}

/** All masters are in it. */
export const isComplete = ({ missing }: BackupManifest): boolean => missing.length === 0;

/** The objects that a backup consists of, beside its manifest. */
export function objectsOf({ shards, settings }: BackupManifest): BackupObject[] {
  return [...shards.map(({ object }) => object), ...(settings === undefined ? [] : [settings])];
}
