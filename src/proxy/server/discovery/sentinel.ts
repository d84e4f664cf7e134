import { type Address, type ClusterConfig, formatAddress } from '../../config/schema.js';
import type { ShardedConfig } from '../../config/sharded.js';
import { type Reply, ReplyError } from '../../engine/resp/decode.js';
import type { Logger } from '../logger.js';
import { type Credentials, UpstreamClient } from '../upstream-client.js';
import { RefreshedHosts } from './refreshed-hosts.js';
import type { ShardHost } from './sharded.js';

/** Sentinels that are remembered, those of the configuration counted in. */
const SENTINELS_MAX = 64;
/** Masters that are looked for side by side. */
const AT_ONCE = 16;
/** When one Sentinel has answered, the others are waited for so long. */
const VOTES_MS = 250;

export interface SentinelLogin {
  /** For the masters. */
  readonly redis: Credentials;
  /** For the Sentinels; the user's name is in the configuration. */
  readonly sentinelPassword: string;
}

/** What the connections to one Sentinel are. */
interface Watched {
  readonly address: Address;
  /** For questions. */
  asking: Promise<UpstreamClient> | null;
  /** Hears of failovers. */
  hearing: UpstreamClient | null;
}

/** A server that Sentinels name as the master. */
interface Vote {
  readonly address: Address;
  /** One of them. */
  readonly sentinel: Watched;
  count: number;
}

/**
 * Finds masters by their names and follows them, as Redis's guide for Sentinel clients asks
 * (https://redis.io/docs/latest/develop/reference/sentinel-clients/): any Sentinel is asked for the address, the server
 * there must say of itself that it is a master, and `+switch-master` tells of a failover at once.
 */
export class SentinelHosts extends RefreshedHosts {
  private readonly sentinels = new Map<string, Watched>();
  private readonly masters = new Map<string, Address>();
  private readonly replicas = new Map<string, Address[]>();
  private readonly names: readonly string[];
  private readonly login: Credentials;
  private stopped = false;

  constructor(
    private readonly cluster: ClusterConfig,
    config: ShardedConfig,
    private readonly logins: SentinelLogin,
    private readonly readReplicas: boolean,
    private readonly found: (hosts: readonly ShardHost[]) => void,
    private readonly logger: Logger,
  ) {
    super({
      what: `Sentinel of cluster ${cluster.name}`,
      rateMs: cluster.cluster_refresh_rate,
      intervalMs: cluster.redirect_refresh_interval,
      logger,
    });
    const { endpoints, masters, username } = config.sentinel as NonNullable<ShardedConfig['sentinel']>;
    this.names = masters;
    const { sentinelTls: tls, sentinelPrevious: previous } = logins.redis;
    this.login = { username, password: logins.sentinelPassword, previous, tls };
    for (const endpoint of endpoints) this.learn(endpoint);
  }

  override stop(): void {
    this.stopped = true;
    super.stop();
    for (const { asking, hearing } of this.sentinels.values()) {
      asking?.then((client) => client.close()).catch(() => {});
      hearing?.close();
    }
  }

  private learn(address: Address): void {
    const key = formatAddress(address);
    if (this.sentinels.size < SENTINELS_MAX && !this.sentinels.has(key))
      this.sentinels.set(key, { address, asking: null, hearing: null });
  }

  // ---------------------------------------------------------------- refreshing

  protected async refresh(): Promise<void> {
    // Whoever is known hears of failovers; a Sentinel that is down does not hold the others up.
    for (const sentinel of this.sentinels.values()) void this.hear(sentinel);
    const errors: string[] = [];
    for (let at = 0; at < this.names.length; at += AT_ONCE) {
      const names = this.names.slice(at, at + AT_ONCE);
      await Promise.all(
        names.map((name) => this.find(name).catch((error: Error) => errors.push(`${name}: ${error.message}`))),
      );
    }
    // Keys divided among some of the masters only would be in the wrong places.
    if (!this.stopped && this.masters.size === this.names.length) this.found(this.hosts());
    if (errors.length > 0) throw new Error(errors.join('; '));
  }

  private hosts(): ShardHost[] {
    return this.names.map((name) => ({
      key: name,
      ...(this.masters.get(name) as Address),
      weight: 1,
      replicas: this.replicas.get(name) ?? [],
    }));
  }

  /**
   * Asks the Sentinels. When they name several servers, or another than before, the servers are asked as well; of two
   * that call themselves masters, on two sides of a broken network, the one that more Sentinels name is it.
   */
  private async find(name: string): Promise<void> {
    const { votes, errors } = await this.vote(name);
    if (votes.length === 0) throw new Error(errors.join(', '));
    const known = this.masters.get(name);
    let [chosen] = votes as [Vote];
    if (votes.length > 1 || known === undefined || formatAddress(known) !== formatAddress(chosen.address)) {
      const checked = await Promise.all(
        votes.map((vote) =>
          this.checkMaster(vote.address).then(
            () => vote,
            (error: Error) => void errors.push(error.message),
          ),
        ),
      );
      const masters = checked.filter((vote) => vote !== undefined);
      if (masters.length === 0) throw new Error(errors.join(', '));
      chosen = masters[0] as Vote;
    }
    this.masters.set(name, chosen.address);
    await this.learnMore(chosen.sentinel, name, chosen.address);
  }

