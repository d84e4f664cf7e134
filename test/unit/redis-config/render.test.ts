import { describe, expect, it } from 'vitest';
import { aclHash, renderAcl } from '../../../src/redis-config/acl.js';
import { chooseParts, type RedisConfOptions, renderRedisConf } from '../../../src/redis-config/render.js';
import { findSetting } from '../../../src/redis-config/settings.js';
import { userRules } from '../../../src/redis-config/users.js';
import { parseServerVersion } from '../../../src/redis-config/version.js';
import { readText } from '../../support/repository.js';

const template = readText('templates/redis.conf');
const base: RedisConfOptions = {
  version: parseServerVersion('8.0'),
  bind: '* -::*',
  port: 6379,
  busPort: 16_379,
  files: { directory: '/data', auth: '/conf/auth.conf', acl: '/conf/users.acl', log: '' },
  announce: {},
  nodeTimeoutMs: 5_000,
};
const lines = (options: Partial<RedisConfOptions> = {}) =>
  renderRedisConf(template, { ...base, ...options }).split('\n');
const tls = { certificate: '/c/s.crt', key: '/c/s.key', authority: '/c/ca.crt', authClients: 'optional' as const };

describe('redis.conf', () => {
  it('is plain where there is no TLS, and the other way round', () => {
    expect(lines()).toContain('port 6379');
    expect(lines().filter((line) => line.startsWith('tls-'))).toEqual([]);
    const secured = lines({ tls });
    for (const line of [
      'port 0',
      'tls-port 6379',
      'tls-cluster yes',
      'tls-replication yes',
      'tls-cert-file "/c/s.crt"',
    ]) {
      expect(secured).toContain(line);
    }
    expect(secured).not.toContain('port 6379');
  });

  it('announces what the node cannot find by itself, and nothing else', () => {
    const announced = (options: Partial<RedisConfOptions>) =>
      lines(options).filter((line) => /^cluster-(announce|preferred)/.test(line));
    expect(announced({})).toEqual([]);
    expect(announced({ announce: { ip: '10.0.0.1', port: 6379, busPort: 16_379 } })).toEqual([
      'cluster-announce-ip 10.0.0.1',
    ]);
    const nat = { announce: { ip: '10.0.0.1', hostname: 'a.b', port: 7000, busPort: 17_000 } };
    expect(announced({ ...nat, preferredEndpoint: 'hostname' })).toEqual([
      'cluster-announce-ip 10.0.0.1',
      'cluster-announce-hostname a.b',
      'cluster-announce-port 7000',
      'cluster-announce-bus-port 17000',
      'cluster-preferred-endpoint-type hostname',
    ]);
    expect(announced({ ...nat, tls })).toContain('cluster-announce-tls-port 7000');
    expect(announced({ ...nat, tls })).not.toContain('cluster-announce-port 7000');
  });

  it('has a socket and a process file only where they are wanted', () => {
    expect(lines().filter((line) => /^(?:unixsocket|pidfile)/.test(line))).toEqual([]);
    const files = { ...base.files, unixSocket: '/data/s', pid: '/data/p' };
    expect(lines({ files })).toEqual(
      expect.arrayContaining(['unixsocket "/data/s"', 'unixsocketperm 700', 'pidfile "/data/p"']),
    );
  });

  it('leaves out what a version does not know', () => {
    expect(lines()).toContain('hide-user-data-from-log yes');
    expect(lines({ version: parseServerVersion('7.0') })).not.toContain('hide-user-data-from-log yes');
    expect(lines({ version: undefined })).not.toContain('hide-user-data-from-log yes');
  });

  it.each(['7.0', '8.0', '8.6', 'valkey-9.1'])('has only settings that %s knows', (text) => {
    const version = parseServerVersion(text);
    const files = { ...base.files, unixSocket: '/s', pid: '/p' };
    const nat = { ip: '10.0.0.1', hostname: 'a.b', port: 7000, busPort: 17_000 };
    for (const line of lines({ version, tls, files, announce: nat })) {
      const name = /^([a-z][a-z0-9_-]*)\s/.exec(line)?.[1];
      if (name !== undefined && name !== 'include')
        expect([name, findSetting(name, version)?.name]).toEqual([name, name]);
    }
  });

  it('has settings in place of the template’s lines, once, and further ones at the end', () => {
    const text = lines({
      settings: {
        maxclients: ['77'],
        save: ['3600 1', '300 100'],
        'replica-lazy-flush': ['no'],
        'proc-title-template': ['{title} "x" #1'],
        'notify-keyspace-events': [''],
        hz: ['20'],
      },
    });
    expect(text.filter((line) => line.startsWith('maxclients'))).toEqual(['maxclients 77']);
    expect(text.filter((line) => line.startsWith('save'))).toEqual(['save 3600 1', 'save 300 100']);
    expect(text.indexOf('save 3600 1')).toBeLessThan(text.indexOf('# --- replication'));
    expect(text.filter((line) => /lazy-flush/.test(line))).toEqual(['replica-lazy-flush no']);
    expect(text.slice(-5)).toEqual([
      '# --- set in forge.yaml, the environment or by --set',
      'proc-title-template "{title} \\"x\\" #1"',
      'notify-keyspace-events ""',
      'hz 20',
      '',
    ]);
  });

  it('takes old words for a line that the template has by a new one', () => {
    const text = lines({ settings: { 'slave-read-only': ['no'] } });
    expect(text.filter((line) => /read-only/.test(line))).toEqual(['replica-read-only no']);
  });

  it('keeps the template’s limits for classes of clients that are not named', () => {
    const text = lines({ settings: { 'client-output-buffer-limit': ['pubsub 64mb 16mb 90'] } });
    expect(text.filter((line) => line.startsWith('client-output'))).toEqual([
      'client-output-buffer-limit normal 0 0 0',
      'client-output-buffer-limit replica 256mb 64mb 60',
      'client-output-buffer-limit pubsub 32mb 8mb 60',
      'client-output-buffer-limit pubsub 64mb 16mb 90',
    ]);
  });

  it('never has a placeholder left', () => {
    expect(lines({ tls }).join('\n')).not.toMatch(/\{\{|\}\}/);
    expect(lines().join('\n')).not.toMatch(/undefined/);
  });
});

