// What is compared: the proxy before a cluster of three masters, nutcracker before three servers of their own (it knows
// no cluster), and no proxy at all. One thread each.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Redis } from 'ioredis';
import { freePort, start, stop, until } from './processes.js';

const MASTERS = 3;
const SLOTS = 16_384;

export async function withRedis(port, ask) {
  // Nothing but the command itself: nutcracker hangs up on a client that introduces itself.
  const bare = { enableReadyCheck: false, disableClientInfo: true, protocol: 2 };
  const redis = new Redis({ port, lazyConnect: true, retryStrategy: null, ...bare });
  redis.on('error', () => {}); // the rejected command says it
  try {
    await redis.connect();
    return await ask(redis);
  } finally {
    redis.disconnect();
  }
}

const answers = (port) => withRedis(port, (redis) => redis.ping()).then((pong) => pong === 'PONG');

async function startRedis(folder, extra = []) {
  const port = await freePort();
  const directory = path.join(folder, `redis-${port}`);
  mkdirSync(directory);
  const child = start('redis-server', [
    ...['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', directory],
    ...extra,
  ]);
  await until(`redis-server on port ${port}`, () => answers(port), { child });
  return { port, pid: child.pid, child };
}

/** Three independent servers. */
export async function startServers(folder) {
  const servers = [];
  for (let i = 0; i < MASTERS; i++) servers.push(await startRedis(folder));
  return servers;
}

