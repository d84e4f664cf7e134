/** One shard of a backup in a server of our own. */
import { createWriteStream } from 'node:fs';
import path from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { BackupShard } from '../manifest.js';
import type { BackupArchive } from '../restore/archive.js';
import { chooseServer } from './choose.js';
import { makeScratchFolder, removeScratchFolder, requireMemory, scratchPlace } from './folder.js';
import { DUMP_FILE, type ScratchServer, startScratch } from './server.js';

export type LoadProgress =
  /** Bytes that have come of the object, of `plainBytes`. */
  | { readonly fetched: number }
  /** How much the server has loaded, 0 to 100. */
  | { readonly loading: number };

export interface LoadShardOptions {
  readonly archive: BackupArchive;
  readonly shard: BackupShard;
  readonly environment?: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: LoadProgress) => void;
}

/**
 * Fetches the shard into a folder of its own and has a server load it. Stop the server.
 * @throws ForgeError `missing` where no server here can read it, `refused` where disk or memory do not suffice,
 *   `verification` where a byte is not as it was, or the server does not load it
 */
export async function loadShard(options: LoadShardOptions): Promise<ScratchServer> {
  const { archive, shard, environment = process.env, signal, onProgress } = options;
  const { object, source } = shard;
  const server = await chooseServer(
    { product: source.server === 'valkey' ? 'valkey' : 'redis', version: source.version },
    environment,
  );
  await requireMemory(object.plainBytes);
  const folder = await makeScratchFolder(scratchPlace(environment), object.plainBytes);
  try {
    await fetchInto(folder, options);
  } catch (error) {
    await removeScratchFolder(folder);
    throw error;
  }
  return startScratch({
    server,
    folder,
    what: archive.placeOf(object),
    signal,
    onLoading: (loading) => onProgress?.({ loading }),
  });
}

async function fetchInto(folder: string, { archive, shard, signal, onProgress }: LoadShardOptions): Promise<void> {
  const stream = await archive.open(shard.object, signal);
  let fetched = 0;
  const count = new Transform({
    transform(piece: Buffer, _, done) {
      fetched += piece.length;
      onProgress?.({ fetched });
      done(null, piece);
    },
  });
  await pipeline(stream, count, createWriteStream(path.join(folder, DUMP_FILE), { mode: 0o600 }), { signal });
}
