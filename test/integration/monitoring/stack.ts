/** The whole of it, for tests: a cluster with TLS, the proxy, both exporters, Prometheus, Alertmanager and a webhook. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { formatBackupRun } from '../../../src/backup/run/textfile.js';
import { parseForgeFile } from '../../../src/config/forge-file.js';
import { type MonitoredCluster, monitoredCluster } from '../../../src/monitoring/cluster.js';
import { EXPORTER_RULES, type ExporterInstance, exporterInstances } from '../../../src/monitoring/exporters.js';
import { type GenerateResult, generateMonitoring } from '../../../src/monitoring/generate.js';
import {
  backupTextfile,
  certificateTextfile,
  formatCertificates,
  TEXTFILE_DIRECTORY,
} from '../../../src/monitoring/textfile.js';
import { type Authority, makeAuthority } from '../../support/certificates.js';
import { freePort } from '../../support/ports.js';
import { type RunningProgram, startProgram } from '../../support/programs.js';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { type RedisCluster, startCluster } from '../../support/redis.js';

const PASSWORD = 'the administrator’s';
const MONITOR = { user: 'monitor_user', password: 'only for "figures"' };
const QUERY_MS = 10_000;
/** Exporters and Alertmanager of another version: the folder that has them under the names of Debian's packages. */
const OTHER = process.env['FORGE_TEST_MONITORING_BIN'];
/** Nodes of another server. */
const REDIS = process.env['FORGE_TEST_MONITORING_REDIS'];
/** Alerts that come together are told of together: a test does not wait for them that long. */
const QUICK = 'group_wait: 1s';

export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

export interface Stack {
  readonly cluster: RedisCluster;
  readonly proxy: RunningProxy;
  readonly monitored: MonitoredCluster;
  readonly exporters: readonly ExporterInstance[];
  readonly directory: string;
  /** What the webhook was told: the bodies of its requests. */
  readonly told: readonly string[];
  /** Asks Prometheus: `/api/v1/…`. Throws with its words when it refuses. */
  ask<T>(page: string, parameters?: Record<string, string>): Promise<T>;
  query(expression: string): Promise<readonly Sample[]>;
  /** Writes the files again, as for another forge.yaml. */
  generate(forgeYaml?: string): Promise<GenerateResult>;
  readonly forgeYaml: string;
  stop(): Promise<void>;
}

export async function startStack(): Promise<Stack> {
  const ending: (() => unknown)[] = [];
  const stop = async () => {
    for (const end of ending.splice(0).reverse()) await end();
  };
  try {
    return await startAll(ending, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startAll(ending: (() => unknown)[], stop: () => Promise<void>): Promise<Stack> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'forge-monitoring-'));
  ending.push(() => rmSync(directory, { recursive: true, force: true }));
  const authority = await makeAuthority();
  ending.push(() => authority.remove());
  const cluster = await startWatchedCluster(authority);
  ending.push(() => cluster.stop());
  const proxy = await startWatchedProxy(authority, cluster);
  ending.push(() => proxy.stop());
  const told: string[] = [];
  const webhook = await listen(told);
  ending.push(() => webhook.close());

  const [redisPort, nodePort, prometheusPort, alertmanagerPort] = [
    ...[await freePort(), await freePort(), await freePort(), await freePort()],
  ] as [number, number, number, number];
  const nodes = cluster.nodes.map(({ port }, index) => `  - 127.0.0.1:${port}@zone-${'abc'.charAt(index % 3)}`);
  const forgeYaml = `
cluster: orders
nodes:
${nodes.join('\n')}
replicas_per_master: 1
tls: true
proxy: { admin: "127.0.0.1:${proxy.adminPort}" }
backup: { bucket: "s3://orders-backup" }
monitoring:
  scrape_interval: 2s
  runbooks: https://runbooks.example/alerts.md
  redis_exporter: { port: ${redisPort} }
  node_exporter: { port: ${nodePort} }
  alertmanagers: ["127.0.0.1:${alertmanagerPort}"]
  alertmanager_version: "0.25"
  alertmanager:
    webhook: { address: "http://127.0.0.1:${(webhook.address() as AddressInfo).port}/hook" }
`;
  const generate = (text = forgeYaml): Promise<GenerateResult> =>
    generateMonitoring({
      cluster: clusterOf(text),
      ...{ environment: {}, folder: directory, directory, dryRun: false, force: false },
      prometheusUrl: `http://127.0.0.1:${prometheusPort}`,
    });
  await generate();
  const monitored = monitoredCluster(clusterOf(forgeYaml));
  const exporters = exporterInstances(monitored, { ...MONITOR, ca: readFileSync(authority.ca, 'utf8') });
  for (const exporter of exporters) ending.push((await startExporter(exporter, directory)).stop);
  ending.push((await startAlertmanager(directory, alertmanagerPort)).stop);
  ending.push((await startPrometheus(directory, prometheusPort)).stop);

  const ask = async <T>(page: string, parameters: Record<string, string> = {}): Promise<T> => {
    const url = `http://127.0.0.1:${prometheusPort}/api/v1/${page}?${new URLSearchParams(parameters)}`;
    const answer = await fetch(url, { signal: AbortSignal.timeout(QUERY_MS) });
    const { status, data, error } = (await answer.json()) as { status: string; data: T; error?: string };
    if (status !== 'success') throw new Error(`${page} ${JSON.stringify(parameters)}: ${error}`);
    return data;
  };
  const query = async (expression: string) =>
    (await ask<{ result: readonly Sample[] }>('query', { query: expression })).result;
  return { ...{ cluster, proxy, monitored, exporters, directory, told, ask, query, generate, forgeYaml }, stop };
}

