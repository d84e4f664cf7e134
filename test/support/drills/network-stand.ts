/**
 * A cluster whose nodes, and the proxy in front of it, are hosts of their own that can lose each other: three masters with
 * a replica each. Clients are in this process, as is the client beside them that knows the cluster; both reach all hosts.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { parseAddressList } from '../../../src/cluster/address.js';
import { initCluster } from '../../../src/cluster/init/init-cluster.js';
import { parseClusterNodes } from '../../../src/cluster/parse-nodes.js';
import type { SlotSet } from '../../../src/cluster/slots.js';
import { Topology } from '../../../src/cluster/topology.js';
import { clusterEndpoint } from '../../../src/drills/link/cluster.js';
import { type Endpoint, isLink } from '../../../src/drills/link/link.js';
import { rawEndpoint } from '../../../src/drills/link/raw.js';
import { type Host, PartitionNetwork } from '../../integration/torture/partition-network.js';
import { proxyExecutable, writeConfig } from '../proxy.js';
import { poll, type RedisServer, type StartRedisOptions, startRedis } from '../redis.js';
import type { Stand } from './matrix.js';
import { between, type CutKind, Cuts } from './network-cuts.js';
import { SlowLine, type SlowLineOptions } from './slow-line.js';

const PASSWORD = 'network secret';
const NODES = 6;
const PORT = 6379;
const ADMIN_PORT = 9901;
const WHOLE_MS = 60_000;
const START_MS = 15_000;
const STOP_MS = 8_000;

export interface NetworkNode {
  readonly host: Host;
  readonly id: string;
  readonly directory: string;
  /** Another one after `restart`. */
  server: RedisServer;
}

export interface NetworkShard {
  readonly master: NetworkNode;
  readonly replica: NetworkNode;
  readonly slots: SlotSet;
}

export interface NetworkStandOptions {
  readonly nodeTimeoutMs: number;
}

export class NetworkStand implements Stand {
  readonly #network: PartitionNetwork;
  readonly #nodeTimeoutMs: number;
  readonly #cuts = new Cuts();
  readonly #proxy: Host;
  #nodes: NetworkNode[] = [];
  #slow: SlowLine | undefined;
  #proxyProcess: { readonly child: ChildProcess; readonly dir: string; said: string } | undefined;

  private constructor(network: PartitionNetwork, { nodeTimeoutMs }: NetworkStandOptions) {
    this.#network = network;
    this.#nodeTimeoutMs = nodeTimeoutMs;
    this.#proxy = network.host();
  }

  /** @throws Error where no network can be made: that takes Linux and root */
  static async start(options: NetworkStandOptions): Promise<NetworkStand> {
    const network = PartitionNetwork.create();
    if (network === null) throw new Error('no network can be made here: that takes Linux, root and ip (iproute2)');
    const stand = new NetworkStand(network, options);
    try {
      await stand.#begin();
      return stand;
    } catch (error) {
      await stand.stop();
      throw error;
    }
  }

