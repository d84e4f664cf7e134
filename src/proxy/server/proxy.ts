import { rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import packageJson from '../../../package.json' with { type: 'json' };
import { routeTable } from '../config/routes.js';
import { formatAddress, type ProxyConfig } from '../config/schema.js';
import { SlotMap } from '../engine/core/slot-map.js';
import { type AdminState, startAdmin } from './admin.js';
import { discover, readsReplicas } from './discovery/discover.js';
import type { Discovery } from './discovery/discovery.js';
import { LearnedCommands, Learner } from './learned.js';
import { Logger } from './logger.js';
import type { ClusterStart } from './messages.js';
import type { Secrets } from './secrets.js';
import { statsBytes } from './statistics.js';
import { clusterStarts, workerLimits, workerSettings } from './worker-settings.js';
import { ListenError, Workers } from './workers.js';

const COLLECT_AFTER_START_MS = 1000;

/** How long clients may take to finish when the process is told to end. */
const DRAIN_TIMEOUT_MS = 5000;

/** What the main thread has running: the workers, and what keeps them told of the upstream clusters. */
export class ProxyServer {
  private readonly startedMs = performance.now();
  private readonly logger: Logger;
  private readonly stopping = Promise.withResolvers<string>();
  private readonly port: number;
  private readonly clusters: readonly ClusterStart[];
  private readonly workers: Workers;
  private readonly learned: LearnedCommands;
  private readonly learners: readonly Learner[];
  private readonly topologies: readonly Discovery[];
  private readonly state: AdminState;
  private admin: ReturnType<typeof startAdmin> | null = null;

  /** @throws ListenError when the listening address is in use or no address of this host */
  constructor(
    private readonly config: ProxyConfig,
    secrets: Secrets,
    private readonly pidFile: string,
  ) {
    const logger = new Logger(config.log_level);
    const [{ address }] = config.listeners;
    this.logger = logger;
    this.port = probe(address.host, address.port);
    this.clusters = clusterStarts(config, secrets);
    this.workers = new Workers({
      count: config.workers ?? os.availableParallelism(),
      settings: workerSettings(config, secrets, this.port),
      limits: workerLimits(config),
      listen: { host: address.host, port: this.port },
      clusters: this.clusters,
      statsBytes: statsBytes(this.clusters.length),
      logLevel: config.log_level,
      logger,
      onRefresh: (cluster) => this.topologies[cluster]?.request(),
      onDeath: (worker, reason) => {
        logger.error(`worker ${worker} ended`, { reason });
        this.stopping.reject(new Error(`worker ${worker} ended: ${reason}`));
      },
    });
    this.learned = new LearnedCommands(logger, (message) => this.workers.send(message));
    this.learners = config.clusters.map((cluster, index) => {
      const credentials = {
        username: cluster.auth_username ?? '',
        password: secrets.upstreamPasswords[index] as string,
      };
      return new Learner({ config: cluster, credentials, logger }, this.learned);
    });
    this.topologies = this.discoveries(secrets);
    this.state = {
      config,
      topologies: this.topologies,
      workers: this.workers,
      learned: this.learned,
      version: packageJson.version,
      startedMs: this.startedMs,
      draining: false,
    };
  }

  private discoveries(secrets: Secrets): Discovery[] {
    const { config, logger } = this;
    const routes = routeTable(config.listeners[0], config.clusters);
    return config.clusters.map((cluster, index) =>
      discover({
        cluster,
        index,
        password: secrets.upstreamPasswords[index] as string,
        sentinelPassword: secrets.sentinelPasswords[index] as string,
        slotMap: new SlotMap(this.clusters[index].slotMap),
        readReplicas: readsReplicas(cluster, index, routes),
        logger,
        send: (message) => {
          this.workers.send(message);
          if (message.type === 'nodes' || message.type === 'table') this.learners[index].nodes(message.nodes);
        },
      }),
    );
  }

  /**
   * Serves until it is told to end, then lets clients finish.
   * @throws ListenError when an address cannot be used
   */
  async run(): Promise<void> {
    const { logger, stopping, topologies, learners, workers, pidFile } = this;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stopping.resolve(signal));
    // A terminal that goes away does not end the endpoint.
    process.on('SIGHUP', () => logger.info('SIGHUP: nothing is reloaded; restart the proxy for a new configuration'));
    process.stderr.on('error', () => {});
    this.startAdmin();
    await workers.start();
    logger.info(`listening on ${formatAddress({ host: this.config.listeners[0].address.host, port: this.port })}`);
    if (pidFile !== '') writeFileSync(pidFile, `${process.pid}\n`);
    for (const topology of topologies) topology.start();
    // What the start has left behind is given back once, when the cluster has been read.
    setTimeout(() => Bun.gc(true), COLLECT_AFTER_START_MS).unref();
    try {
      const signal = await stopping.promise;
      logger.info(`${signal}: draining`);
      this.state.draining = true;
      const clean = await workers.drain(DRAIN_TIMEOUT_MS);
      logger.info(clean ? 'drained' : 'some clients did not finish in time; they were closed');
    } finally {
      for (const topology of topologies) topology.stop();
      for (const learner of learners) learner.stop();
      this.admin?.stop();
      if (pidFile !== '') rmSync(pidFile, { force: true });
    }
  }

  private startAdmin(): void {
    const { admin } = this.config;
    if (admin === undefined) return;
    const { host, port } = admin.address;
    try {
      this.admin = startAdmin(host, port, this.state);
    } catch (error) {
      throw listenError(formatAddress(admin.address), error);
    }
    this.logger.info(`admin on ${formatAddress({ host, port: this.admin.port })}`);
  }
}

/**
 * Workers share the port, which would also let them share it with another proxy by mistake; so it is tried alone
 * first. Returns the port, which the system chooses for 0.
 */
function probe(host: string, port: number): number {
  try {
    const trial = Bun.listen({ hostname: host, port, exclusive: true, socket: { data() {} } });
    const chosen = trial.port;
    trial.stop(true);
    return chosen;
  } catch (error) {
    throw listenError(formatAddress({ host, port }), error);
  }
}

function listenError(address: string, error: unknown): ListenError {
  const { code, message } = error as Error & { code?: string };
  const inUse = code === 'EADDRINUSE' || /in use/i.test(message);
  return new ListenError(
    inUse ? `${address} is in use by another process` : `cannot listen on ${address}: ${message}`,
    inUse,
  );
}
