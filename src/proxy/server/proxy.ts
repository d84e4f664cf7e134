import { writeFileSync } from 'node:fs';
import os from 'node:os';
import packageJson from '../../../package.json' with { type: 'json' };
import { controlPath } from '../config/control-path.js';
import { CLUSTERS_MAX, formatAddress, type ProxyConfig } from '../config/schema.js';
import { ListenAddresses, listenError, probe } from './addresses.js';
import { type AdminState, startAdmin } from './admin.js';
import { Clusters, type Place } from './clusters.js';
import { collectInMain } from './collector.js';
import { ControlSocket, removePidFile } from './control.js';
import type { Discovery } from './discovery/discovery.js';
import type { DrainTimes } from './draining.js';
import { warnOfFaults } from './faults.js';
import { ownName } from './handover/process-name.js';
import { Yielding } from './handover/yielding.js';
import { LearnedCommands } from './learned.js';
import { Logger } from './logger.js';
import { type HandoverPaths, type LogLevel, NOWHERE } from './messages.js';
import { OverloadManager } from './overload.js';
import { Recording } from './recording/recording.js';
import { outcomeOf, type ReloadOutcome, refusal, sayOutcome } from './reload.js';
import { planReload } from './reload-plan.js';
import { ServiceManager } from './sd-notify.js';
import { passwordFiles, SecretWatch, withPrevious } from './secret-watch.js';
import { resolveSecrets, type Secrets, secretReader } from './secrets.js';
import { statsBytes } from './statistics.js';
import { readTls } from './tls/read.js';
import { TlsWatch } from './tls/watch.js';
import { READY_MS, type TakeOver } from './upgrade.js';
import { warnOfScripts } from './users.js';
import { clusterStarts, listenerTls, workerLimits, workerSettings } from './worker-settings.js';
import { type Serving, Workers } from './workers.js';

/** How long clients may take to finish when the process is told to end. */
const DRAIN_TIMEOUT_MS = 5000;

const DAY_MS = 86_400_000;
const NO_EXPIRY = 2 ** 32 - 1;

const READY_POLL_MS = 10;

/** Why the process ends, and how long its clients have. */
interface Stop {
  readonly why: string;
  readonly times: DrainTimes;
  readonly timeoutMs: number;
  readonly places: HandoverPaths;
}

const stopFor = (why: string, times: DrainTimes, places = NOWHERE): Stop => {
  const waitMs = Number.isFinite(times.shutdownMs) ? times.shutdownMs : 0;
  return { why, times, timeoutMs: waitMs + DRAIN_TIMEOUT_MS, places };
};

/** What the proxy was started with, and where it reads it again. */
export interface Source {
  readonly config: ProxyConfig;
  /** The configuration file, or `command line`. */
  readonly source: string;
  readonly pidFile: string;
  /** Reads the configuration again. @throws ConfigError, UsageError */
  reread(): ProxyConfig;
  /** The proxy that this one replaces. */
  readonly takeOver: TakeOver | null;
  /** It is not to end by itself when another one has replaced it, as who supervises it would start it again. */
  readonly stays: boolean;
  /** How it lets clients go when it is told to end. */
  readonly endTimes: DrainTimes;
}

/** What the main thread has running: the workers, and what keeps them told of the upstream clusters. */
export class ProxyServer implements AdminState {
  readonly startedMs = performance.now();
  readonly version = packageJson.version;
  readonly workers: Workers;
  readonly learned: LearnedCommands;
  readonly recording: Recording;
  readonly overload: OverloadManager;
  /** What is served now: of a setting that needs a restart, the old value. */
  config: ProxyConfig;
  draining = false;
  private secrets: Secrets;
  private readonly logger: Logger;
  private readonly stopping = Promise.withResolvers<Stop>();
  /** Resolved when somebody tells the process to end. */
  private readonly told = Promise.withResolvers<void>();
  private readonly manager = new ServiceManager();
  private readonly yielding: Yielding;
  private control: ControlSocket | null = null;
  /** Null until the proxy that this one replaces may be replaced. */
  private addresses: ListenAddresses | null;
  private readonly clusters: Clusters;
  private readonly tls: TlsWatch;
  private readonly passwords: SecretWatch;
  private admin: ReturnType<typeof startAdmin> | null = null;

