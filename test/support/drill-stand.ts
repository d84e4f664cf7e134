/**
 * What drills happen to: a local cluster of `forge up`, three masters with a replica each and the proxy in front of them,
 * each under its supervisor; changed by the commands that operators type.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parse, stringify } from 'yaml';
import { connectNode } from '../../src/cluster/node-connection.js';
import type { ConnectSettings } from '../../src/cluster/node-pool.js';
import { clusterEndpoint } from '../../src/drills/link/cluster.js';
import type { Endpoint } from '../../src/drills/link/link.js';
import { rawEndpoint } from '../../src/drills/link/raw.js';
import { readRecord } from '../../src/runtime/process/record.js';
import { type ForgeResult, forge, type RunningForge, startForge } from './forge.js';
import { BUS_OFFSET, freePorts } from './ports.js';
import { poll } from './redis.js';

const NAME = 'drill';
const WHOLE_MS = 60_000;
const COMMAND_MS = 120_000;

export interface StandNode {
  readonly port: number;
  readonly pid: number;
  readonly id: string;
  readonly role: 'master' | 'replica';
  readonly masterId: string | null;
  readonly phase: string;
  readonly restarts: number;
}

interface Status {
  readonly health: string;
  readonly slotsServed: number;
  readonly nodes: readonly StandNode[];
  readonly proxy: { readonly port: number; readonly pid: number; readonly admin: { readonly port: number } };
}

export interface ProxyConfig {
  readonly listeners: readonly object[];
  readonly clusters: readonly object[];
}

export class DrillStand {
  readonly #home: string;
  readonly #passwords: { readonly endpoint: string; readonly admin: string };
  readonly #port: number;

  readonly #servers = new Map<number, { readonly child: ChildProcess; readonly directory: string }>();

  private constructor(home: string, port: number, passwords: { endpoint: string; admin: string }) {
    this.#home = home;
    this.#port = port;
    this.#passwords = passwords;
  }

  static async start(...flags: string[]): Promise<DrillStand> {
    return await DrillStand.startOn(undefined, ...flags);
  }

  /** @param disk a folder that is to hold what the nodes write, and nothing else */
  static async startOn(disk: string | undefined, ...flags: string[]): Promise<DrillStand> {
    const home = await mkdtemp(path.join(os.tmpdir(), 'forge-drill-'));
    try {
      if (disk !== undefined) {
        await mkdir(path.join(home, NAME), { mode: 0o700 });
        await symlink(disk, path.join(home, NAME, 'nodes'));
      }
      const auto = ['--base-port', 'auto', '--proxy-port', 'auto', '--admin-port', 'auto'];
      const result = await forge(['up', '--name', NAME, ...auto, ...flags, '--json'], {
        env: { FORGE_HOME: home },
        limitMs: COMMAND_MS,
      });
      if (result.code !== 0) throw new Error(`forge up: ${result.stdout}${result.stderr}`);
      const secret = async (name: string) => (await readFile(path.join(home, NAME, 'secrets', name), 'utf8')).trim();
      const passwords = { endpoint: await secret('endpoint'), admin: await secret('admin') };
      return new DrillStand(home, JSON.parse(result.stdout).endpoint.port, passwords);
    } catch (error) {
      await forge(['down', '--name', NAME, '--purge', '--yes'], { env: { FORGE_HOME: home } });
      await rm(home, { recursive: true, force: true });
      throw error;
    }
  }

  /** Everything of the cluster: see src/local/paths.ts. */
  get directory(): string {
    return path.join(this.#home, NAME);
  }

  /** The proxy, as a plain client has it. */
  get endpoint(): Endpoint {
    return rawEndpoint({ host: '127.0.0.1', port: this.#port, password: this.#passwords.endpoint });
  }

  /** The nodes, as a client that knows the cluster has them. */
  async beside(): Promise<Endpoint> {
    const { nodes } = await this.status();
    return clusterEndpoint(
      nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
      this.#credentials,
    );
  }

  get #credentials(): ConnectSettings {
    return { username: 'admin', password: this.#passwords.admin };
  }

  /** One command of the program, on this cluster, however it ends. */
  async attempt(...words: string[]): Promise<ForgeResult> {
    return await forge([...words, '--name', NAME], { env: { FORGE_HOME: this.#home }, limitMs: COMMAND_MS });
  }

  /** One command of the program, on this cluster, while it runs. */
  begin(...words: string[]): RunningForge {
    return startForge([...words, '--name', NAME], { env: { FORGE_HOME: this.#home }, limitMs: COMMAND_MS });
  }

  /** One command of the program, on this cluster. @throws Error with what it said when it fails */
  async forge(...words: string[]): Promise<string> {
    const result = await this.attempt(...words);
    if (result.code !== 0) throw new Error(`forge ${words.join(' ')}: ${result.code} ${result.stdout}${result.stderr}`);
    return result.stdout;
  }

  async status(): Promise<Status> {
    // Of a cluster that is not whole it ends with another code, and says the same.
    const { stdout } = await forge(['status', '--json', '--name', NAME], { env: { FORGE_HOME: this.#home } });
    return JSON.parse(stdout);
  }

  /** Who keeps the nodes running: the process of each. */
  async supervisors(): Promise<number[]> {
    const { nodes } = await this.status();
    const folder = path.join(this.directory, 'nodes');
    const records = await Promise.all(
      nodes.map(({ port }) => readRecord(path.join(folder, String(port), 'redis.run'))),
    );
    return records.flatMap((record) => (record?.supervisor === undefined ? [] : [record.supervisor.pid]));
  }

  async masters(): Promise<StandNode[]> {
    return (await this.status()).nodes.filter(({ role }) => role === 'master');
  }

  /** Servers with the settings, users and passwords of the nodes, which belong to no cluster yet. */
  async startServers(count: number): Promise<number[]> {
    const [like] = (await this.status()).nodes;
    const from = path.join(this.#home, NAME, 'nodes', String(like?.port));
    const ports = await freePorts(count);
    for (const port of ports) {
      const directory = path.join(this.#home, 'more', String(port));
      await mkdir(directory, { recursive: true });
      for (const name of ['redis.conf', 'users.acl', 'replication-auth.conf']) {
        const text = (await readFile(path.join(from, name), 'utf8')).replaceAll(from, directory);
        const own = text
          .replace(/^port .*$/m, `port ${port}`)
          .replace(/^cluster-port .*$/m, `cluster-port ${port + BUS_OFFSET}`);
        await writeFile(path.join(directory, name), own, { mode: 0o600 });
      }
      const child = spawn('redis-server', [path.join(directory, 'redis.conf')], { stdio: 'ignore' });
      this.#servers.set(port, { child, directory });
      await poll('the server answers', WHOLE_MS, () =>
        this.call(port, 'PING').then(
          () => true,
          () => false,
        ),
      );
    }
    return ports;
  }

  get #proxyFile(): string {
    return path.join(this.#home, NAME, 'proxy', 'proxy.yaml');
  }

  /** What the proxy was told at its start, or since. */
  async proxyConfig(): Promise<ProxyConfig> {
    return parse(await readFile(this.#proxyFile, 'utf8'));
  }

  /** What the proxy reads at its next reload. */
  async configureProxy(config: ProxyConfig): Promise<void> {
    await writeFile(this.#proxyFile, stringify(config), { mode: 0o600 });
  }

  /** What the node answers to one command. */
  async call(port: number, command: string, ...args: string[]): Promise<unknown> {
    const connection = await connectNode({ host: '127.0.0.1', port, ...this.#credentials });
    try {
      return await connection.call(command, ...args);
    } finally {
      connection.close();
    }
  }

  /** Waits until every node runs, every replica is linked, and all agree that all slots are served. */
  async whole(): Promise<void> {
    await poll('the cluster is whole', WHOLE_MS, async () => {
      const { nodes } = await this.status();
      if (nodes.some(({ phase }) => phase !== 'running')) return false;
      for (const { port } of nodes) {
        const info = String(await this.call(port, 'INFO', 'replication').catch(() => ''));
        if (!/role:master|master_link_status:up/.test(info)) return false;
        const state = String(await this.call(port, 'CLUSTER', 'INFO').catch(() => ''));
        // Members of the cluster that are none of the local nodes have slots as well.
        if (!/cluster_state:ok/.test(state) || !/cluster_slots_ok:16384/.test(state)) return false;
      }
      return nodes.filter(({ role }) => role === 'master').length * 2 === nodes.length;
    });
  }

  async stop(): Promise<void> {
    for (const { child } of this.#servers.values()) {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
    await this.forge('down', '--purge', '--yes');
    await rm(this.#home, { recursive: true, force: true });
  }
}
