import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type CommandDescription,
  keyPositions,
  loosestArity,
  mergeCommands,
  PRECEDENCE,
  parseCommands,
  renderTable,
  type ServerName,
} from '../../scripts/command-metadata.js';
import { canHaveNewerServers, newerServers } from '../../scripts/newer-servers.js';
import { parseInfo, withServer } from '../../scripts/with-server.js';
import { CommandFlag, type CommandSpec, Server } from '../../src/proxy/engine/commands/spec.js';
import { COMMANDS, GENERATED_FROM } from '../../src/proxy/engine/commands/table.generated.js';
import { argumentLists, keysByTable } from '../support/key-specs.js';

const FETCH_TIMEOUT_MS = 10 * 60_000;
const TEST_TIMEOUT_MS = 30_000;

const INSTALLED_AND_NEWER = [
  ['the installed redis-server', 'installed'],
  ['Redis 8', 'redis8'],
  ['Valkey 9', 'valkey9'],
] as const;

const table = new Map(COMMANDS.map((command) => [command.name, command]));
const minor = (version: string) => version.split('.').slice(0, 2).join('.');

/** Flags that routing depends on: they must be the same on every server, whoever's entry the table took. */
const ROUTING_FLAGS = ['write', 'readonly', 'movablekeys', 'pubsub', 'admin', 'no_auth'] as const;

// Away from Debian only the installed server can be asked. In CI a missing one is a failure.
const wanted = process.env['CI'] || canHaveNewerServers() ? INSTALLED_AND_NEWER : INSTALLED_AND_NEWER.slice(0, 1);

let executables: Record<string, string> = { installed: 'redis-server' };
beforeAll(() => {
  if (wanted.length > 1) executables = { ...executables, ...newerServers() };
}, FETCH_TIMEOUT_MS);

interface Live {
  version: string;
  server: ServerName;
  commands: Map<string, CommandDescription>;
}

async function describeServer(redis: Redis): Promise<Live> {
  const info = parseInfo((await redis.call('INFO', 'server')) as string);
  const version = info['valkey_version'] ?? info['redis_version'] ?? '';
  const server = info['valkey_version'] ? 'valkey9' : version.startsWith('7.') ? 'redis7' : 'redis8';
  return { version, server, commands: parseCommands(await redis.call('COMMAND')) };
}

/** True when the table was generated from this very release line; a newer one may know commands that it lacks. */
const sameRelease = ({ server, version }: Live) => minor(version) === minor(GENERATED_FROM[server]);

describe.each(wanted)('the command table beside %s', (_, name) => {
  it('agrees with what the server says of its commands', { timeout: TEST_TIMEOUT_MS }, async () => {
    const live = await withServer(executables[name]!, describeServer);
    const problems: string[] = [];
    for (const command of live.commands.values()) {
      const entry = table.get(command.name);
      if (entry === undefined) {
        if (sameRelease(live)) problems.push(`${command.name} is missing`);
      } else {
        problems.push(...disagreements(entry, command, sameRelease(live) ? Server[live.server] : 0));
      }
    }
    expect(problems).toEqual([]);
  });

  it('finds the keys that COMMAND GETKEYS finds', { timeout: TEST_TIMEOUT_MS }, async () => {
    const checked = await withServer(executables[name]!, async (redis) => {
      const { commands } = await describeServer(redis);
      const lists = [...commands.values()].flatMap(({ name: command, arity }) => {
        const entry = table.get(command);
        return entry === undefined ? [] : argumentLists(entry, arity).map((list) => ({ entry, list }));
      });
      const replies = await redis.pipeline(lists.map(({ list }) => ['call', 'COMMAND', 'GETKEYS', ...list])).exec();
      const wrong = lists
        .map(({ entry, list }, i) => ({
          command: list.join(' '),
          table: keysByTable(entry, list),
          server: replies![i]![0]?.message ?? replies![i]![1],
        }))
        .filter(({ table: ours, server }) => JSON.stringify(ours) !== JSON.stringify(server));
      expect(wrong).toEqual([]);
      return new Set(lists.map(({ entry }) => entry.name)).size;
    });
    expect(checked).toBeGreaterThan(180);
  });
});

describe('the committed command table', () => {
  it('is what the generator makes of the servers that it names', { timeout: TEST_TIMEOUT_MS }, async () => {
    const lives = await Promise.all(wanted.map(([, name]) => withServer(executables[name]!, describeServer)));
    // Another release (sid moves on) makes the table due for a new run of the generator, not wrong: see above.
    if (lives.length < PRECEDENCE.length || !lives.every(sameRelease)) return;
    const merged = mergeCommands(Object.fromEntries(lives.map(({ server, commands }) => [server, commands])));
    const file = new URL('../../src/proxy/engine/commands/table.generated.ts', import.meta.url);
    expect(renderTable(merged, GENERATED_FROM)).toBe(readFileSync(file, 'utf8'));
  });
});

function disagreements(entry: CommandSpec, command: CommandDescription, server: number): string[] {
  const { name } = entry;
  const flag = (word: keyof typeof CommandFlag) => (entry.flags & CommandFlag[word]) !== 0;
  return [
    (entry.servers & server) === server ? '' : `${name}: the server knows it, the table says that it does not`,
    loosestArity([entry.arity, command.arity]) === entry.arity ? '' : `${name}: arity ${command.arity} is refused`,
    keyPositions(entry.keys) === keyPositions(command.keys) ? '' : `${name}: key positions differ`,
    entry.container === command.container ? '' : `${name}: container differs`,
    ...ROUTING_FLAGS.map((word) =>
      flag(word) === command.flags.includes(word) ? '' : `${name}: flag ${word} differs`,
    ),
  ].filter(Boolean);
}
