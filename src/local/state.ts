/** What a local cluster is: written when it is planned, before anything of it runs, and read ever after. */
import { readdir, readFile } from 'node:fs/promises';
import * as z from 'zod';
import { ForgeError } from '../errors.js';
import { writeFileAtomic } from '../runtime/files.js';
import { type ClusterPaths, clusterPaths } from './paths.js';

const port = z.int().min(1).max(65_535);

const stateSchema = z.strictObject({
  version: z.literal(1),
  createdAt: z.iso.datetime(),
  runtime: z.enum(['process', 'docker']),
  /** Independent servers, one a master, among which the proxy hashes keys; otherwise a Redis Cluster. */
  sharded: z.optional(z.boolean()),
  masters: z.int().min(1),
  /** Per master. */
  replicas: z.int().min(0),
  /** In the order of the nodes; the bus port of each is 10,000 above. */
  nodePorts: z.array(port).min(1),
  /** Null for a cluster that was made with --no-proxy. */
  proxy: z.strictObject({ port, adminPort: port }).nullable(),
  /** Whether the nodes have been joined to a cluster; false after an interrupted first start. */
  formed: z.boolean(),
});

export type ClusterState = z.infer<typeof stateSchema>;

/**
 * The state of this cluster; undefined when there is none.
 * @throws ForgeError `configuration` when the file is not what forge wrote
 */
export async function loadState(paths: ClusterPaths): Promise<ClusterState | undefined> {
  let text: string;
  try {
    text = await readFile(paths.state, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new ForgeError('configuration', `${paths.state} cannot be read.`, { cause: error });
  }
  return parseState(text, paths.state);
}

/** @throws ForgeError `configuration`, naming the file and its first fault */
export function parseState(text: string, file: string): ClusterState {
  let fault: string;
  try {
    const parsed = stateSchema.safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    fault = `${issue?.path.join('.') || 'the document'}: ${issue?.message}`;
  } catch {
    fault = 'it is not JSON';
  }
  throw new ForgeError('configuration', `${file} is damaged, or of another version of forge: ${fault}.`, {
    next: 'Restore the file, or move its folder away to begin anew; the data of the nodes is beside it.',
  });
}

export async function saveState(paths: ClusterPaths, state: ClusterState): Promise<void> {
  await writeFileAtomic(paths.state, `${JSON.stringify(state, undefined, 2)}\n`, 0o600);
}

/** The names of all local clusters under this home, sorted. */
export async function listClusters(home: string): Promise<string[]> {
  const entries = await readdir(home, { withFileTypes: true }).catch(() => []);
  const names: string[] = [];
  for (const entry of entries) {
    if (!entry.isDirectory() || !/^[a-z0-9][a-z0-9-]{0,31}$/.test(entry.name)) continue;
    const found = await readFile(clusterPaths(home, entry.name).state).then(
      () => true,
      () => false,
    );
    if (found) names.push(entry.name);
  }
  return names.sort();
}
