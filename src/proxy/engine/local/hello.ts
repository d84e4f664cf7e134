import type { Bytes } from '../bytes.js';
import type { Client } from '../core/client.js';
import type { ModuleFacts } from '../core/facts.js';
import { replyError } from '../core/refuse.js';
import { bulk, mapReply } from '../resp/encode.js';
import { INVALID_NAME, validName } from './client-set.js';
import type { Arguments } from './local.js';

/**
 * HELLO [protover [AUTH username password] [SETNAME name]]. False when the RESP version changes while earlier commands
 * are on their way: their replies still come in the old one.
 */
export function hello(client: Client, args: Arguments): boolean {
  const core = client.core;
  const error = (text: string) => {
    client.reply(core.text(`-${text}\r\n`));
    return true;
  };
  let proto = client.proto;
  if (args.count > 1) {
    proto = args.integer(1);
    if (Number.isNaN(proto)) return error('ERR Protocol version is not an integer or out of range');
    if (proto !== 2 && proto !== 3) return error('NOPROTO unsupported protocol version');
  }
  if (proto !== client.proto && client.head !== null) return false;

  let name: string | null = null;
  let credentials: [string, Bytes] | null = null;
  for (let i = 2; i < args.count; i++) {
    const option = args.word(i);
    if (option === 'auth' && i + 2 < args.count) {
      credentials = [args.text(i + 1), args.bytesOf(i + 2, core.runtime.allocate)];
      i += 2;
    } else if (option === 'setname' && i + 1 < args.count) {
      name = args.text(++i);
      if (!validName(name)) return error(`ERR ${INVALID_NAME}`);
    } else return error(`ERR Syntax error in HELLO option '${args.text(i).replace(/[\r\n]/g, ' ')}'`);
  }
  if (credentials === null) {
    if (!client.authenticated) return error(LOGIN_FIRST);
    greet(client, proto, name);
    return true;
  }
  core.access.logins.begin(client, ...credentials, (refused) => {
    if (refused === '') greet(client, proto, name);
    else replyError(client, refused);
  });
  return true;
}

const LOGIN_FIRST =
  'NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time';

/** The client's version of RESP and name are these from now on; it is told who answers. */
function greet(client: Client, proto: number, name: string | null): void {
  const { core } = client;
  if (name !== null) client.details.name = name;
  client.proto = proto;
  core.pubsub.subscribers.protocolChanged(client);
  client.reply(
    core.text(
      mapReply(proto, [
        ['server', bulk(core.facts.server)],
        ['version', bulk(core.facts.version)],
        ['proto', `:${proto}\r\n`],
        ['id', `:${client.id}\r\n`],
        ['mode', bulk('standalone')],
        ['role', bulk('master')],
        ['modules', modules(proto, core.facts.modules)],
      ]),
    ),
  );
}

function modules(proto: number, all: readonly ModuleFacts[]): string {
  const list = all.map(({ name, version, path, args }) => {
    const fields: [string, string][] = [
      ['name', bulk(name)],
      ['ver', `:${version}\r\n`],
    ];
    if (path !== null) fields.push(['path', bulk(path)]);
    if (args !== null) fields.push(['args', `*${args.length}\r\n${args.map(bulk).join('')}`]);
    return mapReply(proto, fields);
  });
  return `*${list.length}\r\n${list.join('')}`;
}