  /** @throws ListenError when the listening address is in use or no address of this host */
  constructor(
    private readonly source: Source,
    secrets: Secrets,
  ) {
    const { config } = source;
    const logger = new Logger(config.log_level, config.log_format);
    this.config = config;
    this.secrets = secrets;
    this.logger = logger;
    this.addresses = source.takeOver === null ? new ListenAddresses(config.listeners[0], this.controlPath) : null;
    this.recording = new Recording(logger, this.version);
    this.recording.configure(config, secrets);
    this.learned = new LearnedCommands(logger, (message) => this.workers.send(message));
    this.clusters = new Clusters({ logger, learned: this.learned, send: (message) => this.workers.send(message) });
    const places = this.clusters.places(config.clusters);
    this.workers = new Workers({
      count: config.workers ?? os.availableParallelism(),
      serving: this.serving(config, secrets, places),
      addresses: () => this.addresses?.forWorker() ?? [],
      statsBytes: statsBytes(CLUSTERS_MAX),
      logger,
      onRefresh: (cluster) => this.clusters.request(cluster),
      onRecorded: (batch) => this.recording.take(batch),
      onHostsFailed: (cluster, hosts) => this.clusters.hostsFailed(cluster, hosts),
      history: () => this.history(),
      onHopeless: (reason) => this.stopping.reject(new Error(reason)),
    });
    this.yielding = new Yielding({
      ...{ logger, workers: this.workers, manager: this.manager },
      addresses: () => this.addresses,
      isDraining: () => this.draining,
      startAdmin: () => this.startAdmin(),
      stopAdmin: () => this.stopAdmin(),
      drain: (times, places) => this.stopping.resolve(stopFor('replaced', times, places)),
    });
    this.overload = new OverloadManager({ ledger: this.workers.ledger, workers: this.workers.count, logger });
    this.clusters.take(config, secrets, places);
    this.tls = new TlsWatch({
      logger,
      files: () => this.secrets.tls.files,
      warnings: () => this.secrets.tls.warnings,
      apply: () => this.rereadTls(),
    });
    this.passwords = new SecretWatch({
      logger,
      files: () => passwordFiles(this.config),
      apply: () => this.rereadPasswords(),
    });
  }

  private get controlPath(): string {
    const { pidFile } = this.source;
    return pidFile === '' ? '' : controlPath(pidFile);
  }

  get topologies(): readonly Discovery[] {
    return this.clusters.discoveries;
  }

  get numbers(): readonly number[] {
    return this.clusters.numbers;
  }

  get listenPort(): number {
    return this.addresses?.port ?? this.config.listeners[0].address.port;
  }

  /** Until the next reload, which brings back what the configuration says. */
  setLogLevel(level: LogLevel): void {
    this.logger.level = level;
    this.workers.setLogLevel(level);
  }

  end(reason: string): void {
    this.told.resolve();
    this.stopping.resolve(stopFor(reason, this.source.endTimes));
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
    warnOfScripts(config, this.logger);
    warnOfFaults(config, this.logger);
    return {
      settings: workerSettings(config, secrets, this.addresses?.port ?? config.listeners[0].address.port, numbers),
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
    const { logger, stopping, clusters, workers, manager } = this;
    const { source } = this;
    const { pidFile, takeOver } = source;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => this.end(signal));
    process.on('SIGHUP', () => void this.reload());
    process.on('SIGUSR1', () => this.recording.reopen());
    process.stderr.on('error', () => {});
    try {
      // What takes over is ready before it gets its first client.
      if (takeOver !== null) await this.prepare();
      this.startAdmin();
      await workers.start();
      await this.tls.start();
      await this.passwords.start();
      this.overload.configure(this.config.overload);
      clusters.start();
      await takeOver?.listeners(this.addresses?.ports ?? [], workers.count);
      await takeOver?.rest(workers);
      if (pidFile !== '') {
        writeFileSync(pidFile, `${process.pid}\n`);
        this.openControl(pidFile);
      }
      // Who told the old process meanwhile to read the configuration again meant it for this one, too.
      if (takeOver !== null) await this.reload();
      // Who reads this may count on all of it.
      for (const line of this.addresses?.lines() ?? []) logger.info(line);
      manager.ready(`serving clients, ${workers.count} workers`);
      collectInMain();
      const { why, times, timeoutMs, places } = await stopping.promise;
      logger.info(`${why}: draining`);
      manager.stopping('draining');
      this.draining = true;
      const drained = workers.drain(times, timeoutMs, places).then((clean) => {
        logger.info(clean ? 'drained' : 'some clients did not finish in time; they were closed');
      });
      await (source.stays && this.yielding.replaced ? this.stay(drained) : drained);
    } finally {
      clusters.stop();
      this.overload.stop();
      manager.stop();
      this.tls.stop();
      this.passwords.stop();
      this.addresses?.close();
      await this.recording.stop();
      this.admin?.stop();
      // With a successor, both are the successor's.
      if (!this.yielding.replaced) {
        this.control?.close();
        if (pidFile !== '') removePidFile(pidFile);
      }
    }
  }

