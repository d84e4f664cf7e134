/** A folder with a forge.yaml of which `forge deploy proxy` makes a proxy in front of one node, on an engine of the tests. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { stringify } from 'yaml';
import { derivedPassword } from '../../src/config/deploy-secrets.js';
import type { DockerClient } from './docker/client.js';
import { type ForgeOptions, type ForgeResult, type RunningForge, startForge } from './forge.js';
import { freePort } from './ports.js';
import { poll, type RedisServer, startRedis } from './redis.js';

/** The administrator's, which clients of the proxy give. */
export const PROXY_PASSWORD = 'first "secret"';
const READY_MS = 10_000;
const COMMAND_MS = 110_000;

export interface ProxyAnswer {
  readonly status: string;
  readonly proxies: readonly { readonly action: string; readonly reasons: readonly string[] }[];
  readonly commands?: readonly { readonly line: string }[];
  readonly elapsedMs: number;
}

export interface DeployedProxy {
  readonly cluster: string;
  readonly folder: string;
  readonly port: number;
  readonly adminPort: number;
  /** Of its container. */
  readonly name: string;
  /** One node with all slots. */
  readonly server: RedisServer;
  /** Lets the proxy's user in, as it is with this password of the administrator. */
  allow(password: string): Promise<void>;
  /** Writes forge.yaml. @param proxy what is different in its section */
  write(proxy?: Record<string, unknown>): Promise<void>;
  /** Writes proxy.yaml: one without passwords, with these changes; `write` names it as `config`. */
  configure(changes?: Record<string, unknown>): Promise<void>;
  /** Starts `forge deploy proxy`. */
  start(words?: readonly string[], options?: ForgeOptions): RunningForge;
  /** Runs it with --yes and --json. */
  deploy(words?: readonly string[], environment?: NodeJS.ProcessEnv): Promise<ForgeResult & { answer: ProxyAnswer }>;
  /** Names of all containers of the cluster with their states, one a line. */
  containers(): Promise<string>;
  volumes(): Promise<string[]>;
  /** Of the container that has the name. */
  inspect(format: string): Promise<string>;
  remove(): Promise<void>;
}

/** @param image of the proxy @param address of the node, and of the host that it is on */
export async function deployedProxy(
  docker: DockerClient,
  cluster: string,
  image: string,
  address = '127.0.0.1',
): Promise<DeployedProxy> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'forge-deploy-proxy-'));
  const server = await startRedis({ cluster: true, host: address });
  const [port, adminPort] = [await freePort(), await freePort()];
  await server.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383);
  await poll('it serves all slots', READY_MS, async () =>
    String(await server.call('CLUSTER', 'INFO')).includes('cluster_state:ok'),
  );
  const allow = async (password: string) => {
    const secret = derivedPassword(password, cluster, 'app');
    await server.call('ACL', 'SETUSER', 'app_user', 'on', `>${secret}`, '~*', '&*', '+@all');
  };
  await allow(PROXY_PASSWORD);
  const filter = ['--filter', `label=io.redisforge.cluster=${cluster}`];
  const lines = async (...words: string[]) => (await docker.run([...words, ...filter])).split('\n').filter(Boolean);
  const start = (words: readonly string[] = [], options: ForgeOptions = {}) =>
    startForge(['deploy', 'proxy', '--yes', ...words], {
      cwd: folder,
      limitMs: COMMAND_MS,
      ...options,
      env: { REDIS_REQUIREPASS: PROXY_PASSWORD, FORGE_HOME: path.join(folder, 'home'), ...options.env },
    });
  return {
    ...{ cluster, folder, port, adminPort, server, allow, start, name: `${cluster}-proxy` },
    write: async (proxy = {}) => {
      const settings = {
        cluster,
        nodes: [{ host: address, port: server.port, docker_host: 'here' }],
        hosts: { here: { docker: docker.host, address } },
        redis: { version: '7.0', network: 'host' },
        proxy: { image, hosts: ['here'], port, admin_port: adminPort, workers: 2, network: 'host', ...proxy },
      };
      await writeFile(path.join(folder, 'forge.yaml'), stringify(settings));
    },
    configure: async (changes = {}) => {
      const config = {
        admin: { address: `127.0.0.1:${adminPort}` },
        workers: 2,
        listeners: [{ address: `127.0.0.1:${port}`, cluster: 'main' }],
        clusters: [{ name: 'main', type: 'redis_cluster', endpoints: [server.address] }],
        ...changes,
      };
      await writeFile(path.join(folder, 'proxy.yaml'), stringify(config));
    },
    deploy: async (words = [], environment = {}) => {
      const result = await start(['--json', ...words], { env: environment }).ended;
      return { ...result, answer: JSON.parse(result.stdout) as ProxyAnswer };
    },
    containers: async () => (await lines('ps', '-a', '--format', '{{.Names}} {{.State}}')).sort().join('\n'),
    volumes: async () => (await lines('volume', 'ls', '-q')).sort(),
    inspect: async (format) => await docker.run(['inspect', '-f', format, `${cluster}-proxy`]),
    remove: async () => {
      for (const id of await lines('ps', '-aq')) await docker.try(['rm', '-f', id]);
      for (const volume of await lines('volume', 'ls', '-q')) await docker.try(['volume', 'rm', volume]);
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Builds an image on another one, of these lines of a Dockerfile. @returns its tag */
export async function derivedImage(
  docker: DockerClient,
  from: string,
  tag: string,
  ...lines: string[]
): Promise<string> {
  await docker.run(['build', '-q', '-t', tag, '-'], Readable.from([`FROM ${from}\n${lines.join('\n')}\n`]));
  return tag;
}
