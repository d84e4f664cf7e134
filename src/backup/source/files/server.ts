/** What a server says about its files. */

import type { NodeConnection } from '../../../cluster/node-connection.js';
import { infoNumber, parseInfo } from '../../../cluster/parse-info.js';
import { ForgeError } from '../../../errors.js';

/** Settings that say which files there are, and how they are called. */
export interface FileSettings {
  /** As the server has it: inside of its container. */
  readonly directory: string;
  readonly appendOnly: boolean;
  readonly appendDirectory: string;
  readonly appendFile: string;
  readonly dumpFile: string;
  readonly nodesFile: string;
}

const NAMES = ['dir', 'appendonly', 'appenddirname', 'appendfilename', 'dbfilename', 'cluster-config-file'] as const;
/** Of one folder, as the server itself demands. */
const PLAIN_NAME = /^[^/\0]{1,255}$/;

/**
 * @throws ForgeError `denied` where this user may not ask; `refused` for a server older than Redis 7, and for one that is
 *   no part of a cluster
 */
export async function fileSettingsOf(connection: NodeConnection): Promise<FileSettings> {
  const { label } = connection;
  const reply = await connection.call('CONFIG', 'GET', ...NAMES);
  const pairs = Array.isArray(reply) ? reply.map(String) : [];
  const values = new Map(pairs.flatMap((name, index) => (index % 2 === 0 ? [[name, pairs[index + 1] ?? '']] : [])));
  const of = (name: (typeof NAMES)[number]) => values.get(name) ?? '';
  const names = [of('appenddirname'), of('appendfilename'), of('dbfilename'), of('cluster-config-file')];
  if (!of('dir').startsWith('/') || !names.every((name) => PLAIN_NAME.test(name) && name !== '.' && name !== '..')) {
    throw new ForgeError('refused', `${label} does not say which files it has.`, {
      host: label,
      next: 'Servers from Redis 7.0 on do, in cluster mode, with files in one folder.',
    });
  }
  return {
    directory: of('dir'),
    appendOnly: of('appendonly') === 'yes',
    appendDirectory: of('appenddirname'),
    appendFile: of('appendfilename'),
    dumpFile: of('dbfilename'),
    nodesFile: of('cluster-config-file'),
  };
}

/** All of one instant: an answer of one INFO. */
export interface FileState {
  readonly replicationId: string;
  /** What has been written so far, by the stream of writes. */
  readonly offset: number;
  readonly loading: boolean;
  /** A replica without its master has data of an unknown age. */
  readonly linked: boolean;
  /** `appendonly yes` as it is carried out, perhaps since this instant. */
  readonly appending: boolean;
  /** A rewrite of the append-only file is under way, or about to begin. */
  readonly rewriting: boolean;
  /** The last write to the append-only file failed. */
  readonly failing: boolean;
  /** Bytes of the append-only file by the server's own count, and those that wait for being written to it. */
  readonly bytes: number;
  readonly waitingBytes: number;
  /** Bytes after the last rewrite, or at the start; 0 since the server began with nothing. */
  readonly baseBytes: number;
  readonly saving: boolean;
  /** The last save succeeded. */
  readonly saved: boolean;
  /** Saves that were begun since the start. */
  readonly saves: number;
}

export const STATE_COMMAND = ['INFO', 'replication', 'persistence'] as const;

export async function fileStateOf(connection: NodeConnection): Promise<FileState> {
  const [command, ...sections] = STATE_COMMAND;
  return parseFileState(await connection.callText(command, ...sections));
}

/** The answer to `STATE_COMMAND`. */
export function parseFileState(text: string): FileState {
  const info = parseInfo(text);
  const flag = (name: string) => info.get(name) === '1';
  const number = (name: string) => infoNumber(info, name) ?? 0;
  return {
    replicationId: info.get('master_replid') ?? '',
    offset: number('master_repl_offset'),
    loading: flag('loading') || flag('async_loading'),
    linked: info.get('role') !== 'slave' || info.get('master_link_status') === 'up',
    appending: flag('aof_enabled'),
    rewriting: flag('aof_rewrite_in_progress') || flag('aof_rewrite_scheduled'),
    failing: info.get('aof_last_write_status') === 'err',
    bytes: number('aof_current_size'),
    waitingBytes: number('aof_buffer_length'),
    baseBytes: number('aof_base_size'),
    saving: flag('rdb_bgsave_in_progress'),
    saved: info.get('rdb_last_bgsave_status') === 'ok',
    saves: number('rdb_saves'),
  };
}
