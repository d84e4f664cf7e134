#!/usr/bin/env node
// Generates src/proxy/engine/commands/table.generated.ts from the COMMAND metadata of Redis 7, Redis 8 and Valkey 9.
//
//   node scripts/generate-commands.js [--check] [--redis7 SERVER] [--redis8 SERVER] [--valkey9 SERVER]
//
// SERVER is HOST:PORT of a running server, or the path of a server's executable, which is then started on a free port
// and stopped again. Defaults: the installed redis-server, and those of scripts/newer-servers.js.
// --check writes nothing and fails when the committed file differs.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { mergeCommands, parseCommands, renderTable } from './command-metadata.js';
import { newerServers } from './newer-servers.js';
import { parseInfo, withServer } from './with-server.js';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const target = path.join(root, 'src', 'proxy', 'engine', 'commands', 'table.generated.ts');

/** What a server must say of itself to be taken for one of the three: a wrong one would spoil the table unnoticed. */
const EXPECTED = {
  redis7: { name: 'Redis 7', is: (info) => !info.valkey_version && info.redis_version?.startsWith('7.') },
  redis8: { name: 'Redis 8', is: (info) => !info.valkey_version && info.redis_version?.startsWith('8.') },
  valkey9: { name: 'Valkey 9', is: (info) => info.valkey_version?.startsWith('9.') },
};

const { values } = parseArgs({
  options: {
    check: { type: 'boolean', default: false },
    redis7: { type: 'string', default: 'redis-server' },
    redis8: { type: 'string' },
    valkey9: { type: 'string' },
  },
});

try {
  const newer = values.redis8 && values.valkey9 ? {} : newerServers({ log: (line) => console.error(line) });
  const sources = {};
  const versions = {};
  for (const [server, expected] of Object.entries(EXPECTED)) {
    const { info, reply } = await withServer(values[server] ?? newer[server], async (redis) => ({
      info: parseInfo(await redis.call('INFO', 'server')),
      reply: await redis.call('COMMAND'),
    }));
    if (!expected.is(info)) throw new Error(`${values[server] ?? newer[server]} is not ${expected.name}`);
    versions[server] = info.valkey_version ?? info.redis_version;
    sources[server] = parseCommands(reply);
  }
  const commands = mergeCommands(sources);
  const text = renderTable(commands, versions);
  if (values.check) {
    if (text !== readFileSync(target, 'utf8')) throw new Error(`${path.relative(root, target)} is not current`);
  } else {
    writeFileSync(target, text);
  }
  console.error(
    `${commands.length} commands from ${Object.entries(versions)
      .map((pair) => pair.join(' '))
      .join(', ')}`,
  );
} catch (error) {
  console.error(`generate-commands: ${error.message}`);
  process.exit(1);
}
