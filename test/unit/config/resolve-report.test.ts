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
});
