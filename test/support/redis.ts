/** Real redis-server processes for tests: started on free loopback ports in temporary directories, stopped by pid. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { connectNode, type NodeConnection, type NodeCredentials } from '../../src/cluster/node-connection.js';
import { freePort } from './ports.js';

const START_MS = 10_000;
const START_ATTEMPTS_MAX = 5;
const FORM_MS = 20_000;
const STOP_MS = 5_000;
const POLL_MS = 20;

export interface StartRedisOptions {
  /** `redis-server` when not given; another server that takes the same arguments. */
  executable?: string;
  /** Start in cluster mode. */
  cluster?: boolean;
  requirepass?: string;
  /** A free port when not given. */
  port?: number;
  /** Address to listen on and to connect to; 127.0.0.1 when not given. */
  host?: string;
  /** Further words of the command line, for example `['--maxmemory', '50mb']`. They win over the defaults. */
  args?: string[];
  /** Who is used to connect; the default user with `requirepass` when not given. */
  credentials?: NodeCredentials;
  /** TLS only: on the port for clients, between the nodes, and for replication. */
  tls?: ServerTls;
}

export interface ServerTls {
  /** Files: of the server, and of the authority by which the nodes check each other. */
  certificate: string;
  key: string;
  ca: string;
  /** With what the tests connect. */
  connect: TlsOptions;
}

export interface RedisServer {
  readonly host: string;
  readonly port: number;
  /** `host:port`. */
  readonly address: string;
  readonly pid: number;
  readonly dir: string;
  readonly password?: string;
  /** A new connection; the caller closes it. */
  connect(): Promise<NodeConnection>;
  /** Runs one command over a connection of its own. */
  call(command: string, ...args: (string | number)[]): Promise<unknown>;
  log(): Promise<string>;
  /** Sends a signal (SIGKILL when not given) and, when it ends the process, waits for its end. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Ends the process and removes its directory. Safe to call twice. */
  stop(): Promise<void>;
}

/** Calls `probe` until it returns something else than undefined or false; throws after `boundMs`, naming `what`. */
export async function poll<T>(
  what: string,
  boundMs: number,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const end = performance.now() + boundMs;
  for (;;) {
    const result = await probe();
    if (result !== undefined && result !== false) return result;
    if (performance.now() > end) throw new Error(`${what}: not within ${boundMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function argumentsFor(options: StartRedisOptions, host: string, port: number, dir: string): string[] {
  return [
    ...['--bind', host, '--dir', dir, '--logfile', path.join(dir, 'redis.log')],
    ...(options.tls === undefined ? ['--port', String(port)] : tlsArguments(options.tls, port)),
    ...['--save', '', '--appendonly', 'no', '--daemonize', 'no', '--databases', '16'],
    ...(options.cluster
      ? ['--cluster-enabled', 'yes', '--cluster-config-file', 'nodes.conf', '--cluster-node-timeout', '2000']
      : []),
    ...(options.requirepass === undefined
      ? ['--protected-mode', 'no']
      : ['--requirepass', options.requirepass, '--masterauth', options.requirepass]),
    ...(options.args ?? []),
  ];
}

function tlsArguments({ certificate, key, ca }: ServerTls, port: number): string[] {
  return [
    ...['--port', '0', '--tls-port', String(port), '--tls-cert-file', certificate, '--tls-key-file', key],
    ...['--tls-ca-cert-file', ca, '--tls-auth-clients', 'no', '--tls-cluster', 'yes', '--tls-replication', 'yes'],
  ];
}

function ended(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function waitForEnd(child: ChildProcess): Promise<void> {
  await poll('redis-server ends', STOP_MS, () => ended(child));
}

/** Starts one redis-server and waits until it answers. Throws with its log when it does not start. */
export async function startRedis(options: StartRedisOptions = {}): Promise<RedisServer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await tryToStart(options);
    } catch (error) {
      // Somebody may have taken the port between the choice and the start.
      if (options.port !== undefined || attempt >= START_ATTEMPTS_MAX) throw error;
    }
  }
}

async function tryToStart(options: StartRedisOptions): Promise<RedisServer> {
  const host = options.host ?? '127.0.0.1';
  const port = options.port ?? (await freePort());
  const dir = await mkdtemp(path.join(os.tmpdir(), 'forge-redis-'));
  const executable = options.executable ?? 'redis-server';
  const child = spawn(executable, argumentsFor(options, host, port, dir), { stdio: 'ignore', cwd: dir });
  let spawnFailure: Error | undefined;
  child.once('error', (error) => {
    spawnFailure = error;
  });
  const server = handle(child, { host, port, dir, options });
  try {
    await poll(`redis-server on port ${port} starts`, START_MS, async () => {
      if (spawnFailure !== undefined || ended(child)) {
        throw new Error(`redis-server did not start: ${spawnFailure?.message ?? (await server.log())}`);
      }
      const answer = await server.call('PING').catch(() => undefined);
      return answer === 'PONG';
    });
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

function handle(
  child: ChildProcess,
  { host, port, dir, options }: { host: string; port: number; dir: string; options: StartRedisOptions },
): RedisServer {
  const credentials = options.credentials ?? { password: options.requirepass };
  const connect = () => connectNode({ host, port, ...credentials, tls: options.tls?.connect });
  return {
    host,
    port,
    address: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`,
    pid: child.pid ?? -1,
    dir,
    password: options.requirepass,
    connect,
    async call(command, ...args) {
      const connection = await connect();
      try {
        return await connection.call(command, ...args);
      } finally {
        connection.close();
      }
    },
    log: () => readFile(path.join(dir, 'redis.log'), 'utf8').catch(() => ''),
    async kill(signal = 'SIGKILL') {
      if (!ended(child)) child.kill(signal);
      if (signal === 'SIGKILL' || signal === 'SIGTERM') await waitForEnd(child);
    },
    async stop() {
      // A stopped (SIGSTOP) process ends by SIGKILL only.
      if (child.pid !== undefined && !ended(child)) child.kill('SIGKILL');
      if (child.pid !== undefined) await waitForEnd(child);
      await rm(dir, { recursive: true, force: true });
    },
  };
}

export interface StartClusterOptions extends StartRedisOptions {
  /** 3 when not given. */
  masters?: number;
  /** 0 when not given. */
  replicasPerMaster?: number;
}

export interface RedisCluster {
  /** The first `masters` nodes were made masters, with even slot ranges; then come the replicas. */
  readonly nodes: readonly RedisServer[];
  readonly masters: readonly RedisServer[];
  readonly replicas: readonly RedisServer[];
  /** `host:port,host:port,…` of all nodes. */
  readonly addresses: string;
  stop(): Promise<void>;
}

/** Starts `count` empty servers at once; when one does not start, the others are stopped. */
export async function startServers(count: number, options: StartRedisOptions = {}): Promise<RedisServer[]> {
  const results = await Promise.allSettled(Array.from({ length: count }, () => startRedis(options)));
  const servers = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) {
    await Promise.all(servers.map((server) => server.stop()));
    throw failed.reason;
  }
  return servers;
}

