/** A backup as folders from which servers start: one a shard, without any server here. */
import { createWriteStream } from 'node:fs';
import { link, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { mapBounded } from '../../cluster/bounded.js';
import { formatSlots } from '../../cluster/slots.js';
import { ForgeError } from '../../errors.js';
import type { BackupManifest, BackupShard } from '../manifest.js';
import { kindText } from '../scratch/choose.js';
import { unpackFiles } from '../source/files/unpack.js';
import type { BackupArchive } from './archive.js';
import { isRdb } from './open-reader.js';
import { writerOf } from './plan.js';

/** What a run writes before it is whole. */
const PARTIAL = '.forge-partial';
const APPEND_FOLDER = 'appendonlydir';
const APPEND_FILE = 'appendonly.aof';
const DUMP_FILE = 'dump.rdb';
const NODES_FILE = 'nodes.conf';
const README = 'README.txt';
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const BUS_OFFSET = 10_000;

export interface WrittenShard {
  readonly object: string;
  readonly folder: string;
  /** `nodes.conf` is there: the servers know each other by the addresses of then. */
  readonly nodes: boolean;
}

export interface ToFilesOptions {
  readonly archive: BackupArchive;
  readonly shards: readonly BackupShard[];
  /** Made where it is missing. */
  readonly directory: string;
  readonly parallel: number;
  readonly signal: AbortSignal;
}

/** `shard-0001`: as the object is called. */
export const folderOf = ({ object }: BackupShard): string => object.name.split('.')[0] ?? object.name;

/**
 * Writes the folders; all of them appear when all are whole and proved, or none.
 * @throws ForgeError `refused` where one of them is there; `verification` for a byte that is not as it was; `partial` when
 *   the disk is full
 */
export async function restoreToFiles(options: ToFilesOptions): Promise<WrittenShard[]> {
  const { archive, shards, directory, parallel } = options;
  const partial = path.join(directory, PARTIAL);
  try {
    await mkdir(directory, { recursive: true, mode: FOLDER_MODE });
    const names = new Set(await readdir(directory));
    const taken = shards.map(folderOf).find((name) => names.has(name));
    if (taken !== undefined) {
      throw new ForgeError('refused', `${path.join(directory, taken)} is there already.`, {
        next: 'Take another folder, or remove it.',
      });
    }
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial, { mode: FOLDER_MODE });
    const written = await mapBounded(shards, parallel, (shard) => writeShard(shard, partial, options));
    for (const shard of shards)
      await rename(path.join(partial, folderOf(shard)), path.join(directory, folderOf(shard)));
    return written.map((shard) => ({ ...shard, folder: path.join(directory, shard.folder) }));
  } catch (error) {
    throw explained(error, directory, archive);
  } finally {
    await rm(partial, { recursive: true, force: true }).catch(() => undefined);
  }
}

async function writeShard(shard: BackupShard, partial: string, options: ToFilesOptions): Promise<WrittenShard> {
  const { archive, signal } = options;
  const folder = path.join(partial, folderOf(shard));
  const { object } = shard;
  await mkdir(folder, { mode: FOLDER_MODE });
  const stream = await archive.open(object, signal);
  let nodes = false;
  if (isRdb(shard)) {
    const dump = path.join(folder, DUMP_FILE);
    await pipeline(stream, createWriteStream(dump, { mode: FILE_MODE, flush: true }), { signal });
    await asAppendOnly(folder, dump);
    const lines = nodesFile(archive.manifest, shard);
    if (lines !== undefined) {
      await writeFile(path.join(folder, NODES_FILE), lines, { mode: FILE_MODE });
      nodes = true;
    }
  } else {
    const place = archive.placeOf(object);
    const unpacked = await unpackFiles(stream, { directory: folder, maxBytes: object.plainBytes, place, signal });
    nodes = unpacked.nodes;
  }
  await writeFile(path.join(folder, README), readmeOf(shard, archive.manifest, nodes), { mode: FILE_MODE });
  return { object: object.name, folder: folderOf(shard), nodes };
}

/** A server with `appendonly yes` starts from this, one without from `dump.rdb`: the same bytes, on the disk once. */
async function asAppendOnly(folder: string, dump: string): Promise<void> {
  const append = path.join(folder, APPEND_FOLDER);
  const base = `${APPEND_FILE}.1.base.rdb`;
  await mkdir(append, { mode: FOLDER_MODE });
  await link(dump, path.join(append, base));
  await writeFile(path.join(append, `${APPEND_FILE}.manifest`), `file ${base} seq 1 type b\n`, { mode: FILE_MODE });
}

/** The masters as they were; undefined where an address is no IP address, which the file must have. Pure. */
export function nodesFile(manifest: BackupManifest, shard: BackupShard): string | undefined {
  const lines: string[] = [];
  for (const { id, address, role, slots, configEpoch } of manifest.nodes) {
    if (role !== 'master') continue;
    const colon = address.lastIndexOf(':');
    const ip = address.slice(0, colon).replace(/^\[|\]$/g, '');
    const port = Number(address.slice(colon + 1));
    if (net.isIP(ip) === 0 || !(port > 0 && port + BUS_OFFSET < 65_536)) return undefined;
    const flags = id === shard.masterId ? 'myself,master' : 'master';
    const served = slots.map(({ start, end }) => (start === end ? `${start}` : `${start}-${end}`)).join(' ');
    lines.push(`${id} ${ip}:${port}@${port + BUS_OFFSET} ${flags} - 0 0 ${configEpoch} connected ${served}`.trimEnd());
  }
  if (!lines.some((line) => line.includes('myself'))) return undefined;
  return `${lines.join('\n')}\nvars currentEpoch ${manifest.currentEpoch} lastVoteEpoch 0\n`;
}

function readmeOf(shard: BackupShard, manifest: BackupManifest, nodes: boolean): string {
  const server = kindText(writerOf(shard));
  return `${[
    `The data of ${shard.masterAddress} (${manifest.cluster}, backup ${manifest.id}), slots ${formatSlots(shard.slots)}.`,
    `Start ${server} or newer with "dir" set to this folder, given to the user that it runs as.`,
    nodes
      ? 'In cluster mode with "cluster-config-file nodes.conf": at the addresses of then, the masters know each other; at others, correct the addresses in nodes.conf of every folder first.'
      : 'In cluster mode: CLUSTER ADDSLOTSRANGE for its slots, and CLUSTER MEET with the others.',
    'Add replicas when all masters serve.',
  ].join('\n')}\n`;
}

function explained(error: unknown, directory: string, { manifest }: BackupArchive): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const bytes = manifest.shards.reduce((sum, { object }) => sum + object.plainBytes, 0);
    return new ForgeError('partial', `The disk of ${directory} is full: all shards take ${bytes} bytes.`, {
      next: 'Take another folder; nothing was left in this one.',
      cause: error,
    });
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOTDIR' || code === 'EEXIST') {
    return new ForgeError('configuration', `${directory} cannot be written to: ${(error as Error).message}.`, {
      next: 'Take another folder.',
      cause: error,
    });
  }
  return error;
}
