/**
 * A client that knows the cluster itself (ioredis): what a proxy is compared with. It publishes through any node, so that
 * messages of one channel overtake each other: no order can be expected there.
 */
import { Cluster, type ClusterOptions } from 'ioredis';
import { formatAddress, type NodeAddress } from '../../cluster/address.js';
import type { ConnectSettings } from '../../cluster/node-pool.js';
import { type Endpoint, type Link, type LinkReply, type Outcome, type Refusal, refusalOf } from './link.js';
import { REPLY_MS } from './raw.js';

const RETRY_MS = 50;
/** From being asked until a client knows the cluster and has a connection. */
const CONNECT_MS = 15_000;

/** @param seeds nodes of the cluster */
export function clusterEndpoint(seeds: readonly NodeAddress[], connect: ConnectSettings = {}): Endpoint {
  const [first] = seeds;
  // One after the other: of a crowd in one process, each would see the others' handshakes as a server that is too slow.
  let queue: Promise<unknown> = Promise.resolve();
  return {
    label: `cluster at ${first === undefined ? '?' : formatAddress(first)}`,
    connect: () => {
      const until = performance.now() + CONNECT_MS;
      const connected = queue.then(() => connectCluster(seeds, connect, until));
      queue = connected;
      return connected;
    },
  };
}

/** Never rejects. */
async function connectCluster(
  seeds: readonly NodeAddress[],
  connect: ConnectSettings,
  until: number,
): Promise<Link | Refusal> {
  const client = new Cluster([...seeds], optionsOf(connect));
  // Told of each node that goes away; what counts is what commands answer.
  client.on('error', () => undefined);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(reject, Math.max(0, until - performance.now()), new Error('no connection in time'));
  });
  try {
    await Promise.race([client.connect(), late]);
    return new ClusterLink(client);
  } catch (error) {
    client.disconnect();
    return { ok: false, kind: 'connect', message: (error as Error).message, certain: true };
  } finally {
    clearTimeout(timer);
  }
}

function optionsOf({ username, password, tls }: ConnectSettings): ClusterOptions {
  return {
    lazyConnect: true,
    // As it comes but for two: it looks for a new master often, and does not hold a command for ever.
    clusterRetryStrategy: () => RETRY_MS,
    retryDelayOnFailover: RETRY_MS,
    maxRedirections: Math.ceil(REPLY_MS / RETRY_MS),
    redisOptions: { username, password, tls, connectTimeout: 1_000 },
    ...(tls === undefined ? {} : { dnsLookup: (name, found) => found(null, name) }),
  };
}

class ClusterLink implements Link {
  readonly #client: Cluster;
  #closed = false;

  constructor(client: Cluster) {
    this.#client = client;
  }

  readonly failure = undefined;

  get isOpen(): boolean {
    return !this.#closed;
  }

  send(commands: readonly (readonly string[])[]): Promise<Outcome[]> {
    return Promise.all(commands.map((command) => this.#one(command)));
  }

  #one([name = '', ...args]: readonly string[]): Promise<Outcome> {
    return this.#bounded(() => this.#client.call(name, ...args) as Promise<LinkReply>);
  }

  async #bounded(work: () => Promise<LinkReply>): Promise<Outcome> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<Refusal>((resolve) => {
      const refusal: Refusal = { ok: false, kind: 'timeout', message: `no reply in ${REPLY_MS} ms`, certain: false };
      timer = setTimeout(resolve, REPLY_MS, refusal);
    });
    try {
      return await Promise.race([
        late,
        work().then(
          (reply): Outcome => ({ ok: true, reply }),
          (error: Error): Outcome =>
            error.name === 'ReplyError'
              ? refusalOf(error.message)
              : { ok: false, kind: 'closed', message: error.message, certain: false },
        ),
      ]);
    } finally {
      clearTimeout(timer);
    }
  }

  async transaction(commands: readonly (readonly string[])[]): Promise<Outcome> {
    return this.#bounded(async () => {
      const replies = await this.#client
        .multi(commands.map(([name = '', ...args]) => [name.toLowerCase(), ...args]))
        .exec();
      return (replies ?? []).map(([error, reply]) => (error === null ? (reply as LinkReply) : `-${error.message}`));
    });
  }

  async subscribe(channel: string, onMessage: (channel: string, text: string) => void): Promise<Outcome> {
    this.#client.on('message', onMessage);
    try {
      await this.#client.subscribe(channel);
      return { ok: true, reply: 'OK' };
    } catch (error) {
      return refusalOf((error as Error).message);
    }
  }

  close(): void {
    this.#closed = true;
    this.#client.disconnect();
  }
}