  async #begin(): Promise<void> {
    const hosts = Array.from({ length: NODES }, () => this.#network.host());
    const started = await Promise.allSettled(
      hosts.map(async (host) => {
        const server = await startRedis(this.#redis(host));
        const id = String(await server.call('CLUSTER', 'MYID'));
        this.#nodes.push({ host, server, id, directory: server.dir });
      }),
    );
    for (const each of started) if (each.status === 'rejected') throw each.reason;
    const addresses = this.#nodes.map(({ server }) => server.address).join(',');
    await initCluster({
      nodes: parseAddressList(addresses),
      replicasPerMaster: 1,
      connect: { password: PASSWORD },
    });
    await this.whole();
    await this.#startProxy();
  }

  #redis(host: Host): StartRedisOptions {
    const timeout = String(this.#nodeTimeoutMs);
    const args = ['--cluster-node-timeout', timeout, '--cluster-require-full-coverage', 'no'];
    return {
      ...this.#network.runs(host),
      cluster: true,
      requirepass: PASSWORD,
      port: PORT,
      args: [...args, '--repl-diskless-sync-delay', '0', '--appendonly', 'yes', '--repl-backlog-size', '16mb'],
    };
  }

  async #startProxy(): Promise<void> {
    const { ip, enter } = this.#proxy;
    const { dir, file } = await writeConfig({
      admin: { address: `${ip}:${ADMIN_PORT}` },
      workers: 2,
      listeners: [{ address: `${ip}:${PORT}`, cluster: 'main' }],
      clusters: [
        {
          name: 'main',
          type: 'redis_cluster',
          endpoints: this.#nodes.map(({ server }) => server.address),
          auth_password: { inline: PASSWORD },
        },
      ],
    });
    const child = spawn('env', [...enter, proxyExecutable(), '--config', file], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const proxy = { child, dir, said: '' };
    this.#proxyProcess = proxy;
    child.stderr.on('data', (text) => {
      proxy.said += text;
    });
    await poll('the proxy answers', START_MS, async () => {
      if (child.exitCode !== null) throw new Error(`the proxy ended:\n${proxy.said}`);
      const link = await this.endpoint.connect();
      if (!isLink(link)) return false;
      const [outcome] = await link.send([['GET', 'any']]);
      link.close();
      return outcome?.ok;
    });
  }

  /** The proxy, as a plain client has it. */
  get endpoint(): Endpoint {
    return rawEndpoint({ host: this.#proxy.ip, port: PORT });
  }

  /** The nodes, as a client that knows the cluster has them. */
  async beside(): Promise<Endpoint> {
    return clusterEndpoint(
      this.#nodes.map(({ host }) => ({ host: host.ip, port: PORT })),
      { password: PASSWORD },
    );
  }

  /** What the proxy has written. */
  get proxyLog(): string {
    return this.#proxyProcess?.said ?? '';
  }

  /** Where the proxy is, and the client beside it. */
  get clients(): readonly Host[] {
    return [this.#proxy, this.#network.here];
  }

  get nodes(): readonly NetworkNode[] {
    return this.#nodes;
  }

  /** All nodes but these. */
  others(...these: readonly NetworkNode[]): NetworkNode[] {
    return this.#nodes.filter((node) => !these.includes(node));
  }

  /** Who serves what, as this node has it: any one when not given. Masters without a replica are left out. */
  async shards(asked = this.#nodes[0] as NetworkNode): Promise<NetworkShard[]> {
    const { shards } = new Topology(parseClusterNodes(String(await asked.server.call('CLUSTER', 'NODES'))));
    const node = (id: string | undefined) => this.#nodes.find((each) => each.id === id);
    return shards.flatMap(({ master: { id, slots }, replicas: [first] }) => {
      const [master, replica] = [node(id), node(first?.id)];
      return master === undefined || replica === undefined ? [] : [{ master, replica, slots }];
    });
  }

  async isMaster({ server }: NetworkNode): Promise<boolean> {
    const [role] = (await server.call('ROLE')) as unknown[];
    return String(role) === 'master';
  }

  /** Every one of the first loses every one of the second. */
  async cut(kind: CutKind, ones: readonly Host[], others: readonly Host[]): Promise<void> {
    await this.#cuts.cut(kind, between(ones, others));
  }

  /** What every one of the first sends to every one of the second is lost; what comes from there arrives. */
  async lose(from: readonly Host[], to: readonly Host[]): Promise<void> {
    await this.#cuts.cut(
      'silent',
      from.flatMap((one) => to.map((other) => [one, other] as const)),
    );
  }

  /** The line to one node is slow, or loses packets. One at a time. */
  async slow({ host }: NetworkNode, how: Pick<SlowLineOptions, 'delayMs' | 'loss' | 'seed'>): Promise<void> {
    this.#slow = await SlowLine.begin({ ...this.#network.lineOf(host), ...how });
  }

  /** All lines are as they were. */
  async heal(): Promise<void> {
    const slow = this.#slow;
    this.#slow = undefined;
    await Promise.all([this.#cuts.heal(), slow?.end()]);
  }

  /** The server of a node that was killed again, with its data. */
  async restart(node: NetworkNode): Promise<void> {
    const { args = [], ...options } = this.#redis(node.host);
    node.server = await startRedis({ ...options, args: [...args, '--dir', node.directory] });
  }

  /** Waits until every replica is linked, and every node is sure that all slots are served and that nobody fails. */
  async whole(): Promise<void> {
    await poll('the cluster is whole', WHOLE_MS, async () => {
      const found = await Promise.all(this.#nodes.map((node) => isWell(node).catch(() => false)));
      return found.every(Boolean);
    });
  }

  /** Ends and removes everything; safe to call when it has not begun. */
  async stop(): Promise<void> {
    try {
      await this.heal();
      if (this.#proxyProcess !== undefined) await end(this.#proxyProcess);
      await Promise.all(
        this.#nodes.map(async ({ server, directory }) => {
          await server.stop();
          await rm(directory, { recursive: true, force: true });
        }),
      );
    } finally {
      this.#network.remove();
    }
  }
}

async function isWell({ server }: NetworkNode): Promise<boolean> {
  const info = String(await server.call('CLUSTER', 'INFO'));
  const sure = ['state:ok', 'slots_ok:16384', 'slots_pfail:0', 'slots_fail:0'];
  if (!sure.every((each) => info.includes(`cluster_${each}`))) return false;
  const { shards, nodes } = new Topology(parseClusterNodes(String(await server.call('CLUSTER', 'NODES'))));
  if (shards.some(({ replicas, master }) => replicas.length !== 1 || master.slots.length === 0)) return false;
  if (nodes.some(({ flags, linked }) => !linked || flags.some((flag) => flag.startsWith('fail')))) return false;
  return /role:master|master_link_status:up/.test(String(await server.call('INFO', 'replication')));
}

async function end({ child, dir }: { readonly child: ChildProcess; readonly dir: string }): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(late);
  }
  await rm(path.resolve(dir), { recursive: true, force: true });
}
