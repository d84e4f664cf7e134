/** The files of a deployed node, of what a deployment is to be. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { UserWithPassword } from '../config/deploy-secrets.js';
import type { DeployNode, DeploySettings } from '../config/deploy-settings.js';
import { authorityFile, nodeCertificateFolder } from '../config/deploy-settings-load.js';
import { ForgeError } from '../errors.js';
import type { AclUser } from '../redis-config/acl.js';
import { userRules } from '../redis-config/users.js';
import { NODE_FILES, redisFiles } from './redis-server.js';
import type { InstanceFile } from './runtime.js';

/** Absolute paths as the node sees them. */
export interface NodePlaces {
  /** redis.conf and what belongs to it; the node does not write there. */
  readonly config: string;
  /** The append-only file, nodes.conf, and the socket of the health check. */
  readonly data: string;
  /** Where the log goes; the standard output when not given. */
  readonly log?: string;
  /** Addresses to listen on; all when not given. */
  readonly bind?: string;
}

/** Names of files in `NodePlaces.config` and `NodePlaces.data`. */
export const DEPLOYED_FILES = {
  certificate: 'server.crt',
  key: 'server.key',
  authority: 'ca.crt',
  /** As templates/redis.Dockerfile has it for its health check. */
  unixSocket: 'redis.sock',
} as const;

/** What of a certificate's folder goes to a node; PEM. */
export interface NodeCertificate {
  readonly certificate: string;
  readonly key: string;
  readonly authority: string;
}

/**
 * Everything that a node reads before it starts: redis.conf, the replication password, users, certificates. Readable for
 * their owner alone.
 * @throws ForgeError `configuration` for certificates that cannot be read
 */
export async function deployedRedisFiles(
  settings: DeploySettings,
  node: DeployNode,
  users: readonly UserWithPassword[],
  places: NodePlaces,
): Promise<InstanceFile[]> {
  const { redis } = settings;
  const inConfig = (name: string) => path.posix.join(places.config, name);
  const tls = await readNodeCertificate(settings, node);
  const files = await redisFiles({
    config: inConfig(NODE_FILES.config),
    users: aclUsers(settings, users),
    replicationUser: users.find(({ role }) => role === 'replication')?.name ?? '',
    conf: {
      version: redis.version,
      bind: places.bind ?? '* -::*',
      port: node.port,
      busPort: node.busPort,
      files: {
        directory: places.data,
        auth: inConfig(NODE_FILES.auth),
        acl: inConfig(NODE_FILES.acl),
        log: places.log ?? '',
        unixSocket: path.posix.join(places.data, DEPLOYED_FILES.unixSocket),
      },
      ...(tls === undefined || redis.tls === undefined
        ? {}
        : {
            tls: {
              certificate: inConfig(DEPLOYED_FILES.certificate),
              key: inConfig(DEPLOYED_FILES.key),
              authority: inConfig(DEPLOYED_FILES.authority),
              authClients: redis.tls.authClients,
            },
          }),
      announce: node.announce,
      preferredEndpoint: redis.preferredEndpoint,
      nodeTimeoutMs: redis.nodeTimeoutMs,
      settings: redis.settings,
    },
  });
  if (tls === undefined) return files;
  const pem = (['certificate', 'key', 'authority'] as const).map((name) => ({
    path: inConfig(DEPLOYED_FILES[name]),
    content: tls[name],
    mode: 0o600,
  }));
  return [...files, ...pem];
}

/** The users with their rules on the version that is deployed. Pure. */
export function aclUsers({ redis }: DeploySettings, users: readonly UserWithPassword[]): AclUser[] {
  return users.map(({ name, role, rules, secret }) => ({
    name,
    password: secret,
    rules: rules ?? (role === 'further' ? '' : userRules(role, redis.version)),
  }));
}

/** Undefined without TLS. @throws ForgeError `configuration` for a file that is not there or cannot be read */
export async function readNodeCertificate(
  { redis }: DeploySettings,
  node: DeployNode,
): Promise<NodeCertificate | undefined> {
  const { directory } = redis.tls ?? {};
  if (directory === undefined) return undefined;
  const [authority, folder] = await Promise.all([authorityFile(directory), nodeCertificateFolder(directory, node)]);
  if (authority === undefined || folder === undefined) {
    throw new ForgeError('configuration', `${directory} has no certificate for the node.`, {
      host: `${node.host}:${node.port}`,
      next: `Make it: forge gen-certs ${directory} --renew`,
    });
  }
  const [certificate, key, trusted] = await Promise.all(
    [path.join(folder, 'server.crt'), path.join(folder, 'server.key'), authority].map(readPem),
  );
  return { certificate: certificate ?? '', key: key ?? '', authority: trusted ?? '' };
}

async function readPem(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new ForgeError('configuration', `${file} cannot be read.`, { next: 'Check its permissions.', cause });
  }
}