/** A cluster of three masters without replicas, formed and agreed. */
export async function startCluster(folder) {
  const nodes = [];
  for (let i = 0; i < MASTERS; i++) {
    nodes.push(await startRedis(folder, ['--cluster-enabled', 'yes', '--cluster-config-file', 'nodes.conf']));
  }
  const boundary = (index) => Math.round((index * SLOTS) / MASTERS);
  for (const [index, { port }] of nodes.entries()) {
    await withRedis(port, async (redis) => {
      await redis.call('CLUSTER', 'ADDSLOTSRANGE', boundary(index), boundary(index + 1) - 1);
      await redis.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
    });
  }
  await withRedis(nodes[0].port, async (redis) => {
    for (const { port } of nodes.slice(1)) await redis.call('CLUSTER', 'MEET', '127.0.0.1', port);
  });
  for (const { port } of nodes) {
    await until(`the cluster as port ${port} sees it`, () =>
      withRedis(port, async (redis) => {
        const info = await redis.call('CLUSTER', 'INFO');
        return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${MASTERS}`);
      }),
    );
  }
  return nodes;
}

/** The proxy with one worker. */
export async function startForge(program, nodes, folder) {
  const [port, admin] = [await freePort(), await freePort()];
  const child = start(program, [
    ...['--cluster', nodes.map((node) => `127.0.0.1:${node.port}`).join(','), '--listen', `127.0.0.1:${port}`],
    ...['--admin', `127.0.0.1:${admin}`, '--workers', '1', '--pid-file', path.join(folder, `forge-${port}.pid`)],
  ]);
  const ready = () => fetch(`http://127.0.0.1:${admin}/ready`).then(({ status }) => status === 200);
  await until('forge-proxy', ready, { child });
  return { name: 'forge', port, pid: child.pid, backends: nodes.map(({ pid }) => pid), stop: () => stop(child) };
}

/** The same before independent servers, as nutcracker has them; it takes part only where that makes a difference. */
export async function startForgeSharded(program, servers, folder) {
  const [port, admin] = [await freePort(), await freePort()];
  const config = path.join(folder, `sharded-${port}.yaml`);
  writeFileSync(
    config,
    [
      'workers: 1',
      `admin: { address: 127.0.0.1:${admin} }`,
      `listeners: [{ address: 127.0.0.1:${port}, cluster: servers }]`,
      'clusters:',
      '  - name: servers',
      '    type: sharded',
      `    endpoints: [${servers.map((server) => `127.0.0.1:${server.port}`).join(', ')}]`,
      '',
    ].join('\n'),
  );
  const child = start(program, ['--config', config, '--pid-file', path.join(folder, `forge-${port}.pid`)]);
  const ready = () => fetch(`http://127.0.0.1:${admin}/ready`).then(({ status }) => status === 200);
  await until('forge-proxy in sharded mode', ready, { child });
  return {
    ...{ name: 'forge sharded', port, pid: child.pid, backends: servers.map(({ pid }) => pid), cases: ['mget'] },
    stop: () => stop(child),
  };
}

/** The user of `startForgeService`: it may do what an application does, in one part of the keys. */
const SERVICE_USER = { name: 'app', password: 'bench', rules: 'on +@all -@dangerous ~key:* ~mylist* ~ready &*' };
const HOT_KEY_SAMPLES = 1_000;

/**
 * The proxy as a service has it: clients log in as a user who may not do everything, with all statistics, histograms,
 * hot keys and the slow log.
 */
export async function startForgeService(
  program,
  nodes,
  folder,
  { workers = 1, name = 'forge service', cases, tls } = {},
) {
  const [port, admin] = [await freePort(), await freePort()];
  const config = path.join(folder, `service-${port}.yaml`);
  const { name: user, password, rules } = SERVICE_USER;
  writeFileSync(
    config,
    [
      `workers: ${workers}`,
      `admin: { address: 127.0.0.1:${admin} }`,
      `statistics: { enable_command_stats: true, hot_key_samples_per_second: ${HOT_KEY_SAMPLES} }`,
      'listeners:',
      `  - address: 127.0.0.1:${port}`,
      '    cluster: main',
      ...(tls === undefined
        ? []
        : [
            '    tls_context:',
            '      tls_certificates:',
            `        - { certificate_chain: { filename: ${tls.chain} }, private_key: { filename: ${tls.key} } }`,
          ]),
      '    users:',
      `      - { name: ${user}, passwords: [{ inline: ${password} }], rules: "${rules}" }`,
      'clusters:',
      '  - name: main',
      `    endpoints: [${nodes.map((node) => `127.0.0.1:${node.port}`).join(', ')}]`,
      '',
    ].join('\n'),
  );
  const child = start(program, ['--config', config, '--pid-file', path.join(folder, `forge-${port}.pid`)]);
  const ready = () => fetch(`http://127.0.0.1:${admin}/ready`).then(({ status }) => status === 200);
  await until(name, ready, { child });
  return {
    ...{ name, port, pid: child.pid, backends: nodes.map(({ pid }) => pid), login: { user, password } },
    ...(cases === undefined ? {} : { cases }),
    ...(tls === undefined ? {} : { tls: { ca: tls.chain } }),
    stop: () => stop(child),
  };
}

/** nutcracker with Debian's defaults, connected before the first client comes. */
export async function startNutcracker(servers, folder) {
  const [port, stats] = [await freePort(), await freePort()];
  const config = path.join(folder, `nutcracker-${port}.yml`);
  writeFileSync(
    config,
    [
      'bench:',
      `  listen: 127.0.0.1:${port}`,
      '  hash: fnv1a_64',
      '  distribution: ketama',
      '  redis: true',
      '  preconnect: true',
      '  backlog: 4096',
      '  servers:',
      ...servers.map((server, index) => `   - 127.0.0.1:${server.port}:1 server${index}`),
      '',
    ].join('\n'),
  );
  const child = start('nutcracker', [
    ...['-c', config, '-o', path.join(folder, `nutcracker-${port}.log`), '-a', '127.0.0.1', '-s', String(stats)],
    ...['-p', path.join(folder, `nutcracker-${port}.pid`)],
  ]);
  // It answers PING itself only in newer versions; a key asks the way through.
  await until('nutcracker', () => withRedis(port, (redis) => redis.set('ready', '1')), { child });
  return { name: 'nutcracker', port, pid: child.pid, backends: servers.map(({ pid }) => pid), stop: () => stop(child) };
}

/** No proxy: redis-benchmark knows the cluster and talks to its masters itself, with a thread for each. */
export function direct(nodes) {
  return { name: 'direct', port: nodes[0].port, backends: nodes.map(({ pid }) => pid), cluster: true };
}

/** No proxy and no cluster: one server, for what speaks to one address only. */
export function single(server) {
  return { name: 'one redis-server', port: server.port, pid: server.pid, backends: [] };
}

/** An endpoint that somebody else started: `NAME=PORT` or `NAME=PORT:PID`. */
export function foreign(text) {
  const match = /^([\w.-]+)=(\d{1,5})(?::(\d+))?$/.exec(text);
  if (!match) throw new Error(`--endpoint ${text}: write NAME=PORT or NAME=PORT:PID`);
  return { name: match[1], port: Number(match[2]), pid: match[3] ? Number(match[3]) : undefined, backends: [] };
}
