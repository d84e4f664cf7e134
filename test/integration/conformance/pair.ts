/** What is compared: one server, and the proxy in front of a cluster of the same release. */
import { Server } from '../../../src/proxy/engine/commands/spec.js';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { type RedisCluster, type RedisServer, startCluster, startRedis } from '../../support/redis.js';

/** A server ends waits at its timer's ticks; at the default ten a second, every short timeout would take 100 ms. */
const TIMERS = ['--hz', '100'];

export class Pair {
  private constructor(
    readonly server: RedisServer,
    readonly cluster: RedisCluster,
    readonly proxy: RunningProxy,
    private readonly direct: RawClient,
    private readonly nodes: readonly RawClient[],
    /** Bit of `Server` in the command table. */
    readonly release: number,
  ) {}

  static async start(executable: string): Promise<Pair> {
    const options = { executable, args: TIMERS };
    const [cluster, server] = await Promise.all([startCluster(options), startRedis(options)]);
    const proxy = await startProxy({ cluster: cluster.addresses });
    const connect = ({ port }: RedisServer) => RawClient.connect({ port });
    const [direct, ...nodes] = await Promise.all([server, ...cluster.nodes].map(connect));
    return new Pair(server, cluster, proxy, direct!, nodes, await releaseOf(direct!));
  }

  /** No data, no scripts, no functions, on any node; not through the proxy, which is what is being tested. */
  async empty(): Promise<void> {
    const commands = [['FLUSHALL'], ['SCRIPT', 'FLUSH'], ['FUNCTION', 'FLUSH']];
    await Promise.all([this.direct, ...this.nodes].map((node) => node.pipeline(commands)));
  }

  blockedDirectly(): Promise<number> {
    return blockedClients(this.direct);
  }

  async blockedBehindProxy(): Promise<number> {
    return (await Promise.all(this.nodes.map(blockedClients))).reduce((sum, count) => sum + count, 0);
  }

  async stop(): Promise<void> {
    for (const client of [this.direct, ...this.nodes]) client.close();
    await this.proxy.stop();
    await Promise.all([this.cluster.stop(), this.server.stop()]);
  }
}

async function releaseOf(node: RawClient): Promise<number> {
  const info = (await node.call('INFO', 'server')) as string;
  if (/^valkey_version:/m.test(info)) return Server.valkey9;
  return /^redis_version:7\./m.test(info) ? Server.redis7 : Server.redis8;
}

async function blockedClients(node: RawClient): Promise<number> {
  const info = (await node.call('INFO', 'clients')) as string;
  return Number(/^blocked_clients:(\d+)/m.exec(info)?.[1]);
}
