import type { Client } from '../core/client.js';
import { nullReply } from '../resp/encode.js';
import type { Arguments } from './local.js';

/** Redis's rule for names: printable ASCII without spaces. */
export function validName(name: string): boolean {
  return /^[!-~]*$/.test(name);
}

const HELP = [
  'CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:',
  'GETNAME',
  '    Return the name of the current connection.',
  'ID',
  '    Return the ID of the current connection.',
  'INFO',
  '    Return information about the current client connection.',
  'NO-EVICT (ON|OFF)',
  '    Accepted; the proxy evicts by its own limits.',
  'NO-TOUCH (ON|OFF)',
  '    Accepted without effect.',
  'SETINFO <option> <value>',
  '    Set client meta attr: LIB-NAME or LIB-VER.',
  'SETNAME <name>',
  '    Assign the name <name> to the current connection.',
  'HELP',
  '    Print this help.',
];

/** CLIENT …: about the connection to the proxy. */
export function clientCommand(client: Client, args: Arguments): void {
  const core = client.core;
  const error = (text: string) => {
    client.reply(core.text(`-ERR ${text}\r\n`));
  };
  if (args.count < 2) {
    error("wrong number of arguments for 'client' command");
    return;
  }
  const sub = args.word(1).replace(/[\r\n]/g, ' ');
  const expects = (count: number): boolean => {
    if (args.count === count) return true;
    error(`wrong number of arguments for 'client|${sub}' command`);
    return false;
  };
  switch (sub) {
    case 'id':
      if (expects(2)) client.reply(core.text(`:${client.id}\r\n`));
      return;
    case 'getname':
      if (expects(2)) client.reply(client.name === '' ? core.text(nullReply(client.proto)) : core.bulk(client.name));
      return;
    case 'setname': {
      if (!expects(3)) return;
      const name = args.text(2);
      if (!validName(name)) {
        error('Client names cannot contain spaces, newlines or special characters.');
        return;
      }
      client.name = name;
      client.reply(core.texts.ok);
      return;
    }
    case 'setinfo':
      if (expects(4)) setInfo(client, args);
      return;
    case 'info':
      if (expects(2)) client.reply(core.bulk(`${describe(client)}\n`));
      return;
    case 'no-evict':
    case 'no-touch': {
      if (!expects(3)) return;
      const value = args.word(2);
      if (value === 'on' || value === 'off') client.reply(core.texts.ok);
      else error('syntax error');
      return;
    }
    case 'help':
      client.reply(core.text(`*${HELP.length}\r\n${HELP.map((line) => `+${line}\r\n`).join('')}`));
      return;
    default:
      if (core.catalog.entries.some((entry) => entry.name === `client|${sub}`)) {
        error(`unsupported command 'client|${sub}': it is not supported by the proxy yet`);
      } else error(`unknown subcommand '${args.text(1).replace(/[\r\n]/g, ' ')}'. Try CLIENT HELP.`);
  }
}

function setInfo(client: Client, args: Arguments): void {
  const core = client.core;
  const attribute = args.word(2);
  const value = args.text(3);
  if (attribute !== 'lib-name' && attribute !== 'lib-ver') {
    client.reply(core.text(`-ERR Unrecognized option '${args.text(2).replace(/[\r\n]/g, ' ')}'\r\n`));
  } else if (!validName(value)) {
    client.reply(core.text(`-ERR ${attribute} cannot contain spaces, newlines or special characters.\r\n`));
  } else {
    if (attribute === 'lib-name') client.libName = value;
    else client.libVersion = value;
    client.reply(core.texts.ok);
  }
}

/** The line that CLIENT INFO shows, with Redis's field names. */
function describe(client: Client): string {
  const now = client.core.nowMs;
  const seconds = (since: number) => Math.floor((now - since) / 1000);
  return [
    `id=${client.id}`,
    `addr=${client.address}`,
    `name=${client.name}`,
    `age=${seconds(client.createdMs)}`,
    `idle=${seconds(client.lastActiveMs)}`,
    'flags=N',
    'db=0',
    'sub=0',
    'psub=0',
    'ssub=0',
    'multi=-1',
    `omem=${client.output.bytes}`,
    'cmd=client|info',
    `user=${client.user}`,
    `resp=${client.proto}`,
    `lib-name=${client.libName}`,
    `lib-ver=${client.libVersion}`,
  ].join(' ');
}
