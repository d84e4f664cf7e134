import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NodeConnection } from '../../../src/cluster/node-connection.js';
import { Denied } from '../../../src/proxy/engine/access/permissions.js';
import { User } from '../../../src/proxy/engine/access/user.js';
import { Catalog, type CommandEntry } from '../../../src/proxy/engine/commands/catalog.js';
import { readCommands } from '../../../src/proxy/engine/commands/command-reply.js';
import { ACL_CATEGORIES } from '../../../src/proxy/engine/commands/spec.js';
import {
  DEFAULT_LIMITS,
  FRAME_COMPLETE,
  frameRequest,
  RequestFrame,
} from '../../../src/proxy/engine/resp/request-framer.js';
import { type RedisServer, startRedis } from '../../support/redis.js';
import { encode, seeded } from '../../support/resp.js';
import { executableOf, FETCH_TIMEOUT_MS, SOME_SERVERS } from '../../support/servers.js';

/** Users, and calls of each. */
const USERS = 100;
const CALLS = 200;

let server: RedisServer;
let connection: NodeConnection;
let catalog: Catalog;

async function start(executable: string): Promise<void> {
  server = await startRedis({ executable });
  connection = await server.connect();
  // In an order that does not change from run to run.
  const specs = readCommands((await connection.call('COMMAND')) as never);
  catalog = new Catalog(specs.sort((a, b) => (a.name < b.name ? -1 : 1)));
  random = seeded(20_260_101);
}

let random = seeded(0);
const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
const chance = (share: number) => random() < share;

const KEYS = ['a', 'a:1', 'app:x', 'app:y', 'b:2', 'r', 'rw:1', '', 'x\\y', '[z]', 'aa-b', 'A:1'];
const PATTERNS = [
  'a*',
  'app:*',
  '*',
  'b:?',
  '[ar]*',
  '[^a]*',
  'rw:[0-9]',
  'x\\\\y',
  'a',
  '*:1',
  '*a*b',
  '\\[z]',
  '[a-',
];
const CHANNELS = ['news', 'news.eu', 'other', 'n*', 'news.*'];
const WORDS = ['1', '2', '0', 'store', 'GET', 'by', 'limit', 'STREAMS', 'keys', 'w*', 'STOREDIST', 'u8', 'm', '-'];

function commandRule(): string {
  const sign = pick(['+', '+', '-']);
  if (chance(0.5)) return `${sign}@${pick([...ACL_CATEGORIES, 'all'])}`;
  const { name } = pick(catalog.entries);
  return chance(0.1) ? '+select|0' : sign + name;
}

function permissions(): string[] {
  const words = chance(0.3) ? ['+@all'] : [];
  while (chance(0.7)) words.push(commandRule());
  if (chance(0.3)) words.push('allkeys');
  else
    while (chance(0.7)) words.push(pick(['~', '%R~', '%W~', '%RW~']) + pick(PATTERNS.filter((each) => each !== '*')));
  if (chance(0.3)) words.push('allchannels');
  else while (chance(0.5)) words.push(`&${pick(CHANNELS)}`);
  return words;
}

function rules(): string {
  const words = ['on', 'nopass', ...permissions()];
  while (chance(0.25)) words.push(`(${permissions().join(' ')})`);
  return words.join(' ');
}

/** A call of a command with as many arguments as it takes: keys where keys belong, and anything besides. */
function call({ name, arity, spec }: CommandEntry): string[] {
  const words = name.split('|');
  const count = arity > 0 ? arity : -arity + Math.floor(random() * 4);
  while (words.length < count) words.push(chance(0.3) ? pick(WORDS) : pick([...KEYS, ...CHANNELS]));
  for (const { begin, find } of spec.keys) {
    if (begin.type !== 'index' || begin.index >= words.length) continue;
    if (find.type === 'keynum') words[begin.index + find.keynumidx] = pick(['1', '1', '2']);
    else words[begin.index] = pick(KEYS);
  }
  return words;
}

const frame = new RequestFrame();

function proxySays(user: User, entry: CommandEntry, words: string[]): string {
  const bytes = encode(words);
  if (frameRequest(bytes, 0, bytes.length, frame, DEFAULT_LIMITS) !== FRAME_COMPLETE) throw new Error('not a command');
  const denied = user.check(entry, bytes, frame);
  // DRYRUN does not run SORT, which looks at its options itself.
  if (denied === Denied.no || denied === Denied.sortBy || denied === Denied.sortGet) return 'OK';
  return denied === Denied.command ? 'command' : denied === Denied.key ? 'key' : 'channel';
}

async function redisSays(words: string[]): Promise<string> {
  const reply = await connection.call('ACL', 'DRYRUN', 'tested', ...words).catch((error: Error) => error.message);
  const text = String(reply);
  if (text === 'OK') return text;
  if (/no permissions to run/.test(text)) return 'command';
  if (/the '.*' key$/s.test(text)) return 'key';
  if (/the '.*' channel$/s.test(text)) return 'channel';
  throw new Error(`${words.join(' ')}: ${text}`);
}

/** Arguments that contradict themselves: then Redis looks at no key, and the proxy at those that it finds. */
async function contradicts(words: string[]): Promise<boolean> {
  const reply = await connection.call('COMMAND', 'GETKEYS', ...words).catch((error: Error) => error);
  return reply instanceof Error || (reply as unknown[]).length === 0;
}

describe.each(SOME_SERVERS)('what a user may do, and %s', (_, name) => {
  beforeAll(() => start(executableOf(name)), FETCH_TIMEOUT_MS);

  afterAll(async () => {
    connection?.close();
    await server?.stop();
  });

  it(`is what it says: ${USERS * CALLS} calls of all commands, by ${USERS} users with rules of every kind`, async () => {
    const different: string[] = [];
    const seen: Record<string, number> = {};
    const given = catalog.entries.filter(({ spec }) => !spec.container);
    for (let i = 0; i < USERS; i++) {
      const text = rules();
      await connection.call('ACL', 'SETUSER', 'tested', 'reset', ...text.split(/ (?![^(]*\))/));
      const settings = { name: 'tested', enabled: true, passwords: [], rules: text, readOnly: false, sourceCidrs: [] };
      const user = new User(settings, catalog);
      for (let j = 0; j < CALLS; j++) {
        const entry = pick(given);
        const words = call(entry);
        const [mine, theirs] = [proxySays(user, entry, words), await redisSays(words)];
        seen[theirs] = (seen[theirs] ?? 0) + 1;
        if (mine === theirs || (mine === 'key' && theirs === 'OK' && (await contradicts(words)))) continue;
        different.push(`${text} | ${words.join(' ')}: ${mine}, Redis: ${theirs}`);
      }
    }
    expect(different.slice(0, 20)).toEqual([]);
    // The calls were of all kinds.
    for (const kind of ['OK', 'command', 'key', 'channel']) expect(seen[kind], kind).toBeGreaterThan(50);
  });
});
