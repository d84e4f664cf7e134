import { rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import packageJson from '../../../package.json' with { type: 'json' };
import { CLUSTERS_MAX, formatAddress, type ProxyConfig } from '../config/schema.js';
import { ListenAddresses, listenError } from './addresses.js';
import { type AdminState, startAdmin } from './admin.js';
import { Clusters, type Place } from './clusters.js';
import type { Discovery } from './discovery/discovery.js';
import { LearnedCommands } from './learned.js';
import { Logger } from './logger.js';
import { outcomeOf, type ReloadOutcome, refusal, sayOutcome } from './reload.js';
import { planReload } from './reload-plan.js';
import { resolveSecrets, type Secrets, secretReader } from './secrets.js';
import { statsBytes } from './statistics.js';
import { readTls } from './tls/read.js';
import { TlsWatch } from './tls/watch.js';
import { clusterStarts, listenerTls, workerLimits, workerSettings } from './worker-settings.js';
import { type Serving, Workers } from './workers.js';

const COLLECT_AFTER_START_MS = 1000;

/** How long clients may take to finish when the process is told to end. */
const DRAIN_TIMEOUT_MS = 5000;

const DAY_MS = 86_400_000;
const NO_EXPIRY = 2 ** 32 - 1;

/** What the proxy was started with, and where it reads it again. */
export interface Source {
  readonly config: ProxyConfig;
  /** The configuration file, or `command line`. */
  readonly source: string;
  readonly pidFile: string;
  /** Reads the configuration again. @throws ConfigError, UsageError */
  reread(): ProxyConfig;
}

/** What the main thread has running: the workers, and what keeps them told of the upstream clusters. */
export class ProxyServer implements AdminState {
  readonly startedMs = performance.now();
  readonly version = packageJson.version;
  readonly workers: Workers;
  readonly learned: LearnedCommands;
  /** What is served now: of a setting that needs a restart, the old value. */
  config: ProxyConfig;
  draining = false;
  private secrets: Secrets;
  private readonly logger: Logger;
  private readonly stopping = Promise.withResolvers<string>();
  private readonly addresses: ListenAddresses;
  private readonly clusters: Clusters;
  private readonly tls: TlsWatch;
  private admin: ReturnType<typeof startAdmin> | null = null;

  /** @throws ListenError when the listening address is in use or no address of this host */
  constructor(
    private readonly source: Source,
    secrets: Secrets,
  ) {
    const { config } = source;
    const logger = new Logger(config.log_level);
    this.config = config;
    this.secrets = secrets;
    this.logger = logger;
    this.addresses = new ListenAddresses(config.listeners[0]);
    this.learned = new LearnedCommands(logger, (message) => this.workers.send(message));
    this.clusters = new Clusters({ logger, learned: this.learned, send: (message) => this.workers.send(message) });
    const places = this.clusters.places(config.clusters);
    this.workers = new Workers({
      count: config.workers ?? os.availableParallelism(),
      serving: this.serving(config, secrets, places),
      addresses: () => this.addresses.forWorker(),
      statsBytes: statsBytes(CLUSTERS_MAX),
      logger,
      onRefresh: (cluster) => this.clusters.request(cluster),
      onHostsFailed: (cluster, hosts) => this.clusters.hostsFailed(cluster, hosts),
      history: () => this.history(),
      onHopeless: (reason) => this.stopping.reject(new Error(reason)),
    });
    this.clusters.take(config, secrets, places);
    this.tls = new TlsWatch({
      logger,
      files: () => this.secrets.tls.files,
      warnings: () => this.secrets.tls.warnings,
      apply: () => this.rereadTls(),
    });
  }

  get topologies(): readonly Discovery[] {
    return this.clusters.discoveries;
  }

  get numbers(): readonly number[] {
    return this.clusters.numbers;
  }

  /** Envoy's value for it when there is no certificate. */
  get daysUntilFirstCertificateExpires(): number {
    const { firstExpiryMs } = this.secrets.tls;
    return Number.isFinite(firstExpiryMs) ? Math.max(0, Math.floor((firstExpiryMs - Date.now()) / DAY_MS)) : NO_EXPIRY;
  }

  get tlsUpdates() {
    return { success: this.tls.updates, rejected: this.tls.rejected };
  }

  private serving(config: ProxyConfig, secrets: Secrets, places: readonly Place[]): Serving {
    const numbers = places.map(({ number }) => number);
    return {
      settings: workerSettings(config, secrets, this.addresses.port, numbers),
      limits: workerLimits(config),
      clusters: clusterStarts(config, secrets, places),
      tls: listenerTls(config, secrets),
      logLevel: config.log_level,
    };
  }

  private *history() {
    yield* this.clusters.history();
    const { specs } = this.learned;
    if (specs.length > 0) yield { type: 'commands', specs } as const;
  }

  /**
   * Serves until it is told to end, then lets clients finish.
   * @throws ListenError when an address cannot be used
   */
  async run(): Promise<void> {
    const { logger, stopping, clusters, workers } = this;
    const { pidFile } = this.source;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stopping.resolve(signal));
    process.on('SIGHUP', () => void this.reload());
    process.stderr.on('error', () => {});
    this.startAdmin();
    await workers.start();
    for (const line of this.addresses.lines()) logger.info(line);
    await this.tls.start();
    if (pidFile !== '') writeFileSync(pidFile, `${process.pid}\n`);
    clusters.start();
    // What the start has left behind is given back once, when the cluster has been read.
    setTimeout(() => Bun.gc(true), COLLECT_AFTER_START_MS).unref();
    try {
      const signal = await stopping.promise;
      logger.info(`${signal}: draining`);
      this.draining = true;
      const clean = await workers.drain(DRAIN_TIMEOUT_MS);
      logger.info(clean ? 'drained' : 'some clients did not finish in time; they were closed');
    } finally {
      clusters.stop();
      this.tls.stop();
      this.addresses.close();
      this.admin?.stop();
      if (pidFile !== '') rmSync(pidFile, { force: true });
    }
  }

  /** Reads the configuration again and serves by it; a bad one changes nothing. Never throws. */
  reload(dryRun = false): ReloadOutcome {
    const { source, logger } = this;
    let outcome: ReloadOutcome;
    try {
      const wanted = source.reread();
      const secrets = resolveSecrets(wanted, source.source);
      const places = this.clusters.places(wanted.clusters);
      const plan = planReload({ config: this.config, secrets: this.secrets }, { config: wanted, secrets });
      outcome = outcomeOf(plan, dryRun);
      if (!dryRun) this.take(plan.config, secrets, places);
    } catch (error) {
      outcome = refusal(error);
    }
    sayOutcome(logger, outcome);
    return outcome;
  }

  /** Certificates have changed where they are kept. @throws ConfigError when they cannot be used */
  private rereadTls(): void {
    const { source } = this.source;
    const tls = readTls(this.config, { source, secret: secretReader(source) });
    this.take(this.config, { ...this.secrets, tls }, this.clusters.places(this.config.clusters));
  }

  private take(config: ProxyConfig, secrets: Secrets, places: readonly Place[]): void {
    this.config = config;
    this.secrets = secrets;
    this.logger.level = config.log_level;
    this.workers.configure(this.serving(config, secrets, places));
    this.clusters.take(config, secrets, places);
  }

  private startAdmin(): void {
    const { admin } = this.config;
    if (admin === undefined) return;
    const { host, port } = admin.address;
    try {
      this.admin = startAdmin(host, port, this);
    } catch (error) {
      throw listenError(formatAddress(admin.address), error);
    }
    this.logger.info(`admin on ${formatAddress({ host, port: this.admin.port })}`);
  }
}