function clusterOf(text: string) {
  const [cluster] = parseForgeFile(text, 'forge.yaml').clusters;
  if (cluster === undefined) throw new Error('the file names no cluster');
  return cluster;
}

/** Two masters and their replicas, with TLS everywhere, as nodes of production have it: append-only file, limits, users. */
async function startWatchedCluster(authority: Authority): Promise<RedisCluster> {
  const { certificate, key } = authority.server;
  const cluster = await startCluster({
    ...{
      masters: 2,
      replicasPerMaster: 1,
      requirepass: PASSWORD,
      ...(REDIS === undefined ? {} : { executable: REDIS }),
    },
    tls: { certificate, key, ca: authority.ca, connect: { ca: readFileSync(authority.ca) } },
    args: ['--appendonly', 'yes', '--save', '3600 1', '--maxmemory', '200mb', '--slowlog-log-slower-than', '0'],
  });
  const rules = ['on', `>${MONITOR.password}`, 'resetkeys', 'resetchannels', '-@all', ...EXPORTER_RULES.split(' ')];
  await Promise.all(cluster.nodes.map((node) => node.call('ACL', 'SETUSER', MONITOR.user, ...rules)));
  return cluster;
}

function startWatchedProxy(authority: Authority, cluster: RedisCluster): Promise<RunningProxy> {
  return startProxy({
    env: { REDIS_REQUIREPASS: PASSWORD },
    config: {
      listeners: [{ cluster: 'main' }],
      clusters: [
        {
          name: 'main',
          endpoints: cluster.addresses.split(','),
          auth_password: { environment: 'REDIS_REQUIREPASS' },
          tls_context: { validation_context: { trusted_ca: { filename: authority.ca } } },
          health_checks: [{ timeout: '1s', interval: '1s', unhealthy_threshold: 3, healthy_threshold: 1 }],
        },
      ],
    },
  });
}

async function listen(told: string[]): Promise<http.Server> {
  const server = http.createServer((request, response) => {
    let body = '';
    request.on('data', (text) => {
      body += text;
    });
    request.on('end', () => {
      told.push(body);
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

function other(program: string): string {
  return OTHER === undefined ? program : path.join(OTHER, path.basename(program));
}

/** As a process of this machine: its files and the host's folders are where the test put them. */
async function startExporter(exporter: ExporterInstance, directory: string): Promise<RunningProgram> {
  const textfiles = path.join(directory, 'textfiles');
  mkdirSync(textfiles, { recursive: true });
  const later = new Date(Date.now() + 90 * 86_400_000);
  const success = { finishedAtMs: Date.now(), elapsedMs: 1_000, bytes: 1, keys: 1, masters: 3, movingSlots: 0 };
  const backup = formatBackupRun({ cluster: 'orders', endedAtMs: Date.now(), exitCode: 0, success });
  writeFileSync(path.join(textfiles, backupTextfile('orders')), backup);
  const certificates = formatCertificates('orders', [{ name: 'ca', notAfter: later }]);
  writeFileSync(path.join(textfiles, certificateTextfile('orders')), certificates);
  const moved = (file: string) => path.join(directory, exporter.name, path.basename(file));
  mkdirSync(path.join(directory, exporter.name));
  for (const { path: file, content, mode } of exporter.files) writeFileSync(moved(file), content, { mode });
  const args = exporter.args.map((arg) => {
    const [flag = '', value = ''] = arg.split(/=(.*)/s);
    const file = exporter.files.find((each) => each.path === value);
    if (file !== undefined) return `${flag}=${moved(file.path)}`;
    if (value === TEXTFILE_DIRECTORY) return `${flag}=${textfiles}`;
    return `${flag}=${value
      .replace(/^\/host$/, '/')
      .replace(/^\/host(?=\/)/, '')
      .replace(/^:/, '127.0.0.1:')}`;
  });
  return startProgram(other(exporter.program), args, `http://127.0.0.1:${exporter.port}${exporter.healthPath}`);
}

function startAlertmanager(directory: string, port: number): Promise<RunningProgram> {
  const file = path.join(directory, 'alertmanager', 'alertmanager.yml');
  const quick = path.join(directory, 'alertmanager', 'quick.yml');
  writeFileSync(quick, readFileSync(file, 'utf8').replace(/group_wait: .*/, QUICK));
  const args = [
    ...[`--config.file=${quick}`, `--storage.path=${path.join(directory, 'alertmanager-data')}`],
    ...[`--web.listen-address=127.0.0.1:${port}`, '--cluster.listen-address='],
  ];
  return startProgram(other('prometheus-alertmanager'), args, `http://127.0.0.1:${port}/-/ready`);
}

function startPrometheus(directory: string, port: number): Promise<RunningProgram> {
  const args = [
    `--config.file=${path.join(directory, 'prometheus', 'prometheus.yml')}`,
    `--storage.tsdb.path=${path.join(directory, 'prometheus-data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];
  return startProgram('prometheus', args, `http://127.0.0.1:${port}/-/ready`);
}