  /** Until this process is told to end, or is needed again: then it ends as well, and is started anew. */
  private async stay(drained: Promise<void>): Promise<void> {
    const gone = this.yielding.succession.isGone().then(() => true);
    const over = drained.then(() => this.told.promise).then(() => false);
    if (await Promise.race([gone, over]))
      this.logger.warn('the proxy that took over is gone; ending, to be started anew');
  }

  /** Learns the clusters before anybody is accepted. @throws Error when that takes too long; the other one goes on */
  private async prepare(): Promise<void> {
    this.clusters.start();
    const deadline = performance.now() + READY_MS;
    while (!this.topologies.every(({ readMs }) => readMs > 0)) {
      if (performance.now() > deadline) {
        const unread = this.topologies.find(({ readMs }) => readMs === 0);
        throw new Error(`not ready within ${READY_MS / 1000} s: ${unread?.lastError || 'a topology is not read'}`);
      }
      await Bun.sleep(READY_POLL_MS);
    }
    this.addresses = new ListenAddresses(this.config.listeners[0], this.controlPath, true);
  }

  /** `forge proxy reload` and `upgrade` ask here. */
  private openControl(pidFile: string): void {
    const path = controlPath(pidFile);
    try {
      const handlers = {
        state: () => ({
          ...{ ...ownName(), workers: this.workers.count, version: this.version, accepting: this.workers.accepting },
          admin: this.admin === null ? null : { host: this.config.admin?.address.host, port: this.admin.port },
        }),
        reload: ({ dry_run }: Record<string, unknown>) => this.reload(dry_run === true),
        ...this.yielding.handlers(path),
      };
      this.control = ControlSocket.open(path, handlers, (question) => this.yielding.succession.keep(question));
    } catch (error) {
      this.logger.warn(`no control socket: ${(error as Error).message}; reload by SIGHUP, no upgrade`);
    }
  }

  /** Reads the configuration again; once this resolves, the next command is served by it. Never rejects. */
  async reload(dryRun = false): Promise<ReloadOutcome> {
    this.manager.reloading();
    const outcome = this.reread(dryRun);
    if (outcome.outcome === 'applied') await this.workers.settled();
    sayOutcome(this.logger, outcome);
    this.manager.ready(`serving clients, ${this.workers.count} workers; last reload: ${outcome.outcome}`);
    return outcome;
  }

  /** A bad configuration changes nothing. Never throws. */
  private reread(dryRun: boolean): ReloadOutcome {
    const { source } = this;
    try {
      const wanted = source.reread();
      const secrets = resolveSecrets(wanted, source.source);
      const places = this.clusters.places(wanted.clusters);
      const plan = planReload({ config: this.config, secrets: this.secrets }, { config: wanted, secrets });
      // Addresses that stay as they are keep their certificates.
      if (!dryRun) this.take(plan.config, { ...secrets, tls: this.readTls(plan.config) }, places);
      return outcomeOf(plan, dryRun);
    } catch (error) {
      return refusal(error);
    }
  }

  private readTls(config: ProxyConfig): Secrets['tls'] {
    const { source } = this.source;
    return readTls(config, { source, secret: secretReader(source) });
  }

  /** Certificates have changed where they are kept. @throws ConfigError when they cannot be used */
  private rereadTls(): void {
    const tls = this.readTls(this.config);
    this.take(this.config, { ...this.secrets, tls }, this.clusters.places(this.config.clusters));
  }

  /** Passwords have changed where they are kept. @throws ConfigError when they cannot be used */
  private rereadPasswords(): readonly string[] {
    const { config } = this;
    const secrets = { ...resolveSecrets(config, this.source.source), tls: this.secrets.tls };
    const { live } = planReload({ config, secrets: this.secrets }, { config, secrets });
    if (live.length > 0) this.take(config, secrets, this.clusters.places(config.clusters));
    return live;
  }

  private take(config: ProxyConfig, given: Secrets, places: readonly Place[]): void {
    const secrets = withPrevious({ config: this.config, secrets: this.secrets }, { config, secrets: given });
    this.config = config;
    this.secrets = secrets;
    this.logger.level = config.log_level;
    this.logger.format = config.log_format;
    this.recording.configure(config, secrets);
    this.overload.configure(config.overload);
    this.workers.configure(this.serving(config, secrets, places));
    this.clusters.take(config, secrets, places);
  }

  private stopAdmin(): void {
    this.admin?.stop();
    this.admin = null;
  }

  private startAdmin(): void {
    const { admin } = this.config;
    if (admin === undefined) return;
    const { host, port } = admin.address;
    try {
      if (this.source.takeOver === null) probe(host, port);
      this.admin = startAdmin(host, port, this);
    } catch (error) {
      throw listenError(formatAddress(admin.address), error);
    }
    this.logger.info(`admin on ${formatAddress({ host, port: this.admin.port })}`);
  }
}
