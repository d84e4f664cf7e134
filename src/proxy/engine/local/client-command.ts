import { describe } from '../clients/describe.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import { verbatim } from '../resp/encode.js';
import { CLIENT_HELP } from './client-help.js';
import { kill, list, pause, unblock, unpause } from './client-others.js';
import { getName, setInfo, setName, setReply, setSwitch } from './client-set.js';
import { caching, tracking, trackingInfo } from './client-tracking.js';
import type { Arguments } from './local.js';

type Subcommand = (client: Client, args: Arguments, entry: CommandEntry) => void;

/** Arguments in all, the two words counted in: least and most; and what serves it. */
const SUBCOMMANDS: ReadonlyMap<string, readonly [number, number, Subcommand]> = new Map<
  string,
  readonly [number, number, Subcommand]
>([
  ['id', [2, 2, (client) => client.reply(client.core.text(`:${client.id}\r\n`))]],
  ['getname', [2, 2, getName]],
  ['setname', [3, 3, setName]],
  ['setinfo', [4, 4, setInfo]],
  ['info', [2, 2, info]],
  ['list', [2, Number.POSITIVE_INFINITY, (client, args, entry) => list(client, entry, args)]],
  ['kill', [3, Number.POSITIVE_INFINITY, (client, args, entry) => kill(client, entry, args)]],
  ['pause', [3, 4, (client, args, entry) => pause(client, entry, args)]],
  ['unpause', [2, 2, (client, _args, entry) => unpause(client, entry)]],
  ['unblock', [3, 4, (client, args, entry) => unblock(client, entry, args)]],
  ['reply', [3, 3, setReply]],
  ['no-evict', [3, 3, (client, args) => setSwitch(client, args, 'noEvict')]],
  ['no-touch', [3, 3, (client, args) => setSwitch(client, args, 'noTouch')]],
  ['tracking', [3, Number.POSITIVE_INFINITY, tracking]],
  ['trackinginfo', [2, 2, trackingInfo]],
  ['caching', [3, 3, caching]],
  ['getredir', [2, 2, (client) => client.reply(client.core.text(':-1\r\n'))]],
  ['help', [2, 2, help]],
]);

/** CLIENT …, a subcommand of the table: about the connections to the proxy, of all its workers. */
export function clientCommand(client: Client, entry: CommandEntry, args: Arguments): void {
  const { core } = client;
  const name = args.word(1);
  const found = SUBCOMMANDS.get(name);
  if (found === undefined) {
    client.reply(core.text(`-ERR unsupported command 'client|${name}': it has no meaning for the proxy\r\n`));
    return;
  }
  const [least, most, serve] = found;
  if (args.count >= least && args.count <= most) serve(client, args, entry);
  else client.reply(core.text(`-ERR wrong number of arguments for 'client|${name}' command\r\n`));
}

function info(client: Client): void {
  client.reply(client.core.text(verbatim(client.proto, `${describe(client)}\n`)));
}

function help(client: Client): void {
  const lines = CLIENT_HELP.map((line) => `+${line}\r\n`).join('');
  client.reply(client.core.text(`*${CLIENT_HELP.length}\r\n${lines}`));
}
