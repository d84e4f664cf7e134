import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadSettings, type TargetFlags } from '../../../src/config/resolve.js';
import { settingLines } from '../../../src/config/resolve-report.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-report-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const SECRET = 'hunter2';

async function lines(environment: NodeJS.ProcessEnv, flags: TargetFlags = {}, name?: string): Promise<string[]> {
  const settings = await loadSettings({ directory, environment, name });
  const found = settingLines(flags, settings, environment);
  expect(JSON.stringify(found)).not.toContain(SECRET);
  return found.map(({ setting, value, from }) => `${setting} | ${value.replaceAll(`${directory}/`, '')} | ${from}`);
}

describe('the report of settings', () => {
  it('says the defaults where nothing is set', async () => {
    expect(await lines({})).toEqual([
      'seeds | 127.0.0.1:6379 | default',
      'password | not set | default',
      'tls | no | default',
    ]);
  });

  it('says of everything where it comes from, and of secrets only that they are set', async () => {
    await writeFile(
      path.join(directory, 'forge.yaml'),
      `
cluster: orders
nodes: [10.0.0.1:6379@a, { host: 10.0.0.2, role: replica }]
credentials: { username: forge, password: { environment: ORDERS_PASSWORD } }
tls: { ca: ca.crt, server_name: redis.internal }
replicas_per_master: 2
proxy: { config: proxy.yaml, endpoint: p:6379 }
backup: { bucket: s3://b-1, secret_access_key: { environment: S3_KEY }, access_key_id: { filename: id } }
`,
    );
    await writeFile(path.join(directory, '.env'), `ORDERS_PASSWORD=${SECRET}\nREDIS_TLS_SNI=env-file.internal\n`);
    expect(await lines({})).toEqual([
      'forge.yaml | forge.yaml | file',
      '.env | .env | file',
      'cluster | orders | forge.yaml',
      'seeds | 10.0.0.1:6379,10.0.0.2:6379 | forge.yaml',
      'username | forge | forge.yaml',
      'password | in ORDERS_PASSWORD, set | forge.yaml',
      'tls | yes | forge.yaml',
      'tls.ca | ca.crt | forge.yaml',
      'tls.server_name | env-file.internal | REDIS_TLS_SNI (.env)',
      'nodes[0] | 10.0.0.1:6379, zone a | forge.yaml',
      'nodes[1] | 10.0.0.2:6379, replica | forge.yaml',
      'replicas_per_master | 2 | forge.yaml',
      'proxy.config | proxy.yaml | forge.yaml',
      'proxy.endpoint | p:6379 | forge.yaml',
      'backup.bucket | s3://b-1 | forge.yaml',
      'backup.access_key_id | in id | forge.yaml',
      'backup.secret_access_key | in S3_KEY, not set | forge.yaml',
    ]);
    const environment = { CLUSTER_SEED: 'e:1', REDIS_REQUIREPASS: SECRET, REDIS_TLS: 'no' };
    expect((await lines(environment, { username: 'me', cacert: '/flag.crt' })).slice(3, 8)).toEqual([
      'seeds | e:1 | CLUSTER_SEED',
      'username | me | --username',
      'password | set | REDIS_REQUIREPASS',
      'tls | yes | a TLS file is named',
      'tls.ca | /flag.crt | --cacert',
    ]);
    expect((await lines(environment, {}, 'orders')).slice(2, 7)).toEqual([
      'cluster | orders | --name or FORGE_CLUSTER',
      'seeds | 10.0.0.1:6379,10.0.0.2:6379 | forge.yaml',
      'username | forge | forge.yaml',
      'password | in ORDERS_PASSWORD, set | forge.yaml',
      'tls | yes | forge.yaml',
    ]);
  });

  it('says what nodes are deployed as, under the names that their version has, and where each setting comes from', async () => {
    await writeFile(
      path.join(directory, 'forge.yaml'),
      `
cluster: orders
nodes: [10.0.0.1:6379]
hosts: { a: { docker: 'ssh://ops@10.0.0.1' } }
redis:
  version: '7.0'
  memory: 1gb
  users: { default: off, admin: { password: { environment: ADMIN } }, further: { b: { password: { filename: b }, rules: +@read } } }
  settings: { slave-priority: 7, hz: 20 }
`,
    );
    await writeFile(path.join(directory, '.env'), `ADMIN=${SECRET}\nREDIS_LOGLEVEL=debug\n`);
    const found = await lines({ REDIS_MAX_CLIENTS: '300' });
    expect(found.filter((line) => /^(?:redis|hosts)\./.test(line))).toEqual([
      'redis.version | 7.0 | forge.yaml',
      'redis.image | redisforge/redis:7.0 | default',
      'redis.network | host | default',
      'redis.memory | 1073741824 | forge.yaml',
      'redis.settings.replica-priority | 7 | forge.yaml',
      'redis.settings.hz | 20 | forge.yaml',
      'redis.settings.loglevel | debug | REDIS_LOGLEVEL (.env)',
      'redis.settings.maxclients | 300 | REDIS_MAX_CLIENTS',
      'redis.settings.maxmemory | 805306368 | default',
      'redis.users.admin | admin, password ADMIN, set | forge.yaml',
      'redis.users.app | app_user, password derived | default',
      'redis.users.monitor | monitor_user, password derived | default',
      'redis.users.replication | replication_user, password derived | default',
      'redis.users.further.b | b, password b | forge.yaml',
      'hosts.a | ssh://ops@10.0.0.1, 10.0.0.1 | forge.yaml',
    ]);
  });
});
