/** One local cluster through its life: up, again, crash, reboot, down, away. The tests follow each other. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectNode } from '../../../src/cluster/node-connection.js';
import { bringDown } from '../../../src/local/down.js';
import { type ClusterPaths, clusterPaths } from '../../../src/local/paths.js';
import { loadSecrets, type Secrets } from '../../../src/local/secrets.js';
import { clusterStatus } from '../../../src/local/status.js';
import type { RunSteps } from '../../../src/local/step.js';
import { bringUp, type UpRequest } from '../../../src/local/up.js';
import { identifyProcess } from '../../../src/runtime/process/identity.js';
import { readRecord } from '../../../src/runtime/process/record.js';
import { freePortBlock } from '../../support/ports.js';
import { poll } from '../../support/redis.js';

const NODES = 6;
const KEYS = Array.from({ length: 100 }, (_, index) => [`key:${index}`, `value:${index}`] as const);

const runSteps: RunSteps = async (steps) => {
  for (const step of steps) {
    if (step.skip?.()) continue;
    await step.run(undefined, { title() {}, note() {} });
  }
};

let home: string;
let base: number;
let paths: ClusterPaths;
let secrets: Secrets;

const request = (asked: UpRequest['asked'] = {}): UpRequest => ({
  home,
  name: 'test',
  asked,
  smokeTest: false,
  runSteps,
});
const up = (asked?: UpRequest['asked']) => bringUp(request(asked));
const down = (purge = false) => bringDown({ home, name: 'test', purge, runSteps });
const status = () => clusterStatus(home, 'test');

async function withEndpoint<T>(work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis({ port: base + NODES, password: secrets.endpoint, lazyConnect: true, retryStrategy: null });
  client.on('error', () => {});
  try {
    await client.connect();
    return await work(client);
  } finally {
    client.disconnect();
  }
}

async function expectTheData(): Promise<void> {
  const values = await withEndpoint((client) => client.mget(KEYS.map(([key]) => key)));
  expect(values).toEqual(KEYS.map(([, value]) => value));
}

/** The records of all instances. */
function recordFiles(): string[] {
  const nodes = Array.from({ length: NODES }, (_, index) => path.join(paths.node(base + index), 'redis.run'));
  return [...nodes, path.join(paths.proxy, 'proxy.run')];
}

beforeAll(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), 'forge-local-'));
  paths = clusterPaths(home, 'test');
  base = await freePortBlock(NODES + 2);
});

afterAll(async () => {
  await down(true);
  await rm(home, { recursive: true });
});