/**
 * A real cluster on loopback, formed by plain commands and independent of the code under test. When it returns, every
 * node serves all slots and every replica is linked.
 */
export async function startCluster(options: StartClusterOptions = {}): Promise<RedisCluster> {
  const { masters: masterCount = 3, replicasPerMaster = 0, ...server } = options;
  const nodes = await startServers(masterCount * (1 + replicasPerMaster), {
    ...server,
    cluster: true,
    args: ['--repl-diskless-sync-delay', '0', ...(server.args ?? [])],
  });
  const stop = async () => {
    await Promise.all(nodes.map((node) => node.stop()));
  };
  const connections: NodeConnection[] = [];
  try {
    for (const node of nodes) connections.push(await node.connect());
    await formCluster(connections, masterCount);
  } catch (error) {
    await stop();
    throw error;
  } finally {
    for (const connection of connections) connection.close();
  }
  return {
    nodes,
    masters: nodes.slice(0, masterCount),
    replicas: nodes.slice(masterCount),
    addresses: nodes.map((node) => node.address).join(','),
    stop,
  };
}

async function formCluster(nodes: readonly NodeConnection[], masterCount: number): Promise<void> {
  const boundary = (index: number) => Math.round((index * 16_384) / masterCount);
  for (const [index, node] of nodes.entries()) {
    if (index < masterCount) await node.call('CLUSTER', 'ADDSLOTSRANGE', boundary(index), boundary(index + 1) - 1);
    await node.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
  }
  for (const from of nodes) {
    for (const to of nodes) if (from !== to) await from.call('CLUSTER', 'MEET', to.ip, to.client.options.port ?? 0);
  }
  const all = async (what: string, probe: (node: NodeConnection, index: number) => Promise<boolean>) =>
    poll(what, FORM_MS, async () => (await Promise.all(nodes.map(probe))).every(Boolean));
  const lines = async (node: NodeConnection) =>
    (await node.callText('CLUSTER', 'NODES')).split('\n').filter((line) => line !== '' && !line.includes('handshake'));
  await all('all nodes know each other', async (node) => (await lines(node)).length === nodes.length);
  const ids = await Promise.all(nodes.map((node) => node.callText('CLUSTER', 'MYID')));
  for (const [index, node] of nodes.entries()) {
    if (index >= masterCount) await node.call('CLUSTER', 'REPLICATE', ids[(index - masterCount) % masterCount] ?? '');
  }
  await all('every node serves all slots and knows all roles', async (node, index) => {
    const info = await node.callText('CLUSTER', 'INFO');
    const replicas = (await lines(node)).filter((line) => / (myself,)?slave /.test(line)).length;
    if (!info.includes('cluster_state:ok') || !info.includes('cluster_slots_ok:16384')) return false;
    if (replicas !== nodes.length - masterCount) return false;
    return index < masterCount || (await node.callText('INFO', 'replication')).includes('master_link_status:up');
  });
}