  /** What the Sentinels say, the most frequent answer first. The slow ones are not waited for. */
  private async vote(name: string): Promise<{ votes: Vote[]; errors: string[] }> {
    const votes = new Map<string, Vote>();
    const errors: string[] = [];
    const answered = [...this.sentinels.values()].map(async (sentinel) => {
      try {
        const address = readAddress(await this.ask(sentinel, ['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name]));
        if (address === null) throw new Error(`knows no master '${name}'`);
        const vote = votes.get(formatAddress(address));
        if (vote === undefined) votes.set(formatAddress(address), { address, sentinel, count: 1 });
        else vote.count++;
      } catch (error) {
        errors.push(`${formatAddress(sentinel.address)}: ${(error as Error).message}`);
        throw error;
      }
    });
    await Promise.any(answered).catch(() => {});
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, VOTES_MS);
    });
    await Promise.race([Promise.allSettled(answered), late]);
    clearTimeout(timer);
    return { votes: [...votes.values()].sort((a, b) => b.count - a.count), errors };
  }

  private async ask(sentinel: Watched, command: readonly string[]): Promise<Reply> {
    const { connect_timeout: connectMs, cluster_refresh_timeout: replyMs } = this.cluster;
    const before = sentinel.asking;
    const last = before === null ? null : await before.catch(() => null);
    if ((last === null || last.closed) && sentinel.asking === before) {
      // Several may ask at once; the first of them connects.
      const { host, port } = sentinel.address;
      sentinel.asking = UpstreamClient.connect(host, port, this.login, connectMs);
    }
    const client = await (sentinel.asking as Promise<UpstreamClient>);
    if (this.stopped) client.close();
    const reply = await client.command(command, replyMs);
    if (reply instanceof ReplyError) throw new Error(reply.message);
    return reply;
  }

  /** A Sentinel may be behind: the server itself must say that it is a master. */
  private async checkMaster(address: Address): Promise<void> {
    const { connect_timeout: connectMs, cluster_refresh_timeout: replyMs } = this.cluster;
    const client = await UpstreamClient.connect(address.host, address.port, this.logins.redis, connectMs);
    try {
      const role = await client.command(['ROLE'], replyMs);
      // Who may not ask for the role has to believe the Sentinel.
      if (role instanceof ReplyError && role.message.startsWith('NOPERM')) return;
      if (!Array.isArray(role) || role[0] !== 'master') throw new Error(`${formatAddress(address)} is no master`);
    } finally {
      client.close();
    }
  }

  /** The other Sentinels, and the replicas when somebody reads from them. */
  private async learnMore(sentinel: Watched, name: string, master: Address): Promise<void> {
    for (const fields of readRecords(await this.ask(sentinel, ['SENTINEL', 'SENTINELS', name]))) {
      const address = addressOf(fields);
      if (address !== null) this.learn(address);
    }
    if (!this.readReplicas) return;
    const replicas: Address[] = [];
    for (const fields of readRecords(await this.ask(sentinel, ['SENTINEL', 'SLAVES', name]))) {
      const address = addressOf(fields);
      const down = /s_down|o_down|disconnected/.test(fields.get('flags') ?? '');
      if (address === null || down || formatAddress(address) === formatAddress(master)) continue;
      replicas.push(address);
    }
    replicas.sort((a, b) => (formatAddress(a) < formatAddress(b) ? -1 : 1));
    this.replicas.set(name, replicas);
  }

  // ---------------------------------------------------------------- following

  /** Subscribes to the news of one Sentinel; what it missed before is found by the next refresh. */
  private async hear(sentinel: Watched): Promise<void> {
    if (sentinel.hearing !== null && !sentinel.hearing.closed) return;
    const { connect_timeout: connectMs, cluster_refresh_timeout: replyMs } = this.cluster;
    const { host, port } = sentinel.address;
    try {
      const client = await UpstreamClient.connect(host, port, this.login, connectMs);
      if (this.stopped || (sentinel.hearing !== null && !sentinel.hearing.closed)) {
        client.close();
        return;
      }
      sentinel.hearing = client;
      client.onMessage = (message) => this.heard(message);
      await client.command(['SUBSCRIBE', '+switch-master'], replyMs);
    } catch {
      // It is tried again with the next refresh.
    }
  }

  private heard(message: Reply): void {
    if (!Array.isArray(message) || message[0] !== 'message' || typeof message[2] !== 'string') return;
    const [name, , , host, port] = message[2].split(' ');
    if (name === undefined || !this.names.includes(name)) return;
    this.logger.info(`cluster ${this.cluster.name}: Sentinel made another server the master`, {
      master: name,
      address: `${host}:${port}`,
    });
    this.request();
  }
}

function readAddress(reply: Reply): Address | null {
  if (!Array.isArray(reply)) return null;
  const [host, port] = reply;
  return typeof host === 'string' ? valid(host, Number(port)) : null;
}

function valid(host: string, port: number): Address | null {
  return host !== '' && Number.isInteger(port) && port > 0 && port < 65_536 ? { host, port } : null;
}

function addressOf(fields: ReadonlyMap<string, string>): Address | null {
  return valid(fields.get('ip') ?? '', Number(fields.get('port')));
}

/** Lists of names and values, one list a record. */
function readRecords(reply: Reply): Map<string, string>[] {
  if (!Array.isArray(reply)) return [];
  return reply.map((each) => {
    const fields = new Map<string, string>();
    if (Array.isArray(each))
      for (let i = 0; i + 1 < each.length; i += 2) fields.set(String(each[i]), String(each[i + 1]));
    return fields;
  });
}
