/** Backups of real clusters in a directory, made in this process, with a store that can be held up. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { expect } from 'vitest';
import { unpack } from '../../../../src/backup/archive/pack.js';
import { type ListedBackup, listBackups } from '../../../../src/backup/catalogue.js';
import { keyOf } from '../../../../src/backup/layout.js';
import { RdbKeyReader } from '../../../../src/backup/rdb/key-reader.js';
import type { BackupEvent } from '../../../../src/backup/run/events.js';
import { type BackupRequest, runBackup } from '../../../../src/backup/run/run.js';
import { DirectoryStore } from '../../../../src/backup/store/directory.js';
import type { PutOptions } from '../../../../src/backup/store/store.js';
import { verifySums } from '../../../../src/backup/verify-sums.js';
import type { NodeCredentials } from '../../../../src/cluster/node-connection.js';
import { openSession } from '../../../support/operations/join.js';

export const CLUSTER = 'orders';
export const never = () => new AbortController().signal;

/** Waits before it takes the data of an object, when it is told to. */
export class HeldStore extends DirectoryStore {
  /** Called with the object's name. */
  hold: (name: string) => Promise<void> = async () => undefined;

  override async put(key: string, source: Parameters<DirectoryStore['put']>[1], options: PutOptions): Promise<void> {
    await this.hold(path.basename(key));
    await super.put(key, source, options);
  }
}

export interface Making {
  readonly home: string;
  readonly store: HeldStore;
  readonly events: BackupEvent[];
  /** Makes a backup of the cluster that this address is of. */
  make(seed: string, more?: Partial<BackupRequest>, login?: NodeCredentials): ReturnType<typeof runBackup>;
  /** Everything that is listed, each proved to be whole. */
  proved(): Promise<ListedBackup[]>;
  /** Keys in the objects of the backup, each with how often it is there. */
  keysIn(id: string): Promise<Map<string, number>>;
  remove(): Promise<void>;
}

export async function startMaking(): Promise<Making> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'forge-backup-'));
  const home = path.join(directory, 'home');
  const store = new HeldStore(path.join(directory, 'store'));
  const events: BackupEvent[] = [];
  return {
    home,
    store,
    events,
    async make(seed, more = {}, login = {}) {
      const session = await openSession(seed, { connect: login });
      try {
        return await runBackup({
          ...{ session, store, cluster: CLUSTER, compression: 'gzip', source: 'network', directories: new Map() },
          ...{ partial: false, waitMs: 30_000, parallel: 2, forge: '0.0.0', home, signal: never() },
          observe: (event) => events.push(event),
          ...more,
        });
      } finally {
        session.close();
      }
    },
    async proved() {
      const listed = await listBackups(store, { signal: never() });
      for (const each of listed.filter(({ state }) => state === 'complete' || state === 'partial')) {
        const { faults, good } = await verifySums(store, each, { signal: never() });
        expect({ faults, good }).toEqual({ faults: [], good: true });
      }
      return listed;
    },
    async keysIn(id) {
      const [listed] = await listBackups(store, { cluster: CLUSTER, id, signal: never() });
      const found = new Map<string, number>();
      for (const { object } of listed?.manifest?.shards ?? []) {
        const place = `${id}/${object.name}`;
        const packed = await store.open(keyOf(CLUSTER, id, object.name), never());
        const reader = new RdbKeyReader(unpack(packed, object, { compression: 'gzip', place }));
        for await (const batch of reader.batches()) {
          for (const { key } of batch) found.set(String(key), (found.get(String(key)) ?? 0) + 1);
        }
      }
      return found;
    },
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}
