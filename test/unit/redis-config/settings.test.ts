import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { settingKey as scriptKey } from '../../../scripts/redis-settings.js';
import { OWNED_SETTINGS } from '../../../src/redis-config/owned.js';
import { GENERATED_FROM, SETTING_ROWS } from '../../../src/redis-config/settings.generated.js';
import {
  checkSetting,
  findSetting,
  isKnownEverywhere,
  isLive,
  settingKey,
} from '../../../src/redis-config/settings.js';
import { memoryBytes } from '../../../src/redis-config/values.js';
import { parseServerVersion } from '../../../src/redis-config/version.js';

const version = parseServerVersion;
const check = (name: string, value: string | string[], of = '8.0') =>
  checkSetting(name, Array.isArray(value) ? value : [value], version(of));
const names = [
  ...new Set(
    SETTING_ROWS.trim()
      .split('\n')
      .map((row) => row.split('|')[0] ?? ''),
  ),
];

describe('settings of redis.conf', () => {
  it('are the same to the program and to the script that asks servers', () => {
    expect(names.length).toBeGreaterThan(200);
    for (const name of [...names, 'slave-priority', 'lua-time-limit', 'primaryauth', 'min-slaves-to-write']) {
      expect(settingKey(name)).toBe(scriptKey(name));
    }
  });

  it('have one row for each server', () => {
    for (const server of Object.keys(GENERATED_FROM)) {
      const own = SETTING_ROWS.trim()
        .split('\n')
        .map((row) => row.split('|'))
        .filter(([, where = '']) => where === '*' || where.split(' ').includes(server))
        .map(([name]) => name);
      expect(new Set(own).size).toBe(own.length);
    }
  });

  it('are found by old words and new ones, under the name that the version has', () => {
    expect(findSetting('slave-priority', version('8.0'))?.name).toBe('replica-priority');
    expect(findSetting('lua-time-limit', version('7.0'))?.name).toBe('busy-reply-threshold');
    expect(findSetting('bgsave-cpulist', version('7.0'))?.name).toBe('bgsave_cpulist');
    expect(findSetting('bgsave_cpulist', version('8.0'))?.name).toBe('bgsave-cpulist');
  });

  it('are taken live or at a start', () => {
    expect(isLive('maxmemory', version('7.0'))).toBe(true);
    expect(isLive('tcp-backlog', version('7.0'))).toBe(false);
    expect(isLive('io-threads', version('7.0'))).toBe(false);
    expect(isLive('io-threads', version('valkey-9.1'))).toBe(true);
    expect(isLive('no-such-setting', version('7.0'))).toBe(false);
  });

  it('are those of the neighbours where a version was not asked', () => {
    expect(check('hide-user-data-from-log', 'yes', '7.4')).toBeUndefined();
    expect(check('sanitize-dump-payload', 'yes', 'valkey-8.0')).toBeUndefined();
    expect(check('cluster-databases', '2', 'valkey-8.0')).toBeUndefined();
    expect(check('maxmemory', '1gb', '9.9')).toBeUndefined();
    expect(check('maxmemory', '1gbb', '9.9')).toContain('not an amount of memory');
  });

  it('are known everywhere, or not', () => {
    expect(isKnownEverywhere('maxmemory')).toBe(true);
    expect(isKnownEverywhere('hide-user-data-from-log')).toBe(false);
    expect(isKnownEverywhere('bgsave-cpulist')).toBe(false);
  });

  it.each([
    ['maxmemory-polic', 'x', "unknown setting of redis.conf; did you mean 'maxmemory-policy'?"],
    ['Maxclients', '1', "did you mean 'maxclients'?"],
    ['completely-made-up-words', '1', 'unknown setting of redis.conf'],
    ['maxmemory', '3 gb', "'3 gb' is not an amount of memory such as 512mb or 4gb"],
    ['maxmemory-clients', 'many', 'or a percentage such as 5%'],
    ['maxmemory-policy', 'allkeys-lr', "did you mean 'allkeys-lru'?"],
    ['appendonly', 'on', "'on' is not yes or no"],
    ['timeout', '5s', "'5s' is not a whole number"],
    ['timeout', '5m', 'this setting takes no units'],
    ['timeout', '-1', "'-1' is not between 0 and 2147483647"],
    ['proto-max-bulk-len', '1', "'1' is less than 1048576"],
    ['repl-backlog-size', '0', 'is less than 1'],
    ['hash-max-listpack-entries', '99999999999999999999', 'is too large'],
    ['save', '3600', 'pairs of seconds and changes'],
    ['loglevel', 'chatty', 'none of debug, verbose, notice, warning'],
    ['port', '6380', 'is set by forge; say it in nodes'],
    ['masterauth', 'hunter2', 'is set by forge'],
    ['primaryauth', 'hunter2', 'is set by forge'],
    ['slaveof', 'a 1', 'is set by forge'],
    ['rename-command', 'FLUSHALL ""', 'limit commands by rights'],
    ['tls-cert-file', '/x', 'forge gen-certs'],
    ['cluster-announce-ip', '1.2.3.4', 'announce of the node'],
    ['syslog-ident', 'a\nrequirepass x', 'holds a control character'],
    ['syslog-ident', 'x'.repeat(5000), 'is longer than 4096 characters'],
    ['commandlog-slow-execution-max-len', '5', 'Redis 8.0 has no such setting (Valkey 9.1 has it)'],
    ['io-threads-do-reads', 'yes', 'Redis 8.0 has no such setting (Redis 7.0 has it)'],
  ])('tell what is wrong: %s %s', (name, value, expected) => {
    expect(check(name, value)).toContain(expected);
    expect(check(name, value)).not.toContain('hunter2');
  });

  it('have several lines only where Redis takes several', () => {
    expect(check('save', ['3600 1', '300 100'])).toBeUndefined();
    expect(check('client-output-buffer-limit', ['normal 0 0 0', 'pubsub 32mb 8mb 60'])).toBeUndefined();
    expect(check('maxclients', ['1', '2'])).toBe('takes one value, not a list');
    expect(check('maxclients', [])).toBe('has no value');
  });

  it('of modules are left to Redis 8 itself', () => {
    expect(check('search-timeout', '500', '8.0')).toBeUndefined();
    expect(check('search-timeout', '500', '7.0')).toContain('unknown setting');
    expect(check('search-timeout', '500', 'valkey-9.1')).toContain('unknown setting');
  });

  it('that forge owns are never suggested', () => {
    expect(check('tls-cert-fil', 'x')).not.toContain("'tls-cert-file'");
    for (const name of OWNED_SETTINGS) expect(check(name, 'x')).toContain('is set by forge');
  });

  it('never throw, whatever is said', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.constantFrom(...names), fc.string()),
        fc.array(fc.string(), { maxLength: 3 }),
        (name, values) => {
          checkSetting(name, values, version('8.0'));
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('amounts of memory', () => {
  it.each([
    ['0', 0n],
    ['1k', 1000n],
    ['1kb', 1024n],
    ['2Mb', 2_097_152n],
    ['3g', 3_000_000_000n],
    ['3GB', 3_221_225_472n],
    ['5b', 5n],
  ])('are Redis’s own: %s', (text, bytes) => {
    expect(memoryBytes(text)).toBe(bytes);
  });

  it.each(['', '1tb', '1.5gb', '-1', 'gb', '1 gb', '1gbs'])('are refused: %j', (text) => {
    expect(memoryBytes(text)).toBeUndefined();
  });
});
