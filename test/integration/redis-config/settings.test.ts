import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { settingKey as scriptKey } from '../../../scripts/redis-settings.js';
import { withServer } from '../../../scripts/with-server.js';
import { ownedPlace } from '../../../src/redis-config/owned.js';
import { checkSetting, findSetting, settingKey } from '../../../src/redis-config/settings.js';
import type { ServerVersion } from '../../../src/redis-config/version.js';
import { executableOf, FETCH_TIMEOUT_MS, SERVERS } from '../../support/servers.js';
import { versionOf } from './support.js';

/** Values that show where a kind of value ends; right or wrong is what the server says. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  appendonly: ['yes', 'no', 'YES', 'on', '1', ''],
  appendfsync: ['everysec', 'EverySec', 'never', 'always'],
  'maxmemory-policy': ['allkeys-lru', 'allkeys', 'ALLKEYS-LFU', 'noeviction'],
  maxmemory: ['0', '3gb', '3GB', '3g', '100', '1.5gb', '3tb', '-1', '50%', '3 gb'],
  'maxmemory-clients': ['0', '5%', '100%', '1gb', '5 %', 'x%'],
  maxclients: ['1', '0', '10000', '4294967296', '-1', '1k'],
  timeout: ['0', '-1', '2147483647', '2147483648', '3.5', '3s'],
  'slowlog-log-slower-than': ['-1', '-2', '0', '10000'],
  'io-threads': ['1', '0', '4', '1000'],
  'list-max-listpack-size': ['-2', '128', 'x'],
  'active-expire-effort': ['1', '10', '11'],
  save: ['3600 1', '3600 1 300 100', '3600', '0 1', '-1 1', 'x 1', '""', '3600 -1'],
  'client-output-buffer-limit': [
    'normal 0 0 0',
    'slave 1gb 64mb 60',
    'replica 1gb 64mb',
    'pubsub 1 2 -1',
    'other 0 0 0',
  ],
  'notify-keyspace-events': ['KEA', 'Kx', 'Kq!', '""', 'AKE'],
  'oom-score-adj-values': ['0 200 800', '0 200', '-2000 0 2000', '0 0 2001', 'a b c'],
  'latency-tracking-info-percentiles': ['50 99 99.9', '101', '-1', '""', 'x'],
  'shutdown-on-sigterm': ['default', 'save', 'save force', 'sometimes', 'nosave now'],
  'proto-max-bulk-len': ['1mb', '1', '512mb'],
  loglevel: ['notice', 'chatty', 'nothing'],
  'tls-protocols': ['TLSv1.3'],
  'hash-max-ziplist-entries': ['512', 'x'],
  'slave-priority': ['10', '-1'],
};

describe.each(SERVERS)('settings of redis.conf on %s', (_, server) => {
  let executable = '';
  let version: ServerVersion;
  let folder = '';
  beforeAll(() => {
    executable = executableOf(server);
    version = versionOf(executable);
    folder = mkdtempSync(path.join(os.tmpdir(), 'forge-settings-'));
  }, FETCH_TIMEOUT_MS);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** Whether the server reads the line; what comes after it, it never does. */
  function reads(line: string): boolean {
    const input = `${line}\nport none\n`;
    const { stdout, stderr } = spawnSync(executable, ['-'], { cwd: folder, input, encoding: 'utf8', timeout: 10_000 });
    const refused = `${stdout}\n${stderr}`.split('\n').find((each) => each.startsWith('>>>'));
    if (refused === undefined) throw new Error(`${executable} says nothing about ${line}: ${stdout}${stderr}`);
    return refused.includes("'port none'");
  }

  it('are known, each with whether it is taken live', async () => {
    const wrong: string[] = [];
    await withServer(executable, async (redis) => {
      const flat = (await redis.call('CONFIG', 'GET', '*')) as string[];
      const names = flat.filter((_name, index) => index % 2 === 0);
      expect(names.length).toBeGreaterThan(150);
      for (const name of names) {
        expect(settingKey(name)).toBe(scriptKey(name));
        const row = findSetting(name, version);
        if (row === undefined) {
          wrong.push(`${name} is not known`);
          continue;
        }
        const value = flat[flat.indexOf(name) + 1] ?? '';
        const live = await redis.call('CONFIG', 'SET', name, value).then(
          () => true,
          (error: Error) => !/can't set (immutable|protected)/.test(error.message),
        );
        if (live !== row.live) wrong.push(`${name} is ${live ? '' : 'not '}taken live`);
      }
    });
    expect(wrong).toEqual([]);
  });

  it.each(Object.keys(VALUES))('are judged as the server itself judges them: %s', (name) => {
    expect(ownedPlace(settingKey(name))).toBeUndefined();
    for (const value of VALUES[name] ?? []) {
      const says = `${name} ${value}: ${reads(`${name} ${value === '' ? '""' : value}`) ? 'read' : 'refused'}`;
      const judged = `${name} ${value}: ${checkSetting(name, [value], version) === undefined ? 'read' : 'refused'}`;
      expect(judged).toBe(says);
    }
  });

  it('are refused where they are not known', () => {
    for (const name of ['maxmemory-polic', 'io-thread', 'no-such-setting']) {
      expect(checkSetting(name, ['1'], version)).toMatch(/unknown setting/);
    }
  });
});
