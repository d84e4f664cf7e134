#!/usr/bin/env node
// Generates src/redis-config/settings.generated.ts: the settings of redis.conf that servers of each kind know.
//
//   node scripts/generate-redis-settings.js [--check]
//
// Servers: the installed redis-server (7.0), and those of scripts/newer-servers.js (Redis 8.0 and 8.4 or newer, Valkey 9).
// --check writes nothing and fails when the committed file differs.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { newerServers, redisWithAtomicMigration } from './newer-servers.js';
import { readSettings, renderSettings } from './redis-settings.js';
import { parseInfo, withServer } from './with-server.js';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const target = path.join(root, 'src', 'redis-config', 'settings.generated.ts');
const log = (line) => console.error(line);

try {
  const newer = newerServers({ log });
  const executables = ['redis-server', newer.redis8, redisWithAtomicMigration({ log }), newer.valkey9];
  const versions = {};
  const tables = {};
  for (const executable of executables) {
    await withServer(executable, async (redis) => {
      const info = parseInfo(await redis.call('INFO', 'server'));
      const version = info.valkey_version ?? info.redis_version;
      const server = `${info.valkey_version ? 'valkey-' : ''}${version.split('.').slice(0, 2).join('.')}`;
      log(`asking ${server}`);
      versions[server] = version;
      tables[server] = await readSettings(redis, executable);
    });
  }
  const text = renderSettings(versions, tables);
  if (process.argv.includes('--check')) {
    if (text !== readFileSync(target, 'utf8')) throw new Error(`${path.relative(root, target)} is not current`);
  } else {
    writeFileSync(target, text);
  }
  log(
    Object.entries(tables)
      .map(([server, rows]) => `${server}: ${rows.length} settings`)
      .join(', '),
  );
} catch (error) {
  console.error(`generate-redis-settings: ${error.message}`);
  process.exitCode = 1;
}
