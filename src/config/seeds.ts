/** Where a cluster is begun to be looked at: any live node of it. Pure. */
import { ForgeError } from '../errors.js';

export interface SeedSources {
  /** `--seed`: addresses, separated by commas. */
  readonly flag?: string;
  /** Nodes of forge.yaml. */
  readonly file?: readonly string[];
  /** Nodes that something else knows, for example an interrupted operation; below all that the operator said. */
  readonly fallback?: { readonly addresses: readonly string[]; readonly source: string };
  readonly environment?: NodeJS.ProcessEnv;
}

export interface Seeds {
  /** Addresses separated by commas, as they were written. */
  readonly text: string;
  /** Who named them, for messages. */
  readonly source: string;
}

const DEFAULT_PORT = 6379;

/**
 * The first of `--seed`, CLUSTER_SEED, CLUSTER_NODES, forge.yaml, the fallback, and `127.0.0.1:$REDIS_PORT`. Empty variables count as
 * unset.
 * @throws ForgeError `configuration` when REDIS_PORT is no port
 */
export function chooseSeeds(sources: SeedSources = {}): Seeds {
  const { flag, file, fallback, environment = process.env } = sources;
  if (flag) return { text: flag, source: '--seed' };
  for (const name of ['CLUSTER_SEED', 'CLUSTER_NODES']) {
    const value = environment[name]?.trim();
    if (value) return { text: value, source: name };
  }
  if (file !== undefined && file.length > 0) return { text: file.join(','), source: 'forge.yaml' };
  if (fallback !== undefined && fallback.addresses.length > 0) {
    return { text: fallback.addresses.join(','), source: fallback.source };
  }
  const port = environment['REDIS_PORT']?.trim() || String(DEFAULT_PORT);
  if (!/^[0-9]{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) {
    throw new ForgeError('configuration', `REDIS_PORT is no port: ${port}.`, { next: 'Set a number from 1 to 65535.' });
  }
  return { text: `127.0.0.1:${port}`, source: environment['REDIS_PORT'] ? 'REDIS_PORT' : 'the default' };
}
