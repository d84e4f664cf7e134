/** Backups of real servers, as a run makes them, put into a directory. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { findBackup, type ListedBackup } from '../../../../src/backup/catalogue.js';
import type { BackupShard } from '../../../../src/backup/manifest.js';
import { readRdb } from '../../../../src/backup/source/network.js';
import { DirectoryStore } from '../../../../src/backup/store/directory.js';
import type { NodeConnection } from '../../../../src/cluster/node-connection.js';
import { parseInfo, parseServerVersion } from '../../../../src/cluster/parse-info.js';
import { SLOT_COUNT } from '../../../../src/cluster/slots.js';
import { type MakeBackupOptions, makeBackup } from '../../../support/backup.js';
import type { RedisServer } from '../../../support/redis.js';

export interface Place {
  readonly directory: string;
  readonly store: DirectoryStore;
  remove(): Promise<void>;
}

export async function makePlace(): Promise<Place> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'forge-backups-'));
  return {
    directory,
    store: new DirectoryStore(path.join(directory, 'store')),
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

export const signal = () => new AbortController().signal;

async function slotKeysOf(connection: NodeConnection): Promise<[number, number][]> {
  const commands = Array.from({ length: SLOT_COUNT }, (_, slot) => ['CLUSTER', 'COUNTKEYSINSLOT', slot] as const);
  const outcomes = await connection.callAll(commands);
  return outcomes.flatMap((outcome, slot): [number, number][] => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return Number(outcome.value) > 0 ? [[slot, Number(outcome.value)]] : [];
  });
}

/** Of masters that nobody writes to meanwhile. */
export async function backUp(
  store: DirectoryStore,
  masters: readonly RedisServer[],
  options: Omit<MakeBackupOptions, 'shards' | 'shard'> & {
    readonly shard?: (index: number) => Partial<BackupShard>;
  } = {},
): Promise<ListedBackup> {
  const contents: Buffer[] = [];
  const described: Partial<BackupShard>[] = [];
  for (const [index, master] of masters.entries()) {
    const connection = await master.connect();
    const slotKeys = await slotKeysOf(connection);
    const version = parseServerVersion(parseInfo(await connection.callText('INFO', 'server')));
    const id = await connection.callText('CLUSTER', 'MYID');
    const source = await readRdb(connection, { signal: signal() });
    contents.push(await buffer(source.stream));
    described.push({
      masterId: id,
      masterAddress: master.address,
      slotKeys,
      keys: slotKeys.reduce((sum, [, keys]) => sum + keys, 0),
      source: {
        kind: 'network',
        nodeId: id,
        address: master.address,
        role: 'master',
        server: version?.product ?? 'redis',
        version: version?.text ?? '7.0.0',
      },
      ...options.shard?.(index),
    });
  }
  const made = await makeBackup(store, { ...options, shards: contents, shard: (index) => described[index] ?? {} });
  return findBackup(store, { id: made.id, secret: options.secret, signal: signal() });
}
