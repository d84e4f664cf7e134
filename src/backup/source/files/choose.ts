/** Whether a node's files can be read from this host, or its data has to come over the network. Only looks. */
import { constants } from 'node:fs';
import { access, readdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { NodeConnection } from '../../../cluster/node-connection.js';
import { ForgeError } from '../../../errors.js';
import type { SourceKind } from '../../layout.js';
import { containerDirectories } from './containers.js';
import { OpenedFile } from './opened.js';
import { type FileSettings, fileSettingsOf } from './server.js';
import { NODES_MAX_BYTES } from './unpack.js';

export interface SourceChoice {
  readonly kind: SourceKind;
  /** Of files: the node's data directory as it is reached from here. */
  readonly directory?: string;
  /** In words: `its data directory /var/lib/redis is on this host`. */
  readonly why: string;
}

export interface ChooseOptions {
  readonly nodeId: string;
  /** `auto`: files where they can be read, else the network. */
  readonly wanted: 'auto' | SourceKind;
  /** Where the node's data is, as the operator says it: absolute. */
  readonly directory?: string;
  /** Further places where it may be: the node's id in them decides. The volumes of deployed nodes when not given. */
  readonly candidates?: () => Promise<readonly string[]>;
  /** Addresses of this host; its own when not given. */
  readonly ownAddresses?: ReadonlySet<string>;
}

/**
 * Chooses for one node.
 * @param connection stays open
 * @throws ForgeError `refused` when files are wanted, or a directory is named, and cannot be had; `unreachable`, `timeout`
 */
export async function chooseSource(connection: NodeConnection, options: ChooseOptions): Promise<SourceChoice> {
  const { wanted, directory } = options;
  if (wanted === 'network') return { kind: 'network', why: 'it was asked for' };
  const found = await findDirectory(connection, options);
  if (found.directory !== undefined) return { kind: 'files', ...found };
  if (wanted === 'auto' && directory === undefined) return { kind: 'network', why: found.why };
  throw new ForgeError('refused', `The files of ${connection.label} cannot be taken: ${found.why}.`, {
    host: connection.label,
    next: 'Run it on the host of the node, as the user of the server or as root; or take the network as the source.',
  });
}

interface Found {
  readonly directory?: string;
  readonly why: string;
}

async function findDirectory(connection: NodeConnection, options: ChooseOptions): Promise<Found> {
  let settings: FileSettings;
  try {
    settings = await fileSettingsOf(connection);
  } catch (error) {
    if (!(error instanceof ForgeError) || (error.kind !== 'denied' && error.kind !== 'refused')) throw error;
    return { why: error.kind === 'denied' ? 'forge may not ask it for its settings' : error.message };
  }
  const own = options.ownAddresses ?? ownAddresses();
  const named = options.directory;
  const here = isOwn(connection.ip, own);
  const place = named ?? (here ? settings.directory : undefined);
  const why =
    place === undefined
      ? `it is on another host (${connection.ip})`
      : await obstacleIn(place, settings, options.nodeId);
  if (place !== undefined && why === undefined) return foundIn(place);
  // A container has its own folders, and often an address of its own.
  const others = named === undefined ? await (options.candidates ?? containerDirectories)() : [];
  for (const other of others) {
    if ((await obstacleIn(other, settings, options.nodeId)) === undefined) return foundIn(other);
  }
  return { why: why ?? '' };
}

const foundIn = (directory: string): Found => ({
  directory,
  why: `its data directory ${directory} is on this host`,
});

/** Why the node's files cannot be read there; undefined when they can. */
async function obstacleIn(place: string, settings: FileSettings, nodeId: string): Promise<string | undefined> {
  try {
    const nodes = await OpenedFile.open(path.join(place, settings.nodesFile));
    const text = await nodes.text(NODES_MAX_BYTES).finally(() => nodes.close());
    if (ownIdOf(text) !== nodeId) return `${place} is the data directory of another node`;
    if (!settings.appendOnly) return undefined;
    const folder = path.join(place, settings.appendDirectory);
    for (const name of await readdir(folder)) {
      if (name.startsWith(settings.appendFile)) await access(path.join(folder, name), constants.R_OK);
    }
    return undefined;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return `its data directory ${place} is not to be seen from here`;
    if (code === 'EACCES' || code === 'EPERM') return `this user may not read ${place}`;
    return `${place} cannot be read: ${message}`;
  }
}

/** The node that a nodes.conf is of; undefined when it does not say. Exported for tests. */
export function ownIdOf(nodesConf: string): string | undefined {
  for (const line of nodesConf.split('\n')) {
    const [id, , flags = ''] = line.split(' ');
    if (flags.split(',').includes('myself')) return id;
  }
  return undefined;
}

/** Loopback and every address of an interface. */
function ownAddresses(): ReadonlySet<string> {
  return new Set(Object.values(os.networkInterfaces()).flatMap((each) => (each ?? []).map(({ address }) => address)));
}

const isOwn = (ip: string, own: ReadonlySet<string>): boolean =>
  own.has(ip) || own.has(ip.replace(/^::ffff:/, '')) || /^127\./.test(ip) || ip === '::1';
