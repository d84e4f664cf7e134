import { rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import packageJson from '../../../package.json' with { type: 'json' };
import { ConfigError } from '../config/load.js';
import { routeTable } from '../config/routes.js';
import { formatAddress } from '../config/schema.js';
import { SlotMap } from '../engine/core/slot-map.js';
import { HOST_SLOTS } from '../engine/routing/host-table.js';
import { type AdminState, startAdmin } from './admin.js';
import { discover, readsReplicas } from './discovery/discover.js';
import { LearnedCommands, Learner } from './learned.js';
import { Logger } from './logger.js';
import { type Options, readOptions, USAGE, UsageError } from './options.js';
import { resolveSecrets } from './secrets.js';
import { statsBytes } from './statistics.js';
import { ListenError, Workers } from './workers.js';

/** Exit codes, those of the whole program (docs/exit-codes.md). */
const EXIT = { done: 0, unexpected: 1, usage: 2, configuration: 3, refused: 5 } as const;

const COLLECT_AFTER_START_MS = 1000;

/** How long clients may take to finish when the process is told to end. */
const DRAIN_TIMEOUT_MS = 5000;

async function main(): Promise<number> {
  let options: ReturnType<typeof readOptions>;
  try {
    options = readOptions(process.argv.slice(2), process.env);
  } catch (error) {
    return complain(error);
  }
  if (options === 'help') {
    process.stdout.write(USAGE);
    return EXIT.done;
  }
  if (options === 'version') {
    process.stdout.write(`forge-proxy/${packageJson.version} bun/${Bun.version} ${process.platform}-${process.arch}\n`);
    return EXIT.done;
  }
  try {
    return await run(options);
  } catch (error) {
    return complain(error);
  }
}

function complain(error: unknown): number {
  if (error instanceof UsageError) {
    process.stderr.write(`${error.message}\n\n${USAGE}`);
    return EXIT.usage;
  }
  if (error instanceof ConfigError) {
    process.stderr.write(`${error.message}\n`);
    return EXIT.configuration;
  }
  if (error instanceof ListenError) {
    process.stderr.write(`${error.message}\n`);
    return error.inUse ? EXIT.refused : EXIT.configuration;
  }
  process.stderr.write(`${(error as Error)?.stack ?? error}\n`);
  return EXIT.unexpected;
}

async function run({ config, source, check, pidFile }: Options): Promise<number> {
  const secrets = resolveSecrets(config, source);
  if (check) {
    process.stdout.write(`${source}: the configuration is valid\n`);
    return EXIT.done;
  }
  const startedMs = performance.now();
  const logger = new Logger(config.log_level);
  const [listener] = config.listeners;
  const port = probe(listener.address.host, listener.address.port);
  const routes = routeTable(listener, config.clusters);
  const clusters = config.clusters.map((cluster, index) => ({
    settings: {
      name: cluster.name,
      opTimeoutMs: cluster.settings.op_timeout,
      connectTimeoutMs: cluster.connect_timeout,
      upstreamUsername: cluster.auth_username ?? '',
      upstreamPassword: secrets.upstreamPasswords[index] as string,
      connectRatePerSecond: cluster.settings.connection_rate_limit.connection_rate_limit_per_sec,
      unknownMax: cluster.settings.max_upstream_unknown_connections,
      readPolicy: cluster.settings.read_policy,
      lagBound: cluster.settings.max_replica_lag_bytes !== undefined,
      dedicatedMax: cluster.settings.max_dedicated_connections,
    },
    sharded: cluster.type === 'sharded',
    slotMap: cluster.type === 'sharded' ? SlotMap.create(HOST_SLOTS) : SlotMap.create(),
  }));
  const stopping = Promise.withResolvers<string>();

  const workers = new Workers({
    count: config.workers ?? os.availableParallelism(),
    settings: {
      authRequired: secrets.downstreamPasswords.length > 0,
      authUsername: listener.downstream_auth_username ?? 'default',
      authPasswords: secrets.downstreamPasswords,
      adminCommands: listener.admin_commands,
      version: packageJson.version,
      listenPort: port,
      processId: process.pid,
      routes,
    },
    limits: {
      pubsubOutputBytesMax: listener.pubsub_output_buffer_limit,
      monitorOutputBytesMax: listener.monitor_output_buffer_limit,
    },
    listen: { host: listener.address.host, port },
    clusters,
    statsBytes: statsBytes(clusters.length),
    logLevel: config.log_level,
    logger,
    onRefresh: (cluster) => topologies[cluster]?.request(),
    onDeath: (worker, reason) => {
      logger.error(`worker ${worker} ended`, { reason });
      stopping.reject(new Error(`worker ${worker} ended: ${reason}`));
    },
  });
  const learned = new LearnedCommands(logger, (message) => workers.send(message));
  const learners = config.clusters.map(
    (cluster, index) =>
      new Learner(
        {
          config: cluster,
          credentials: { username: cluster.auth_username ?? '', password: secrets.upstreamPasswords[index] as string },
          logger,
        },
        learned,
      ),
  );
  const topologies = config.clusters.map((cluster, index) =>
    discover({
      cluster,
      index,
      password: secrets.upstreamPasswords[index] as string,
      sentinelPassword: secrets.sentinelPasswords[index] as string,
      slotMap: new SlotMap(clusters[index].slotMap),
      readReplicas: readsReplicas(cluster, index, routes),
      logger,
      send: (message) => {
        workers.send(message);
        if (message.type === 'nodes' || message.type === 'table') learners[index].nodes(message.nodes);
      },
    }),
  );

  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stopping.resolve(signal));
  // A terminal that goes away does not end the endpoint.
  process.on('SIGHUP', () => logger.info('SIGHUP: nothing is reloaded; restart the proxy for a new configuration'));
  process.stderr.on('error', () => {});
  const state: AdminState = {
    config,
    topologies,
    workers,
    learned,
    version: packageJson.version,
    startedMs,
    draining: false,
  };
  let admin: ReturnType<typeof startAdmin> | null = null;
  if (config.admin !== undefined) {
    const { host, port: adminPort } = config.admin.address;
    try {
      admin = startAdmin(host, adminPort, state);
    } catch (error) {
      throw listenError(formatAddress(config.admin.address), error);
    }
    logger.info(`admin on ${formatAddress({ host, port: admin.port })}`);
  }
  await workers.start();
  logger.info(`listening on ${formatAddress({ host: listener.address.host, port })}`);
  if (pidFile !== '') writeFileSync(pidFile, `${process.pid}\n`);
  for (const topology of topologies) topology.start();
  // What the start has left behind is given back once, when the cluster has been read.
  setTimeout(() => Bun.gc(true), COLLECT_AFTER_START_MS).unref();

  try {
    const signal = await stopping.promise;
    logger.info(`${signal}: draining`);
    state.draining = true;
    const clean = await workers.drain(DRAIN_TIMEOUT_MS);
    logger.info(clean ? 'drained' : 'some clients did not finish in time; they were closed');
    return EXIT.done;
  } finally {
    for (const topology of topologies) topology.stop();
    for (const learner of learners) learner.stop();
    admin?.stop();
    if (pidFile !== '') rmSync(pidFile, { force: true });
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

process.exit(await main());
