/** Opens the data of a node: its snapshot over the network, or its files where this host can read them. */
import type { Readable } from 'node:stream';
import { ForgeError } from '../../errors.js';
import type { ClusterSession } from '../../operations/session.js';
import type { SourceKind } from '../layout.js';
import { chooseSource } from '../source/files/choose.js';
import { readFiles } from '../source/files.js';
import { readRdb } from '../source/network.js';
import type { ShardSource } from './plan.js';

/** `auto`: the network; files, where a node gives no snapshot and its files can be read from here. */
export type WantedSource = 'auto' | SourceKind;

export interface OpenOptions {
  readonly session: ClusterSession;
  /** Name of the connection, as the node's CLIENT LIST shows it. */
  readonly clientName: string;
  readonly wanted: WantedSource;
  /** Data directories by node id, where the operator has said them. */
  readonly directories: ReadonlyMap<string, string>;
  readonly signal: AbortSignal;
  readonly silenceMs?: number;
}

export interface OpenedSource {
  readonly kind: SourceKind;
  readonly replicationId: string;
  readonly offset: number;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly stream: Readable;
  /** Ends it, read or not. Safe to call twice. */
  dispose(): Promise<void>;
}

/** @throws ForgeError of the node: `refused`, `denied`, `unreachable`, `timeout` */
export async function openSource(source: ShardSource, options: OpenOptions): Promise<OpenedSource> {
  const { wanted } = options;
  if (wanted === 'files') return openFiles(source, options);
  try {
    return await openNetwork(source, options);
  } catch (error) {
    const refused = error instanceof ForgeError && (error.kind === 'denied' || error.kind === 'refused');
    if (wanted === 'network' || !refused) throw error;
    // What the network says is what an operator can mend.
    return await openFiles(source, options).catch(() => {
      throw error;
    });
  }
}

async function openNetwork({ nodeId }: ShardSource, options: OpenOptions): Promise<OpenedSource> {
  const { session, clientName, signal, silenceMs } = options;
  const connection = await session.pool.dedicated(nodeId, { clientName });
  const source = await readRdb(connection, { signal, ...(silenceMs === undefined ? {} : { silenceMs }) });
  return {
    ...{ kind: 'network', ...source },
    async dispose() {
      source.stream.destroy();
    },
  };
}

async function openFiles({ nodeId }: ShardSource, options: OpenOptions): Promise<OpenedSource> {
  const { session, clientName, directories, signal } = options;
  const named = directories.get(nodeId);
  const connection = await session.pool.dedicated(nodeId, { clientName });
  try {
    const where = named === undefined ? {} : { directory: named };
    const { directory = '' } = await chooseSource(connection, { nodeId, wanted: 'files', ...where });
    const files = await readFiles(connection, { signal, directory });
    return { ...files, kind: 'files', dispose: () => files.dispose() };
  } finally {
    connection.close();
  }
}