describe('parts of a template', () => {
  it.each([
    ['{{#if a}}\n{{#if b}}\n', 'inside'],
    ['{{/if}}\n', 'without'],
    ['{{#if a}}\nx\n', 'not closed'],
  ])('have a beginning and an end: %j', (text, message) => {
    expect(() => chooseParts(text, new Set())).toThrow(message);
  });
});

describe('the ACL file', () => {
  const user = { name: 'app', password: 'secret', rules: '+@read' };

  it('switches the default user off unless it is one of the users', () => {
    expect(renderAcl([user])).toMatch(/^user default off /);
    const text = renderAcl([user, { name: 'default', password: 'other', rules: '~* +@all' }]);
    expect(text).not.toContain('default off');
    expect(text).toContain(`user default on sanitize-payload #${aclHash('other')} ~* +@all`);
    expect(text).not.toMatch(/secret|other /);
  });

  it('refuses rules that would begin a user of their own', () => {
    expect(() => renderAcl([{ ...user, rules: '+@read\nuser evil on nopass' }])).toThrow('more than one line');
  });
});

describe('rules of users', () => {
  const roles = ['admin', 'app', 'readonly', 'monitor', 'replication', 'default'] as const;

  it('name commands of later servers only to those', () => {
    expect(userRules('monitor', parseServerVersion('8.0'))).not.toContain('commandlog');
    expect(userRules('monitor', parseServerVersion('valkey-8.1'))).toContain('+commandlog|get');
    expect(userRules('replication', parseServerVersion('8.6'))).not.toContain('@write');
    expect(userRules('replication', parseServerVersion('valkey-8.1'))).not.toContain('@write');
    expect(userRules('replication', parseServerVersion('valkey-9.0'))).toContain('+cluster|syncslots');
  });

  it.each(roles)('hold no password and are one line: %s', (role) => {
    const rules = userRules(role, parseServerVersion('valkey-9.1'));
    expect(rules).not.toMatch(/[\n#><]|nopass/);
  });
});
