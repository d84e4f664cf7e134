/** Rehearses a backup under load, its proof, and that servers could start from it: in a folder that is removed afterwards. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { findBackup } from '../../backup/catalogue.js';
import { BackupArchive } from '../../backup/restore/archive.js';
import { restoreToFiles } from '../../backup/restore/to-files.js';
import { runBackup } from '../../backup/run/run.js';
import { openStore } from '../../backup/store/open.js';
import { verifyBackup } from '../../backup/verify.js';
import { ForgeError } from '../../errors.js';
import { findRedisServer } from '../../runtime/redis-server.js';
import { atMost } from '../verdict.js';
import { PLANNED } from './bounds.js';
import type { Rehearsal } from './rehearsal.js';
import { type Stage, untilWhole } from './stage.js';

const PARALLEL = 2;
/** How long slots that are on their way are waited for. */
const WAIT_MS = 60_000;

export interface BackupDrillRequest {
  /** Where there is room for the backup and for the files of its restore. */
  readonly directory: string;
  /** The version of the program. */
  readonly forge: string;
  /** Forge's own folder. */
  readonly home: string;
}

/** @throws ForgeError `missing` without a server on this host that could load the backup */
export async function backupRehearsal(stage: Stage, request: BackupDrillRequest): Promise<Rehearsal> {
  await findRedisServer();
  const keys = stage.session.snapshot.topology.masters.reduce(
    (sum, { id }) => sum + (stage.session.snapshot.report(id)?.keys ?? 0),
    0,
  );
  let scratch: string | undefined;
  const faults: string[] = [];
  let written = 0;
  let shards = 0;
  const clear = async () => {
    if (scratch !== undefined) await rm(scratch, { recursive: true, force: true });
    scratch = undefined;
  };
  return {
    name: 'backup, proof and restore',
    does: [
      `Back up all masters (${keys.toLocaleString('en')} keys) into a new folder in ${request.directory}.`,
      'Prove every byte of it, load it into servers of this host that nobody else reaches, and count its keys.',
      'Restore it as files from which servers start, and remove all of it. No data of the cluster is touched.',
    ],
    clients: 'nothing but a little more latency while the data is read',
    undo: 'Nothing is to be undone in the cluster; Ctrl-C removes the folder.',
    bounds: PLANNED,
    disturb: async (tell, signal) => {
      scratch = await newFolder(request.directory);
      const store = await openStore({ kind: 'directory', directory: path.join(scratch, 'backups') });
      try {
        tell('the backup begins');
        const cluster = 'drill';
        const { id } = await stage.withSession((session) =>
          runBackup({
            ...{ session, store, cluster, source: 'network', compression: 'gzip', partial: false },
            ...{ directories: new Map(), waitMs: WAIT_MS, parallel: PARALLEL, forge: request.forge },
            ...{ home: request.home, signal, observe: () => undefined },
          }),
        );
        tell('the backup is made: proving it');
        const backup = await findBackup(store, { cluster, id, signal });
        const { problems } = await verifyBackup(store, backup, { load: 'load', signal });
        faults.push(...problems);
        for (const problem of problems) tell(`fault of the backup: ${problem}`);
        tell(problems.length === 0 ? 'servers have loaded it: restoring it as files' : 'restoring it as files');
        const archive = new BackupArchive(store, backup, undefined);
        shards = archive.manifest.shards.length;
        const directory = path.join(scratch, 'files');
        written = (
          await restoreToFiles({ archive, shards: archive.manifest.shards, directory, parallel: PARALLEL, signal })
        ).length;
        tell(`the files of ${written} masters are there: removing everything`);
      } finally {
        store.close();
      }
      await clear();
    },
    recover: (signal) => untilWhole(stage, signal),
    restore: async (tell) => {
      if (scratch !== undefined) tell(`removing ${scratch}`);
      await clear();
    },
    // What never came to be written counts as well.
    lines: () => [
      atMost('faults of the backup', faults.length, 0),
      atMost('masters whose files were not restored', Math.max(1, shards) - written, 0),
    ],
  };
}

/** Where large files go when nothing is said. */
export const scratchDirectory = (): string => os.tmpdir();

async function newFolder(directory: string): Promise<string> {
  try {
    return await mkdtemp(path.join(path.resolve(directory), 'forge-drill-'));
  } catch (cause) {
    throw new ForgeError('configuration', `${directory} cannot be written to.`, {
      next: 'Name a folder with room: --scratch DIR.',
      cause,
    });
  }
}
