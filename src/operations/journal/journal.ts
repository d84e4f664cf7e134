/**
 * The journal of one operation: JSON lines, appended and on disk before what they announce begins, and after what they
 * confirm is done. One file per operation; the file outlives every process.
 */

import { randomBytes } from 'node:crypto';
import { type FileHandle, open, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { ForgeError } from '../../errors.js';
import { makePrivateDirectory } from '../../runtime/files.js';
import type { Plan } from '../plan.js';
import {
  formatEntry,
  type JournalEntry,
  type NewEntry,
  type OperationState,
  type Operator,
  parseJournal,
  stateOf,
} from './entry.js';

const EXTENSION = '.jsonl';
/** Finished operations whose journals are kept. */
export const KEPT_MAX = 200;
/** A plan of 1,000 masters is below 4 MB. */
const FILE_BYTES_MAX = 256 * 1024 * 1024;

/** Told of every line: before it is written, and when it is on disk. */
export type JournalWatch = (moment: 'before' | 'after', entry: JournalEntry) => void | Promise<void>;

export class Journal {
  readonly file: string;
  readonly operationId: string;
  readonly #handle: FileHandle;
  readonly #watch: JournalWatch | undefined;
  #entries: JournalEntry[];
  /** Lines are written one after the other, whoever asks at the same time. */
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(file: string, handle: FileHandle, entries: readonly JournalEntry[], watch?: JournalWatch) {
    this.file = file;
    this.#handle = handle;
    this.#entries = [...entries];
    this.#watch = watch;
    this.operationId = path.basename(file, EXTENSION);
  }

  /** Begins the journal of a new operation; its first line, with the plan, is on disk when this returns. */
  static async create(
    directory: string,
    begin: { plan: Plan; operator: Operator; watch?: JournalWatch },
  ): Promise<Journal> {
    await makePrivateDirectory(directory);
    const operationId = newOperationId();
    const file = path.join(directory, `${operationId}${EXTENSION}`);
    const handle = await open(file, 'ax', 0o600);
    const journal = new Journal(file, handle, [], begin.watch);
    try {
      await journal.append({ type: 'begin', version: 1, operationId, operator: begin.operator, plan: begin.plan });
      await syncDirectory(directory);
      return journal;
    } catch (error) {
      await journal.close();
      throw error;
    }
  }

  /** Opens the journal of an interrupted operation to go on with it. A torn last line is cut off. */
  static async open(directory: string, operationId: string, watch?: JournalWatch): Promise<Journal> {
    const file = journalFile(directory, operationId);
    const { entries, wholeBytes } = parseJournal(await readText(file), file);
    const handle = await open(file, 'r+');
    await handle.truncate(wholeBytes);
    await handle.sync();
    await handle.close();
    return new Journal(file, await open(file, 'a'), entries, watch);
  }

  get state(): OperationState {
    const state = stateOf(this.#entries);
    if (state === undefined) throw new ForgeError('configuration', `${this.file} holds no operation.`);
    return state;
  }

  /** Writes one line; it is on disk when this returns. */
  append(entry: NewEntry): Promise<void> {
    const written = this.#queue.then(() => this.#write(entry));
    this.#queue = written.catch(() => undefined);
    return written;
  }

  async close(): Promise<void> {
    await this.#queue;
    await this.#handle.close();
  }

  async #write(entry: NewEntry): Promise<void> {
    const stamped = { ...entry, seq: this.#entries.length, at: new Date().toISOString() } as JournalEntry;
    await this.#watch?.('before', stamped);
    try {
      await this.#handle.appendFile(formatEntry(stamped));
      await this.#handle.datasync();
    } catch (cause) {
      throw new ForgeError('configuration', `The journal ${this.file} cannot be written.`, {
        next: 'Check the disk and its permissions. Nothing is changed without a journal.',
        cause,
      });
    }
    this.#entries.push(stamped);
    await this.#watch?.('after', stamped);
  }
}

function journalFile(directory: string, operationId: string): string {
  if (!/^[0-9]{8}-[0-9]{6}-[0-9a-f]{6}$/.test(operationId)) {
    throw new ForgeError('usage', `"${operationId}" is no operation.`, {
      next: 'forge resume without one lists them.',
    });
  }
  return path.join(directory, `${operationId}${EXTENSION}`);
}

/** `20261121-190512-3fa1c0`: sorted by time, and unlike any other. */
function newOperationId(): string {
  const stamp = new Date().toISOString().slice(0, 19).replace(/[-:]/g, '').replace('T', '-');
  return `${stamp}-${randomBytes(3).toString('hex')}`;
}

async function readText(file: string): Promise<string> {
  let handle: FileHandle;
  try {
    handle = await open(file, 'r');
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    if (!missing) throw new ForgeError('configuration', `${file} cannot be read.`, { cause });
    throw new ForgeError('usage', `There is no operation ${path.basename(file, '.jsonl')} on this machine.`, {
      next: [
        'forge resume lists those that are unfinished.',
        `It is finished where it was begun, by the same user; the journals of this one are in ${path.dirname(file)}.`,
      ],
      cause,
    });
  }
  try {
    if ((await handle.stat()).size > FILE_BYTES_MAX) throw new ForgeError('configuration', `${file} is no journal.`);
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

/** The name of a new file is on disk only when its folder is. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** What the journal of this operation adds up to; undefined when nothing was begun. */
export async function readOperation(directory: string, operationId: string): Promise<OperationState | undefined> {
  const file = journalFile(directory, operationId);
  return stateOf(parseJournal(await readText(file), file).entries);
}

async function operationIds(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new ForgeError('configuration', `${directory} cannot be read.`, { cause: error });
  });
  return names
    .filter((name) => name.endsWith(EXTENSION))
    .map((name) => path.basename(name, EXTENSION))
    .sort();
}

/** Every operation that has a journal here, the oldest first. */
export async function listOperations(directory: string): Promise<OperationState[]> {
  const states: OperationState[] = [];
  for (const id of await operationIds(directory)) {
    const state = await readOperation(directory, id);
    if (state !== undefined) states.push(state);
  }
  return states;
}

/** The unfinished operations of the cluster that has these nodes, the oldest first. */
export async function unfinishedOperations(directory: string, nodeIds: Iterable<string>): Promise<OperationState[]> {
  const ids = new Set(nodeIds);
  const all = await listOperations(directory);
  return all.filter(({ result, plan }) => result === undefined && plan.nodes.some(({ id }) => ids.has(id)));
}

/** Removes the journals of finished operations beyond the newest 200. Unfinished ones stay for ever. */
export async function pruneJournals(directory: string): Promise<void> {
  const finished = (await listOperations(directory)).filter(({ result }) => result !== undefined);
  for (const { operationId } of finished.slice(0, Math.max(0, finished.length - KEPT_MAX))) {
    await rm(journalFile(directory, operationId), { force: true });
  }
}
