/** A reader for a shard: the file itself where this program knows all that is in it, else a server that loads it. */
import type { BackupShard } from '../manifest.js';
import { RdbKeyReader } from '../rdb/key-reader.js';
import { ScratchReader } from '../scratch/key-scan.js';
import { type LoadShardOptions, loadShard } from '../scratch/load.js';
import type { KeyReader } from './key-reader.js';

export interface OpenReaderOptions extends LoadShardOptions {
  /** Files from the data folder of a server are read by a server only. */
  readonly byServer?: boolean;
}

export const isRdb = ({ source }: BackupShard): boolean => source.kind === 'network';

/** @throws ForgeError as `loadShard`, or what the store throws */
export async function openReader(options: OpenReaderOptions): Promise<KeyReader> {
  const { archive, shard, byServer = false, signal } = options;
  if (byServer || !isRdb(shard)) return new ScratchReader(await loadShard(options));
  return new RdbKeyReader(await archive.open(shard.object, signal), { portable: true });
}
