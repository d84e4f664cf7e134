import type { Bytes } from '../bytes.js';
import { type ClientFilter, readFilter } from '../clients/filter.js';
import {
  Ask,
  type FilterQuestion,
  type Killed,
  type Listed,
  type PauseQuestion,
  type UnblockQuestion,
} from '../clients/registry.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import { beginTask, finishTask } from '../core/task.js';
import { verbatim } from '../resp/encode.js';
import type { Arguments } from './local.js';

/** Asks all workers; the reply takes its place in the client's order when they have answered. */
function askAll(
  client: Client,
  entry: CommandEntry,
  kind: string,
  question: unknown,
  answer: (answers: unknown[]) => string,
): void {
  const { core } = client;
  // No parts are sent for it.
  const parent = beginTask(client, entry, { answered() {} });
  core.runtime.ask(kind, question, (answers) => {
    const reply: Bytes = core.text(answer(answers));
    finishTask(core, parent, [reply], reply[0] === 45);
  });
}

function refuse(client: Client, text: string): void {
  client.reply(client.core.text(`-ERR ${text}\r\n`));
}

/** CLIENT LIST [TYPE type] [ID id …] [USER …] [ADDR …] [LADDR …] [SKIPME YES|NO] [MAXAGE …]: of all workers. */
export function list(client: Client, entry: CommandEntry, args: Arguments): void {
  const filter = readFilter(args, 2, 'list');
  if (typeof filter === 'string') {
    refuse(client, filter);
    return;
  }
  const question: FilterQuestion = { filter, me: client.id };
  const { proto } = client;
  askAll(client, entry, Ask.list, question, (answers) => {
    const listed = (answers as (Listed[] | undefined)[]).flatMap((each) => each ?? []);
    listed.sort((a, b) => a.id - b.id);
    return verbatim(proto, listed.map(({ line }) => `${line}\n`).join(''));
  });
}

/** CLIENT KILL address, which kills one or says that there is none; CLIENT KILL option value …, which counts. */
export function kill(client: Client, entry: CommandEntry, args: Arguments): void {
  const old = args.count === 3;
  const filter: ClientFilter | string = old ? { address: args.text(2) } : readFilter(args, 2, 'kill');
  if (typeof filter === 'string') {
    refuse(client, filter);
    return;
  }
  if (filter.user !== undefined && filter.user !== 'default' && !client.core.access.knows(filter.user)) {
    refuse(client, `No such user '${filter.user.replace(/[\r\n]/g, ' ')}'`);
    return;
  }
  const question: FilterQuestion = { filter, me: client.id };
  askAll(client, entry, Ask.kill, question, (answers) => {
    let count = 0;
    for (const killed of answers as (Killed | undefined)[]) {
      count += killed?.count ?? 0;
      // It still hears how many they were.
      if (killed?.me === true) client.closing = true;
    }
    if (old) return count > 0 ? '+OK\r\n' : '-ERR No such client\r\n';
    return `:${count}\r\n`;
  });
}

const TIMEOUT_MAX_MS = 2 ** 53;

/** CLIENT PAUSE milliseconds [WRITE|ALL]: the clients of all workers. */
export function pause(client: Client, entry: CommandEntry, args: Arguments): void {
  const milliseconds = args.integer(2);
  const mode = args.count > 3 ? args.word(3) : 'all';
  if (mode !== 'write' && mode !== 'all') refuse(client, 'CLIENT PAUSE mode must be WRITE or ALL');
  else if (Number.isNaN(milliseconds) || milliseconds > TIMEOUT_MAX_MS) {
    refuse(client, 'timeout is not an integer or out of range');
  } else if (milliseconds < 0) refuse(client, 'timeout is negative');
  else {
    const question: PauseQuestion = { milliseconds, writesOnly: mode === 'write' };
    askAll(client, entry, Ask.pause, question, () => '+OK\r\n');
  }
}

export function unpause(client: Client, entry: CommandEntry): void {
  const question: PauseQuestion = { milliseconds: 0, writesOnly: false };
  askAll(client, entry, Ask.pause, question, () => '+OK\r\n');
}

/** CLIENT UNBLOCK id [TIMEOUT|ERROR] */
export function unblock(client: Client, entry: CommandEntry, args: Arguments): void {
  const how = args.count > 3 ? args.word(3) : 'timeout';
  const id = args.integer(2);
  if (how !== 'timeout' && how !== 'error') refuse(client, 'CLIENT UNBLOCK reason should be TIMEOUT or ERROR');
  else if (Number.isNaN(id)) refuse(client, 'value is not an integer or out of range');
  else {
    const question: UnblockQuestion = { id, how };
    askAll(client, entry, Ask.unblock, question, (answers) => `:${answers.includes(1) ? 1 : 0}\r\n`);
  }
}
