import type { Reply } from '../resp/decode.js';
import {
  ACL_CATEGORIES,
  type BeginSearch,
  CommandFlag,
  type CommandSpec,
  type FindKeys,
  KeyFlag,
  type KeySpec,
  type RequestPolicy,
  type ResponsePolicy,
} from './spec.js';

/** Names are text without spaces, like `json.get` or `config|get`. */
const NAME = /^[!-~]{1,100}$/;
/** Key specifications of one command; Redis's own have up to three. */
const KEY_SPECS_MAX = 16;
/** Categories of one command that are a module's own. */
const OWN_CATEGORIES_MAX = 16;

const REQUESTS: readonly string[] = ['all_nodes', 'all_shards', 'multi_shard', 'special'];
const RESPONSES: readonly string[] = [
  'one_succeeded',
  'all_succeeded',
  'agg_logical_and',
  'agg_logical_or',
  'agg_min',
  'agg_max',
  'agg_sum',
  'special',
];

/**
 * Reads a reply to COMMAND (https://redis.io/docs/latest/commands/command/), subcommands included: what a server says of
 * the commands that its modules bring, or that are newer than the table. What cannot be understood is left out. `servers`
 * is 0: the table says which servers know what it has.
 */
export function readCommands(reply: Reply): CommandSpec[] {
  const specs: CommandSpec[] = [];
  for (const entry of list(reply)) readCommand(list(entry), specs);
  return specs;
}

const list = (reply: Reply | undefined): Reply[] => (Array.isArray(reply) ? reply : []);
const words = (reply: Reply | undefined) => list(reply).filter((word) => typeof word === 'string');
const integer = (reply: Reply | undefined) => (typeof reply === 'number' && Number.isSafeInteger(reply) ? reply : 0);

function readCommand(entry: readonly Reply[], specs: CommandSpec[]): void {
  const [name, arity, flags, first, last, step, acl, tips, keySpecs, subcommands] = entry;
  if (typeof name !== 'string' || !NAME.test(name) || integer(arity) === 0) return;
  const flagBits = bits(CommandFlag, words(flags));
  const tip = <Policy extends string>(kind: string, known: readonly string[]): Policy | '' => {
    const found = words(tips).find((text) => text.startsWith(`${kind}:`));
    const policy = found?.slice(kind.length + 1) ?? '';
    return known.includes(policy) ? (policy as Policy) : '';
  };
  const below = list(subcommands);
  let acls = 0;
  const ownCategories: string[] = [];
  for (const word of words(acl)) {
    const category = word.replace(/^@/, '');
    const index = ACL_CATEGORIES.indexOf(category as (typeof ACL_CATEGORIES)[number]);
    if (index >= 0) acls |= 1 << index;
    else if (ownCategories.length < OWN_CATEGORIES_MAX) ownCategories.push(category.toLowerCase());
  }
  const keys = list(keySpecs).slice(0, KEY_SPECS_MAX).map(readKeySpec);
  specs.push({
    name: name.toLowerCase(),
    arity: integer(arity),
    flags: flagBits,
    acl: acls,
    ...(ownCategories.length > 0 ? { ownCategories } : {}),
    keys: keys.length > 0 ? keys : positions(integer(first), integer(last), integer(step), flagBits),
    request: tip<RequestPolicy>('request_policy', REQUESTS),
    response: tip<ResponsePolicy>('response_policy', RESPONSES),
    servers: 0,
    container: below.length > 0,
  });
  // A subcommand has none of its own.
  for (const each of below) if (list(list(each)[9]).length === 0) readCommand(list(each), specs);
}

function bits(values: Readonly<Record<string, number>>, given: readonly string[]): number {
  let set = 0;
  // Valkey has renamed one.
  for (const word of given) set |= values[word === 'skip_commandlog' ? 'skip_slowlog' : word] ?? 0;
  return set;
}

/** What servers before Redis 7 say instead of key specifications. */
function positions(first: number, last: number, step: number, flags: number): KeySpec[] {
  if (first <= 0) return [];
  const lastkey = last < 0 ? last : Math.max(0, last - first);
  const keyFlags = flags & CommandFlag.readonly ? KeyFlag.RO | KeyFlag.access : KeyFlag.RW | KeyFlag.update;
  return [
    {
      flags: keyFlags,
      begin: { type: 'index', index: first },
      find: { type: 'range', lastkey, keystep: Math.max(1, step), limit: 0 },
    },
  ];
}

/** Field name → value of a map as RESP2 sends it. */
function fields(reply: Reply | undefined): Map<Reply, Reply> {
  const flat = list(reply);
  const map = new Map<Reply, Reply>();
  for (let i = 0; i + 1 < flat.length; i += 2) map.set(flat[i], flat[i + 1]);
  return map;
}

function readKeySpec(reply: Reply): KeySpec {
  const spec = fields(reply);
  return {
    flags: bits(KeyFlag, words(spec.get('flags'))),
    begin: readBegin(fields(spec.get('begin_search'))),
    find: readFind(fields(spec.get('find_keys'))),
  };
}

function readBegin(search: Map<Reply, Reply>): BeginSearch {
  const spec = fields(search.get('spec'));
  const type = search.get('type');
  const keyword = spec.get('keyword');
  if (type === 'index') return { type, index: integer(spec.get('index')) };
  if (type === 'keyword' && typeof keyword === 'string') {
    return { type, keyword, startfrom: integer(spec.get('startfrom')) };
  }
  return { type: 'unknown' };
}

function readFind(search: Map<Reply, Reply>): FindKeys {
  const spec = fields(search.get('spec'));
  const number = (name: string) => integer(spec.get(name));
  const type = search.get('type');
  const keystep = Math.max(1, number('keystep'));
  if (type === 'range') return { type, lastkey: number('lastkey'), keystep, limit: number('limit') };
  if (type === 'keynum') return { type, keynumidx: number('keynumidx'), firstkey: number('firstkey'), keystep };
  return { type: 'unknown' };
}
