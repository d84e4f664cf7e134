/** One shard of a backup in a server of our own. */
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { BackupShard } from '../manifest.js';
import type { BackupArchive } from '../restore/archive.js';
import { unpackFiles } from '../source/files/unpack.js';
import { chooseServer } from './choose.js';
import { makeScratchFolder, removeScratchFolder, requireMemory, scratchPlace } from './folder.js';
import { DATA_FOLDER, DUMP_FILE, type ScratchServer, type StartScratchOptions, startScratch } from './server.js';
import { WithoutSlotImports } from './slot-imports.js';

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
  let appendOnly: StartScratchOptions['appendOnly'];
  try {
    appendOnly = await fetchInto(path.join(folder, DATA_FOLDER), options);
  } catch (error) {
    await removeScratchFolder(folder);
    throw error;
  }
  return startScratch({
    server,
    folder,
    what: archive.placeOf(object),
    ...(appendOnly === undefined ? {} : { appendOnly }),
    signal,
    onLoading: (loading) => onProgress?.({ loading }),
  });
}

async function fetchInto(
  directory: string,
  { archive, shard, signal, onProgress }: LoadShardOptions,
): Promise<StartScratchOptions['appendOnly']> {
  await mkdir(directory, { mode: 0o700 });
  const { object, source } = shard;
  const stream = counted(await archive.open(object, signal), (fetched) => onProgress?.({ fetched }));
  if (source.kind === 'files') {
    const place = archive.placeOf(object);
    return (await unpackFiles(stream, { directory, maxBytes: object.plainBytes, place, signal })).appendOnly;
  }
  const file = createWriteStream(path.join(directory, DUMP_FILE), { mode: 0o600 });
  await (source.server === 'valkey'
    ? pipeline(stream, new WithoutSlotImports(), file, { signal })
    : pipeline(stream, file, { signal }));
  return undefined;
}

function counted(source: Readable, onBytes: (bytes: number) => void): Readable {
  let bytes = 0;
  const count = new Transform({
    transform(piece: Buffer, _, done) {
      bytes += piece.length;
      onBytes(bytes);
      done(null, piece);
    },
  });
  source.once('error', (error) => count.destroy(error));
  count.once('close', () => source.destroy());
  return source.pipe(count);
}
