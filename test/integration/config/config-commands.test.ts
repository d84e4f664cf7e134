import { execFileSync } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import ConfigCheck from '../../../src/commands/config/check.js';
import ConfigShow from '../../../src/commands/config/show.js';
import type { ForgeError } from '../../../src/errors.js';
import { serverVersionOf } from '../../../src/redis-config/version.js';
import { type Authority, inDays, makeAuthority } from '../../support/certificates.js';
import { ROOT } from '../../support/repository.js';

const SECRET = 'hunter2 of the test';
let directory: string;
let authority: Authority;
beforeAll(async () => {
  authority = await makeAuthority();
});
afterAll(() => authority.remove());
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-config-'));
  for (const name of ['CLUSTER_SEED', 'CLUSTER_NODES', 'REDIS_REQUIREPASS', 'REDISCLI_AUTH', 'FORGE_CLUSTER']) {
    vi.stubEnv(name, '');
  }
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await rm(directory, { recursive: true, force: true });
});

const write = async (name: string, text: string, mode = 0o600) => {
  await writeFile(path.join(directory, name), text);
  await chmod(path.join(directory, name), mode);
};

async function run(command: typeof ConfigCheck | typeof ConfigShow, ...argv: string[]) {
  const caught = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      caught[name] += String(text);
      return true;
    });
  }
  const config = argv.includes('--config') ? [] : ['--config', path.join(directory, 'forge.yaml')];
  let result: unknown;
  let error: ForgeError | undefined;
  try {
    result =
      command === ConfigCheck
        ? await ConfigCheck.run([...config, ...argv], ROOT)
        : await ConfigShow.run([...config, ...argv], ROOT);
  } catch (thrown) {
    error = thrown as ForgeError;
  } finally {
    vi.restoreAllMocks();
  }
  expect(caught.stdout + caught.stderr + JSON.stringify(error ?? '') + (error?.message ?? '')).not.toContain(SECRET);
  return { ...caught, result, error };
}

describe('forge config check', () => {
  it('finds nothing wrong with what is right', async () => {
    await write(
      'forge.yaml',
      `cluster: orders
nodes: [127.0.0.1:7001@a, localhost:7002@b, 127.0.0.1:7003@c]
credentials: { password: { filename: secret } }
tls: { ca: ${authority.ca}, certificate: ${authority.server.certificate}, key: ${authority.server.key} }
proxy: { config: proxy.yaml }
`,
    );
    await write('secret', `${SECRET}\n`);
    await write('.env', `REDIS_PORT=7001\n`);
    await write(
      'proxy.yaml',
      'listeners: [{ address: 127.0.0.1:0, cluster: main }]\nclusters: [{ name: main, endpoints: [127.0.0.1:7003] }]\n',
    );
    const { result, stdout, stderr, error } = await run(ConfigCheck);
    expect(error).toBeUndefined();
    expect(result).toEqual({
      forgeFile: path.join(directory, 'forge.yaml'),
      envFile: path.join(directory, '.env'),
      clusters: ['orders'],
      warnings: [],
    });
    expect(stdout).toMatch(/forge\.yaml and .*\.env are right\.\n$/);
    expect(stderr).toBe('');
  });

  it('tells every fault of several clusters, and what may become one', async () => {
    const old = await authority.issue({ name: 'old', from: inDays(-20), until: inDays(-10) });
    const soon = await authority.issue({ name: 'soon', until: inDays(10) });
    await write(
      'forge.yaml',
      `clusters:
  a:
    nodes: [127.0.0.1:7001@z, 127.0.0.1:7002, nowhere.invalid:7003]
    credentials: { password: { filename: absent } }
    proxy: { config: proxy.yaml }
    backup: { access_key_id: { environment: FORGE_TEST_ABSENT } }
  b:
    nodes: [{ host: 127.0.0.1, role: master }, { host: 127.0.0.2, role: replica }]
    tls: { ca: ${old.certificate} }
    credentials: { password: { environment: OF_EXAMPLE } }
  c:
    tls: { ca: ${soon.certificate} }
    credentials: { password: { filename: open } }
`,
    );
    await write('.env', `OF_EXAMPLE=CHANGE_ME_STRONG_PASSWORD_HERE\nAPP=a b\n`, 0o644);
    await write('open', SECRET, 0o644);
    await write('proxy.yaml', 'listners: []\n');
    const { error, stderr } = await run(ConfigCheck);
    expect(error).toMatchObject({ kind: 'configuration', exitCode: 3 });
    const lines = error?.message.split('\n') ?? [];
    for (const expected of [
      /^a: credentials: The password file .*absent cannot be read/,
      /^a: proxy\.config: .*proxy\.yaml:1:1: listners: unknown setting; did you mean 'listeners'/,
      /^a: backup\.access_key_id: FORGE_TEST_ABSENT holds nothing/,
      /^b: tls\.ca: .*old\.crt has expired/,
      /^b: password: OF_EXAMPLE still holds the example's text/,
    ]) {
      expect(
        lines.some((line) => expected.test(line)),
        `${expected} in ${error?.message}`,
      ).toBe(true);
    }
    for (const expected of [
      'a: nodes: no zone is told for 127.0.0.1:7002, nowhere.invalid:7003',
      'a: nodes: the name does not resolve here: nowhere.invalid',
      'b: nodes: a cluster has at least 3 masters, and here are 1',
      `c: tls.ca: ${soon.certificate} expires in 9 days`,
      'c: password: others may read',
      '.env:2: APP: a value with blanks needs quotes',
      '.env: others may read it, and it holds passwords',
    ]) {
      expect(stderr).toContain(expected);
    }
    const one = await run(ConfigCheck, '--name', 'c');
    expect(one.error).toBeUndefined();
    expect((await run(ConfigCheck, '--name', 'd')).error).toMatchObject({
      kind: 'usage',
      next: ['There are: a, b, c.'],
    });
  });

  it('tells faults of the file with their lines, and is content without any', async () => {
    await write('forge.yaml', `cluster: a\nnods: []\ncredentials: { password: ${SECRET} }\n`);
    const { error } = await run(ConfigCheck);
    expect(error).toMatchObject({
      exitCode: 3,
      message: expect.stringContaining('forge.yaml:2:1: nods: unknown setting'),
    });
    const none = await run(ConfigCheck, '--config', '/dev/null', '--env-file', '/dev/null');
    expect(none.error).toBeUndefined();
    expect(none.result).toMatchObject({ clusters: [] });
  });
});

