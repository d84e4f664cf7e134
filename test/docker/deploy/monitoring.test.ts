/** `forge deploy monitoring` as an operator types it, on a real engine: real exporters, Prometheus and Alertmanager. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dockerForTests, hasDocker, type TestDocker } from '../../support/docker/engine.js';
import { monitoringImage, redisImage } from '../../support/docker/images.js';
import { type ForgeResult, forge } from '../../support/forge.js';
import { freePorts } from '../../support/ports.js';

const CLUSTER = `m${process.pid}`;
const PASSWORD = 'monitoring "secret" 1';
const WEBHOOK_SECRET = 'only-alertmanager-knows';
/** Five programs and a node, on a machine that has other things to do. */
const TEST_MS = 240_000;
/** Prometheus asks every second, and Docker looks at a container's health every ten. */
const SEEN_MS = 60_000;
const POLL_MS = 250;
const ROLES = ['alertmanager', 'node-exporter', 'prometheus', 'redis-exporter'];

interface Target {
  readonly health: string;
  readonly lastError: string;
  readonly labels: Readonly<Record<string, string>>;
}

describe.skipIf(!hasDocker())('forge deploy monitoring', { timeout: TEST_MS }, () => {
  let docker: TestDocker;
  let folder: string;
  let images: Record<'redis' | 'prometheus' | 'alertmanager' | 'redis-exporter' | 'node-exporter', string>;
  let webhook: http.Server;
  const told: string[] = [];
  let ports: number[];

  beforeAll(async () => {
    docker = (await dockerForTests()) as TestDocker;
    folder = await mkdtemp(path.join(os.tmpdir(), 'forge-deploy-'));
    ports = await freePorts(5);
    const of = (kind: Parameters<typeof monitoringImage>[1]) =>
      monitoringImage(docker, kind, `forge-test/${kind}:${CLUSTER}`);
    images = {
      redis: await redisImage(docker, 'redis-7', { tag: `forge-test/redis:${CLUSTER}` }),
      prometheus: await of('prometheus'),
      alertmanager: await of('alertmanager'),
      'redis-exporter': await of('redis-exporter'),
      'node-exporter': await of('node-exporter'),
    };
    webhook = http.createServer((request, response) => {
      let body = '';
      request.on('data', (text) => {
        body += text;
      });
      request.on('end', () => {
        told.push(`${request.url} ${body}`);
        response.end();
      });
    });
    await new Promise<void>((resolve) => webhook.listen(0, '127.0.0.1', resolve));
  });
  afterAll(async () => {
    const label = `label=io.redisforge.cluster=${CLUSTER}`;
    for (const id of await list('ps', '-aq', '--filter', label)) await docker.try(['rm', '-f', id]);
    for (const volume of await list('volume', 'ls', '-q', '--filter', label))
      await docker.try(['volume', 'rm', volume]);
    webhook.close();
    await rm(folder, { recursive: true, force: true });
    await docker.stop();
  });

  const list = async (...words: string[]) => (await docker.run(words)).split('\n').filter(Boolean);
  const nameOf = (role: string) => `${CLUSTER}-${role}`;
  const hook = () => `http://127.0.0.1:${(webhook.address() as AddressInfo).port}`;
  /** By which a container that was replaced or started again is known. */
  const lives = () => docker.run(['inspect', '-f', '{{.Id}} {{.State.StartedAt}}', ...ROLES.map(nameOf)]);

  async function write({ memoryPercent = 90, address = `${hook()}/first` } = {}): Promise<void> {
    const [node, redisExporter, nodeExporter, prometheus, alertmanager] = ports;
    const lines = [
      `cluster: ${CLUSTER}`,
      `nodes: [{ host: 127.0.0.1, port: ${node}, docker_host: here }]`,
      'replicas_per_master: 0',
      `hosts: { here: { docker: "${docker.host}", address: 127.0.0.1 } }`,
      'redis:',
      `  { version: "7.0", image: "${images.redis}", nofile: 8192, tls: { directory: certs, auth_clients: 'yes' },`,
      '    settings: { maxclients: 1000, repl-backlog-size: 2mb } }',
      'monitoring:',
      '  scrape_interval: 1s',
      `  thresholds: { memory_percent: ${memoryPercent} }`,
      `  redis_exporter: { image: "${images['redis-exporter']}", port: ${redisExporter} }`,
      `  node_exporter: { image: "${images['node-exporter']}", port: ${nodeExporter}, mounts: fixed }`,
      `  prometheus: { image: "${images.prometheus}", host: here, port: ${prometheus}, memory: 512mb }`,
      '  alertmanager_version: "0.25"',
      `  alertmanager: { image: "${images.alertmanager}", host: here, port: ${alertmanager}, webhook: { address: "${address}" },`,
      '    slack: { webhook: { environment: SLACK_WEBHOOK } } }',
    ];
    await writeFile(path.join(folder, 'forge.yaml'), `${lines.join('\n')}\n`);
  }

  async function run(...words: string[]): Promise<ForgeResult> {
    const result = await forge(words, {
      cwd: folder,
      limitMs: TEST_MS,
      env: {
        REDIS_REQUIREPASS: PASSWORD,
        SLACK_WEBHOOK: `${hook()}/${WEBHOOK_SECRET}`,
        FORGE_HOME: path.join(folder, 'home'),
      },
    });
    const shown = `${result.stdout}${result.stderr}`;
    expect(shown).not.toContain(PASSWORD);
    expect(shown).not.toContain(WEBHOOK_SECRET);
    return result;
  }
  const actions = (result: ForgeResult) =>
    Object.fromEntries(
      (JSON.parse(result.stdout) as { containers: { node: string; action: string }[] }).containers.map(
        ({ node, action }) => [node.slice(CLUSTER.length + 1), action],
      ),
    );
  const every = (action: string) => Object.fromEntries(ROLES.map((role) => [role, action]));

  async function ask<T>(role: 'prometheus' | 'alertmanager', page: string): Promise<T> {
    const port = role === 'prometheus' ? ports[3] : ports[4];
    const answer = await fetch(`http://127.0.0.1:${port}${page}`, { signal: AbortSignal.timeout(10_000) });
    return (await answer.json()) as T;
  }

  /** Looks until it is as expected; the last look's own words where it never is. */
  async function eventually(look: () => Promise<void>): Promise<void> {
    const until = performance.now() + SEEN_MS;
    for (;;) {
      try {
        return await look();
      } catch (error) {
        if (performance.now() > until) throw error;
        await sleep(POLL_MS);
      }
    }
  }

  it('brings up exporters, Prometheus and Alertmanager, which see a node with TLS and tell of alerts', async () => {
    await write();
    expect(await run('gen-certs', 'certs', '--client', 'monitor_user', '--yes')).toMatchObject({ code: 0 });
    const redis = await run('deploy', 'redis', '--yes');
    expect(redis, redis.stderr).toMatchObject({ code: 0 });
    const made = await run('deploy', 'monitoring', '--yes', '--json');
    expect(made, made.stderr).toMatchObject({ code: 0 });
    expect(actions(made)).toEqual(every('create'));

    const past = new Date(Date.now() - 120_000).toISOString();
    const words = ['alert', 'add', 'DeployTest', 'severity=critical', `cluster=${CLUSTER}`, `--start=${past}`];
    await docker.run([
      'exec',
      nameOf('alertmanager'),
      'amtool',
      ...words,
      `--alertmanager.url=http://127.0.0.1:${ports[4]}`,
    ]);
    await eventually(async () => {
      const { data } = await ask<{ data: { activeTargets: Target[] } }>('prometheus', '/api/v1/targets');
      const targets = data.activeTargets.map(({ health, lastError, labels }) => [labels['job'], health, lastError]);
      expect(targets.sort()).toEqual(
        ['alertmanager', 'prometheus', 'redisforge-node', 'redisforge-redis', 'redisforge-redis-exporter'].map(
          (job) => [job, 'up', ''],
        ),
      );
      const up = await ask<{ data: { result: { value: [number, string] }[] } }>(
        'prometheus',
        '/api/v1/query?query=redis_up',
      );
      expect(up.data.result.map(({ value }) => value[1])).toEqual(['1']);
    });
    await eventually(async () => {
      expect(told.find((body) => body.startsWith('/first') && body.includes('DeployTest'))).toBeDefined();
      expect(told.find((body) => body.startsWith(`/${WEBHOOK_SECRET}`))).toBeDefined();
    });
    // What it sends comes again after a minute only, when it knew of no Alertmanager at first.
    await eventually(async () => {
      const { data } = await ask<{ data: { activeAlertmanagers: { url: string }[] } }>(
        'prometheus',
        '/api/v1/alertmanagers',
      );
      expect(data.activeAlertmanagers.map(({ url }) => url)).toEqual([`http://127.0.0.1:${ports[4]}/api/v2/alerts`]);
    });
  });

  it('gives them no right that they do not need, and shows no secret to who may look at containers', async () => {
    const text = await docker.run(['inspect', ...ROLES.map(nameOf)]);
    expect(text).not.toContain(WEBHOOK_SECRET);
    expect(text).not.toMatch(/password"?[=:] ?"?[^-/]/i);
    for (const { Config, HostConfig } of JSON.parse(text) as Record<string, Record<string, unknown>>[]) {
      expect(Config).toMatchObject({ User: '10001:10001' });
      expect(HostConfig).toMatchObject({
        ReadonlyRootfs: true,
        Privileged: false,
        CapDrop: ['ALL'],
        SecurityOpt: ['no-new-privileges'],
        Memory: expect.any(Number),
        RestartPolicy: { Name: 'unless-stopped' },
      });
      expect(HostConfig?.['Memory']).toBeGreaterThan(0);
    }
  });

  it('changes nothing the second time, and is as wanted for forge deploy status', async () => {
    const before = await lives();
    const again = await run('deploy', 'monitoring', '--yes', '--json');
    expect(actions(again)).toEqual(every('unchanged'));
    expect(again.code).toBe(0);
    expect(await lives()).toBe(before);
    const status = await run('deploy', 'status', '--json');
    const { containers } = JSON.parse(status.stdout) as {
      containers: { role: string; wanted: string; version: string | null; memoryBytes: number | null }[];
    };
    // Each says its version, and none takes nothing.
    expect(containers.map(({ version }) => version)).toEqual(containers.map(() => expect.stringMatching(/^\d+\.\d+/)));
    expect(Math.min(...containers.map(({ memoryBytes }) => memoryBytes ?? 0))).toBeGreaterThan(2 ** 20);
    expect(containers.map(({ role, wanted }) => [role, wanted]).sort()).toEqual(
      [...ROLES, 'redis'].map((role) => [role, 'unchanged']).sort(),
    );
    expect(status.code).toBe(0);
  });

  it('has other alerts and receivers taken while everything runs', async () => {
    const before = await lives();
    await write({ memoryPercent: 77, address: `${hook()}/second` });
    const changed = await run('deploy', 'monitoring', '--yes', '--json');
    expect(changed, changed.stderr).toMatchObject({ code: 0 });
    expect(actions(changed)).toEqual({ ...every('unchanged'), prometheus: 'live', alertmanager: 'live' });
    expect(await lives()).toBe(before);
    const { data } = await ask<{ data: { groups: { rules: { name: string; query: string }[] }[] } }>(
      'prometheus',
      '/api/v1/rules',
    );
    const rules = data.groups.flatMap((group) => group.rules);
    expect(rules.find(({ name }) => name === 'HighMemoryUsage')?.query).toMatch(/> 77$/);
    const { config } = await ask<{ config: { original: string } }>('alertmanager', '/api/v2/status');
    expect(config.original.includes(`${hook()}/second`)).toBe(true);
  });

  it('refuses what amtool refuses before anything is changed', async () => {
    const before = await lives();
    await write({ memoryPercent: 66, address: 'http://%zz/hook' });
    const refused = await run('deploy', 'monitoring', '--yes');
    expect(refused).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/amtool[\s\S]*%zz[\s\S]*Nothing was changed/),
    });
    expect(await lives()).toBe(before);
    await write({ memoryPercent: 77, address: `${hook()}/second` });
    expect(actions(await run('deploy', 'monitoring', '--yes', '--json'))).toEqual(every('unchanged'));
  });
});
