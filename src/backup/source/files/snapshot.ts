/** The snapshot of a server without an append-only file: it is made anew. */
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NodeConnection } from '../../../cluster/node-connection.js';
import { replyErrorOf } from '../../../cluster/node-failure.js';
import { ForgeError } from '../../../errors.js';
import type { OpenOptions, OpenPart } from './append-only.js';
import { OpenedFile } from './opened.js';
import { type FileState, fileStateOf, parseFileState, STATE_COMMAND } from './server.js';
import { DUMP_FILE } from './unpack.js';

const LOOK_MS = 20;
const LOOK_MAX_MS = 500;

export interface OpenSnapshot {
  readonly part: OpenPart;
  readonly state: FileState;
  readonly takenAt: number;
}

/**
 * Has the server save, and opens what it has saved: all writes up to `state.offset`, and no later one. Close the part.
 * @throws ForgeError `refused` when the save fails, or the file is not there; `timeout` when it takes longer than told
 */
export async function openSnapshot(connection: NodeConnection, options: OpenOptions): Promise<OpenSnapshot> {
  const { signal, waitMs, directory, settings } = options;
  const { label } = connection;
  const end = performance.now() + waitMs;
  let lookMs = LOOK_MS;
  let save: Awaited<ReturnType<typeof begin>>;
  for (;;) {
    signal.throwIfAborted();
    if (performance.now() > end) {
      throw new ForgeError('timeout', `${label} has not saved within ${Math.round(waitMs / 1000)} s.`, {
        host: label,
        next: 'Look into its log, and at its disk; or take the network as the source.',
      });
    }
    save ??= await begin(connection);
    const now = save === undefined ? undefined : await fileStateOf(connection);
    if (save !== undefined && now?.saving === false) {
      if (!now.saved) throw failed(label);
      // Servers count a save at its begin or at its end. When another one came after it, the file may be that one's.
      const isIts = ({ saving, saves }: FileState) => !saving && saves === (save?.savesBefore ?? 0) + 1;
      if (isIts(now)) {
        const part = await take(path.join(directory, settings.dumpFile));
        if (isIts(await fileStateOf(connection))) return { part, state: save.state, takenAt: save.takenAt };
        await part.file.close();
      }
      save = undefined;
    }
    await sleep(lookMs, undefined, { signal });
    lookMs = Math.min(LOOK_MAX_MS, lookMs * 2);
  }
}

/**
 * Both in one write, which the server takes in one turn: nothing comes between its offset and the begin of the save. (In a
 * transaction it would only note that it is to save.) Undefined while it saves or rewrites already.
 */
async function begin(connection: NodeConnection) {
  const [told, save] = await connection.callAll([STATE_COMMAND, ['BGSAVE']]);
  const takenAt = Date.now();
  if (told?.status === 'rejected') throw told.reason;
  if (save?.status === 'rejected') {
    if (/in progress|can't BGSAVE right now/i.test(replyErrorOf(save.reason) ?? '')) return undefined;
    throw save.reason;
  }
  const state = parseFileState(String(told?.value));
  return { state, savesBefore: state.saves, takenAt };
}

async function take(file: string): Promise<OpenPart> {
  const opened = await OpenedFile.open(file);
  return { file: opened, path: DUMP_FILE, bytes: await opened.bytes() };
}

const failed = (label: string) =>
  new ForgeError('refused', `${label} cannot save.`, {
    host: label,
    next: 'Look into its log: its disk may be full, or memory for a fork is missing.',
  });
