/** Resolved settings of a deployment as tests need them. */
import type { DeploySettings } from '../../src/config/deploy-settings.js';
import { parseServerVersion } from '../../src/redis-config/version.js';

export interface DeployChanges {
  cluster?: string;
  image?: string;
  memoryBytes?: number;
  ports?: readonly number[];
  version?: string;
  /** A folder of the host for the data, instead of a volume. */
  directory?: string;
}

/** One node after the other on this host's engine, with host networking. */
export function deploySettings(changes: DeployChanges = {}): DeploySettings {
  const {
    cluster = 'orders',
    image = 'redisforge/redis:7.0',
    memoryBytes,
    ports = [7901],
    version = '7.0',
    directory,
  } = changes;
  const exporter = { enabled: false, image: 'exporter', port: 9121, limits: {} };
  return {
    cluster,
    folder: '/etc/redisforge',
    hosts: [{ name: 'here', address: '127.0.0.1' }],
    nodes: ports.map((port) => ({
      name: `redis-${port}`,
      host: '127.0.0.1',
      port,
      busPort: port + 10_000,
      dockerHost: 'here',
      announce: { ip: '127.0.0.1', port, busPort: port + 10_000 },
    })),
    replicasPerMaster: 0,
    redis: {
      version: parseServerVersion(version),
      image,
      build: false,
      baseImage: 'debian:trixie-slim',
      network: { kind: 'host' },
      limits: memoryBytes === undefined ? {} : { memoryBytes },
      data: directory === undefined ? { kind: 'volume' } : { kind: 'directory', path: directory },
      nofile: 10_240,
      preferredEndpoint: 'ip',
      users: [],
      settings: {},
      nodeTimeoutMs: 5_000,
    },
    proxy: {
      image: 'redisforge/proxy',
      build: false,
      baseImage: 'debian:trixie-slim',
      hosts: [],
      port: 6379,
      adminPort: 9901,
      network: { kind: 'host' },
      limits: {},
    },
    monitoring: {
      redisExporter: exporter,
      nodeExporter: { ...exporter, followsMounts: true },
      baseImage: 'debian:trixie-slim',
      scrapeIntervalMs: 15_000,
      receivers: {},
    },
    warnings: [],
  };
}