describe('forge config check of a deployment', () => {
  const NODES = 'cluster: orders\nnodes: [10.0.0.1:6379, 10.0.0.2:6379, 10.0.0.3:6379]\nreplicas_per_master: 0\n';

  it('tells what is wrong with its line, and what deserves a look', async () => {
    await write(
      'forge.yaml',
      `${NODES}redis:\n  memory: 1gb\n  settings: { maxmemory: 2gb, appendonly: no, prt: 7 }\n  tls: { directory: none }\n`,
    );
    const { error, stderr } = await run(ConfigCheck);
    expect(error).toMatchObject({ kind: 'configuration' });
    const file = path.join(directory, 'forge.yaml');
    for (const line of [
      `${file}:6:52: redis.settings.prt: unknown setting of redis.conf`,
      `${file}:5:11: redis.memory: the container’s limit of 1024mb is below maxmemory (2gb)`,
      `${file}:7:8: redis.tls: there is no folder ${path.join(directory, 'none')}`,
    ]) {
      expect(error?.message).toContain(line);
    }
    expect(stderr).toContain('redis.settings.appendonly: no file is written at all');
  });

  it('has the server itself look at rules and settings that seem right', async () => {
    const version = serverVersionOf(execFileSync('redis-server', ['--version'], { encoding: 'utf8' }))?.text;
    const users = (rules: string) =>
      `  users: { further: { batch: { password: { environment: BATCH }, rules: '${rules}' } } }\n`;
    await write('forge.yaml', `${NODES}redis:\n  version: '${version}'\n${users('~batch:* +@read')}`);
    expect((await run(ConfigCheck)).error).toBeUndefined();
    await write('forge.yaml', `${NODES}redis:\n  version: '${version}'\n${users('~batch:* +no-such-command')}`);
    const { error } = await run(ConfigCheck);
    expect(error?.message).toMatch(/^redis: redis-server refuses its configuration: .*no-such-command/s);
    // Where this machine has no such server, the table alone judges.
    await write('forge.yaml', `${NODES}redis:\n  version: '9.9'\n${users('~batch:* +no-such-command')}`);
    expect((await run(ConfigCheck)).error).toBeUndefined();
  });
});

describe('forge config show', () => {
  it('shows what a command would use, and no secret', async () => {
    await write(
      'forge.yaml',
      'cluster: orders\nnodes: [n:1]\ncredentials: { username: me, password: { environment: P } }\n',
    );
    await write('.env', `P='${SECRET}'\n`);
    const { stdout, result } = await run(ConfigShow);
    expect(stdout).toMatch(/^SETTING +VALUE +FROM\n/);
    expect(stdout).toMatch(/\nusername +me +forge\.yaml\npassword +in P, set +forge\.yaml\n/);
    expect(result).toMatchObject({
      settings: expect.arrayContaining([{ setting: 'seeds', value: 'n:1', from: 'forge.yaml' }]),
    });
    expect((await run(ConfigShow, '--seed', 'x:9')).stdout).toMatch(/\nseeds +x:9 +--seed\n/);
    expect((await run(ConfigShow, '--name', 'other')).error).toMatchObject({ kind: 'usage' });
  });
});