describe('a local cluster', () => {
  it('comes up from nothing: six nodes, one endpoint', async () => {
    const result = await up({ basePort: base, proxyPort: base + NODES, adminPort: base + NODES + 1 });
    expect(result).toMatchObject({
      alreadyUp: false,
      endpoint: { host: '127.0.0.1', port: base + NODES },
      passwordFile: path.join(paths.secrets, 'endpoint'),
    });
    expect(result.started).toHaveLength(NODES + 1);
    expect(result.elapsedMs).toBeLessThan(25_000);
    secrets = await loadSecrets(paths);
    await withEndpoint((client) => client.mset(KEYS.flat()));
    expect(await status()).toMatchObject({ health: 'up', slotsServed: 16_384 });
  });

  it('has masters and replicas in the numbers asked for', async () => {
    const { nodes } = await status();
    expect(nodes.filter(({ role }) => role === 'master')).toHaveLength(3);
    expect(nodes.filter(({ role }) => role === 'replica')).toHaveLength(3);
  });

  it('shows its passwords to nobody: not on command lines, not in logs, not to other users', async () => {
    const { nodes, proxy } = await status();
    const records = await Promise.all(recordFiles().map((file) => readRecord(file)));
    const pids = [...nodes.map(({ pid }) => pid), proxy?.pid, ...records.map((record) => record?.supervisor?.pid)];
    expect(pids).toHaveLength(2 * NODES + 2);
    const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8')));
    const environments = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/environ`, 'latin1')));
    const entries = await readdir(paths.directory, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
    for (const secret of Object.values(secrets)) {
      for (const text of [...lines, ...environments]) expect(text).not.toContain(secret);
    }
    for (const file of files) {
      const text = await readFile(file, 'latin1');
      if (!Object.values(secrets).some((secret) => text.includes(secret))) continue;
      expect(path.relative(paths.directory, file)).toMatch(/^secrets\/|replication-auth\.conf$/);
      expect((await stat(file)).mode & 0o777).toBe(0o600);
    }
  });

  it('lets nobody in without a password', async () => {
    for (const port of [base, base + NODES]) {
      await expect(connectNode({ host: '127.0.0.1', port })).rejects.toMatchObject({ kind: 'denied' });
    }
  });

  it('is found up by a second run, quickly', async () => {
    const result = await up();
    expect(result).toMatchObject({ alreadyUp: true, started: [] });
    expect(result.elapsedMs).toBeLessThan(3_000);
  });

  it('is changed by one at a time', async () => {
    const outcomes = await Promise.allSettled([up(), up(), down()]);
    const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
    expect(refused).toHaveLength(2);
    for (const reason of refused) expect(reason).toMatchObject({ kind: 'locked', exitCode: 6 });
    await up();
  });

  it('is not bent into another shape', async () => {
    await expect(up({ masters: 4 })).rejects.toMatchObject({ kind: 'refused' });
    expect(await status()).toMatchObject({ health: 'up' });
  });

  it('heals when a master is killed: a replica takes over, and the node comes back as its replica', async () => {
    const victim = (await status()).nodes.find(({ role }) => role === 'master');
    process.kill(victim?.pid as number, 'SIGKILL');
    const healed = await poll('the cluster heals', 30_000, async () => {
      const now = await status();
      const back = now.nodes.find(({ port }) => port === victim?.port);
      return now.health === 'up' && back?.role === 'replica' ? now : undefined;
    });
    expect(healed.slotsServed).toBe(16_384);
    expect(healed.nodes.find(({ port }) => port === victim?.port)).toMatchObject({ restarts: 1, id: victim?.id });
    await poll('the endpoint follows', 10_000, () =>
      expectTheData().then(
        () => true,
        () => false,
      ),
    );
  });

  it('comes back after a reboot with the same data, nodes and passwords', async () => {
    const before = await status();
    const records = await Promise.all(recordFiles().map((file) => readRecord(file)));
    for (const record of records) process.kill(record?.supervisor?.pid as number, 'SIGKILL');
    for (const record of records) process.kill(record?.child?.pid as number, 'SIGKILL');
    await poll('all is gone', 10_000, async () => (await status()).health === 'stopped');
    const result = await up();
    expect(result.started).toHaveLength(NODES + 1);
    const after = await status();
    expect(after.nodes.map(({ id, port }) => [id, port])).toEqual(before.nodes.map(({ id, port }) => [id, port]));
    expect(await loadSecrets(paths)).toEqual(secrets);
    await expectTheData();
  });

  it('is put under supervision again when a supervisor is gone', async () => {
    const record = await readRecord(path.join(paths.node(base + 1), 'redis.run'));
    process.kill(record?.supervisor?.pid as number, 'SIGKILL');
    await poll('nobody supervises', 5_000, async () => (await status()).health === 'degraded');
    expect((await up()).started).toEqual([`node ${base + 1}`]);
    expect(await status()).toMatchObject({ health: 'up' });
  });

  it('goes down, all of it, and keeps its data', async () => {
    const { nodes, proxy } = await status();
    const result = await down();
    expect(result.stopped).toHaveLength(NODES + 1);
    expect(result.killed).toEqual([]);
    for (const { pid } of [...nodes, ...(proxy === null ? [] : [proxy])]) {
      expect(await identifyProcess(pid as number)).toBeUndefined();
    }
    expect(await status()).toMatchObject({ health: 'stopped' });
    expect(await down()).toMatchObject({ existed: true, stopped: [] });
  });

  it('names the process that holds one of its ports', async () => {
    const server = createServer().listen(base + 2, '127.0.0.1');
    await once(server, 'listening');
    try {
      await expect(up()).rejects.toMatchObject({
        kind: 'refused',
        message: expect.stringMatching(new RegExp(`${base + 2} \\(node 3\\) by .*process ${process.pid}`)),
      });
    } finally {
      server.close();
    }
  });

  it('never touches a process that is not its own, whatever its files say', async () => {
    const stranger = spawn('sleep', ['60'], { stdio: 'ignore' });
    try {
      for (const file of recordFiles()) {
        const text = await readFile(file, 'utf8');
        const forged = text
          .replace(/^state .*/m, 'state running')
          .replace(/^supervisor \d+/m, `supervisor ${stranger.pid}`)
          .replace(/^child .*/m, `child ${stranger.pid} 00000000:1`);
        await writeFile(file, forged);
      }
      await writeFile(paths.proxyPid, `${stranger.pid}\n`);
      expect((await down()).stopped).toEqual([]);
      expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
      expect((await status()).health).toBe('stopped');
      expect((await up()).started).toHaveLength(NODES + 1);
      expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
    } finally {
      stranger.kill('SIGKILL');
    }
    await expectTheData();
  });

  it('is deleted on request, with everything it had', async () => {
    expect(await down(true)).toMatchObject({ purged: true });
    expect(await readdir(home)).toEqual([]);
    await expect(status()).rejects.toMatchObject({ kind: 'unreachable' });
    expect(await down(true)).toMatchObject({ existed: false });
  });
});
