import type { Bytes } from '../bytes.js';
import { utf8 } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import { printable, replyError } from '../core/refuse.js';
import { bulk, mapReply, nullReply } from '../resp/encode.js';
import { RequestFrame } from '../resp/request-framer.js';
import { Denied } from './permissions.js';
import { KeyAccess, type KeyRule, type SelectorRules } from './rules.js';
import type { User } from './user.js';

type Subcommand = (client: Client, bytes: Bytes, frame: RequestFrame) => void;

/** Of ACL, what is about the proxy's own users; these are as the configuration says, and only it changes them. */
const SUBCOMMANDS: ReadonlyMap<string, Subcommand> = new Map<string, Subcommand>([
  ['acl|list', (client) => strings(client, [...client.core.access.all()].map(describe))],
  [
    'acl|users',
    (client) =>
      strings(
        client,
        [...client.core.access.all()].map(({ name }) => name),
      ),
  ],
  ['acl|getuser', getUser],
  ['acl|dryrun', dryRun],
]);

/** Serves ACL LIST, USERS, GETUSER and DRYRUN. False for other commands, and where the users are Redis's. */
export function aclCommand(client: Client, entry: CommandEntry, bytes: Bytes, frame: RequestFrame): boolean {
  const serve = SUBCOMMANDS.get(entry.name);
  if (serve === undefined || client.core.access.settings.users.length === 0) return false;
  client.core.countRequest(entry);
  serve(client, bytes, frame);
  return true;
}

function strings(client: Client, all: string[]): void {
  client.reply(client.core.text(`*${all.length}\r\n${all.map(bulk).join('')}`));
}

function commandsText({ commands }: SelectorRules): string {
  const words = commands.map(({ allow, kind, name }) => `${allow ? '+' : '-'}${kind === 'command' ? '' : '@'}${name}`);
  return commands[0]?.kind === 'all' ? words.join(' ') : ['-@all', ...words].join(' ');
}

function keyText({ access, pattern }: KeyRule): string {
  if (access === KeyAccess.both) return `~${pattern}`;
  return access === KeyAccess.read ? `%R~${pattern}` : `%W~${pattern}`;
}

const keysText = ({ keys }: SelectorRules) => keys.map(keyText).join(' ');
const channelsText = ({ channels }: SelectorRules) => channels.map((pattern) => `&${pattern}`).join(' ');

function selectorText(selector: SelectorRules): string {
  const channels = selector.channels.includes('*') ? '&*' : `resetchannels ${channelsText(selector)}`.trim();
  return [keysText(selector), channels, commandsText(selector)].filter((part) => part !== '').join(' ');
}

/** As ACL LIST has it, without the hashes of passwords. */
function describe({ name, enabled, nopass, rules }: User): string {
  const [own, ...others] = rules.selectors as [SelectorRules, ...SelectorRules[]];
  const flags = [enabled ? 'on' : 'off', ...(nopass ? ['nopass'] : []), 'sanitize-payload'];
  return ['user', name, ...flags, selectorText(own), ...others.map((each) => `(${selectorText(each)})`)].join(' ');
}

function named(client: Client, bytes: Bytes, frame: RequestFrame): User | undefined {
  return client.core.access.named(utf8(bytes, frame.starts[2], frame.ends[2]));
}

function getUser(client: Client, bytes: Bytes, frame: RequestFrame): void {
  const user = named(client, bytes, frame);
  const { core, proto } = client;
  if (user === undefined) {
    client.reply(core.text(nullReply(proto)));
    return;
  }
  const [own, ...others] = user.rules.selectors as [SelectorRules, ...SelectorRules[]];
  const list = (items: string[]) => `*${items.length}\r\n${items.join('')}`;
  const flags = [user.enabled ? 'on' : 'off', ...(user.nopass ? ['nopass'] : []), 'sanitize-payload'].map(bulk);
  const permissions = (selector: SelectorRules): [string, string][] => [
    ['commands', bulk(commandsText(selector))],
    ['keys', bulk(keysText(selector))],
    ['channels', bulk(channelsText(selector))],
  ];
  client.reply(
    core.text(
      mapReply(proto, [
        ['flags', proto === 3 ? `~${flags.length}\r\n${flags.join('')}` : list(flags)],
        // Nobody needs the hashes: the configuration has them.
        ['passwords', list([])],
        ...permissions(own),
        ['selectors', list(others.map((each) => mapReply(proto, permissions(each))))],
      ]),
    ),
  );
}

/** ACL DRYRUN user command [argument …] */
function dryRun(client: Client, bytes: Bytes, frame: RequestFrame): void {
  const { core } = client;
  const user = named(client, bytes, frame);
  if (user === undefined) {
    replyError(client, `ERR User '${printable(bytes, frame.starts[2], frame.ends[2])}' not found`);
    return;
  }
  const tried = new RequestFrame();
  tried.count = frame.count - 3;
  tried.starts = frame.starts.slice(3, frame.count);
  tried.ends = frame.ends.slice(3, frame.count);
  let entry = core.catalog.find(bytes, tried.starts[0], tried.ends[0]);
  if (entry?.spec.container && tried.count > 1) {
    entry = core.catalog.findSubcommand(entry, bytes, tried.starts[1], tried.ends[1]);
  }
  if (entry === null) {
    replyError(client, `ERR Command '${printable(bytes, tried.starts[0], tried.ends[0])}' not found`);
  } else if (!entry.accepts(tried.count)) {
    replyError(client, `ERR wrong number of arguments for '${entry.name}' command`);
  } else {
    const denied = user.check(entry, bytes, tried);
    if (denied === Denied.no) client.reply(core.texts.ok);
    // What the error would say, without what errors begin and end with.
    else client.reply(core.bulk(user.explain(entry, denied).replace(/^-(?:NOPERM|ERR) |\r\n$/g, '')));
  }
}
