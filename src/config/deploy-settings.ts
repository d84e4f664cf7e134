/** What a cluster is to be on its Docker hosts: forge.yaml, environment and flags, checked and resolved. */
import type { ServerVersion } from '../redis-config/version.js';
import type { SecretPlace } from './schema-values.js';

/** One Docker engine. Neither `docker` nor `context`: what the docker command talks to by itself. */
export interface DeployHost {
  /** A name of `hosts`, or the node's own host where there is no entry. */
  readonly name: string;
  /** `unix://…`, `ssh://…`, `tcp://…`. */
  readonly docker?: string;
  /** A context of the docker command. */
  readonly context?: string;
  /** Where others reach what runs there: an address or a host name. */
  readonly address: string;
}

/** What a node tells others about how to reach it. What is not there, Redis finds by itself. */
export interface NodeAnnounce {
  /** An IP address. */
  readonly ip?: string;
  readonly hostname?: string;
  /** For clients; with TLS the port that speaks it. */
  readonly port: number;
  readonly busPort: number;
}

export interface DeployNode {
  /** `redis-6379`: unique on its Docker host. */
  readonly name: string;
  /** As in `nodes`. */
  readonly host: string;
  readonly port: number;
  readonly busPort: number;
  readonly zone?: string;
  readonly role?: 'master' | 'replica';
  /** A name of `DeploySettings.hosts`. */
  readonly dockerHost: string;
  readonly announce: NodeAnnounce;
}

/** The host's own network, or a bridge network with published ports. */
export type DeployNetwork =
  | { readonly kind: 'host' }
  | { readonly kind: 'bridge'; readonly name: string; readonly subnet?: string };

/** Where a node's data lives on its Docker host: a named volume, or a folder (each node has one of its own in it). */
export type DeployData = { readonly kind: 'volume' } | { readonly kind: 'directory'; readonly path: string };

/** What a container may take. Nothing that is not there is limited. */
export interface ContainerLimits {
  readonly memoryBytes?: number;
  readonly cpus?: number;
}

/**
 * - `admin`: every right; forge itself and the operator
 * - `app`: every command on data, none that administers
 * - `readonly`: reads, and cannot write in any way
 * - `monitor`: what exporters ask
 * - `replication`: what replicas need at their master
 * - `default`: the user of old clients, which give a password and no name
 * - `further`: with rules of its own
 */
export type DeployUserRole = 'admin' | 'app' | 'readonly' | 'monitor' | 'replication' | 'default' | 'further';

/** A password's place; `derived`: made of the administrator's, where a user has none of its own. */
export type PasswordPlace = SecretPlace | { readonly derived: true };

export interface DeployUser {
  readonly role: DeployUserRole;
  readonly name: string;
  readonly password: PasswordPlace;
  /** Where forge.yaml says them; else those of the role, which depend on the version of the server. */
  readonly rules?: string;
}

/** Settings under redis.conf's own names and in its own words; several lines of one name where Redis takes several. */
export type RedisSettings = Readonly<Record<string, readonly string[]>>;

export interface RedisDeploySettings {
  readonly version: ServerVersion;
  /** With its tag. */
  readonly image: string;
  /** Built on the hosts instead of taken from there or from a registry. */
  readonly build: boolean;
  /** What it is built from. */
  readonly baseImage: string;
  readonly network: DeployNetwork;
  readonly limits: ContainerLimits;
  readonly data: DeployData;
  /** Open files and sockets of a node. */
  readonly nofile: number;
  /** The absolute path of a folder as `forge gen-certs` lays it out; undefined without TLS. */
  readonly tls?: { readonly directory: string; readonly authClients: 'yes' | 'no' | 'optional' };
  /** What redirections name: `cluster-preferred-endpoint-type`. */
  readonly preferredEndpoint: 'ip' | 'hostname' | 'unknown-endpoint';
  /** Neither a name twice, nor a user without a place of its password. The administrator comes first. */
  readonly users: readonly DeployUser[];
  /** What goes over templates/redis.conf; checked against `version`. */
  readonly settings: RedisSettings;
  /** After which silence another node is held to be down: `cluster-node-timeout`. */
  readonly nodeTimeoutMs: number;
}

export interface ProxyDeploySettings {
  readonly image: string;
  readonly build: boolean;
  readonly baseImage: string;
  /** The absolute path of its own configuration; undefined: forge writes one. */
  readonly configFile?: string;
  /** One proxy on each; names of `DeploySettings.hosts`. */
  readonly hosts: readonly string[];
  readonly port: number;
  readonly adminPort: number;
  readonly network: DeployNetwork;
  readonly limits: ContainerLimits;
  /** Threads; undefined: one for each core. */
  readonly workers?: number;
}

export interface ExporterSettings {
  readonly enabled: boolean;
  readonly image: string;
  readonly port: number;
  readonly limits: ContainerLimits;
}

/** A program of monitoring that runs once. */
export interface PlacedSettings {
  /** A name of `DeploySettings.hosts`. */
  readonly host: string;
  readonly port: number;
  readonly image: string;
  readonly limits: ContainerLimits;
}

/** Where alerts go. A place of a secret is never its text. */
export interface AlertReceivers {
  readonly discord?: { readonly webhook: SecretPlace };
  readonly slack?: { readonly webhook: SecretPlace; readonly channel?: string };
  readonly mail?: {
    readonly to: readonly string[];
    readonly from: string;
    /** `host:port`. */
    readonly smarthost: string;
    readonly username?: string;
    readonly password?: SecretPlace;
  };
  /** An address with a secret in it has a place; one without is said. */
  readonly webhook?: { readonly url?: SecretPlace; readonly address?: string };
}

export interface MonitoringDeploySettings {
  /** What images are built from. */
  readonly baseImage: string;
  readonly redisExporter: ExporterSettings;
  readonly nodeExporter: ExporterSettings & {
    /** File systems that the host mounts later are seen as well: its mounts have to be shared ones, as systemd makes them. */
    readonly followsMounts: boolean;
  };
  /** Undefined: an own one, elsewhere, is given its files by `forge monitoring generate`. */
  readonly prometheus?: PlacedSettings & { readonly retentionDays: number };
  readonly alertmanager?: PlacedSettings;
  readonly grafana?: PlacedSettings & { readonly password?: SecretPlace };
  readonly scrapeIntervalMs: number;
  readonly receivers: AlertReceivers;
}

export interface DeploySettings {
  /** The cluster's name: part of every container's name and label. */
  readonly cluster: string;
  /** Names of files are relative to it; absolute. */
  readonly folder: string;
  /** Every Docker host that something is to run on, by name. */
  readonly hosts: readonly DeployHost[];
  readonly nodes: readonly DeployNode[];
  readonly replicasPerMaster: number;
  readonly redis: RedisDeploySettings;
  readonly proxy: ProxyDeploySettings;
  readonly monitoring: MonitoringDeploySettings;
  /** What may be meant and deserves a look. */
  readonly warnings: readonly string[];
}
