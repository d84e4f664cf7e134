/** The files of a deployed node: its settings, its users, its certificate. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { readUserPasswords, type UserWithPassword } from '../config/deploy-secrets.js';
import type { DeployNode, DeploySettings } from '../config/deploy-settings.js';
import { authorityFile, nodeCertificateFolder } from '../config/deploy-settings-load.js';
import { ForgeError } from '../errors.js';
import { renderAcl } from '../redis-config/acl.js';
import { renderRedisConf } from '../redis-config/render.js';
import { userRules } from '../redis-config/users.js';
import { readTemplate, redisConfQuote, renderTemplate } from '../runtime/template.js';
import { REDIS_SOCKET, type RedisLogin } from './redis-cli.js';
import { type NodeFile, REDIS_DATA_TARGET } from './redis-container.js';
import { REDIS_FILES, REDIS_FILES_TARGET, tlsPathOf } from './redis-files.js';

/** All addresses of the container, those of IPv6 where there are any. */
const BIND = '* -::*';

/** What is the same for all nodes of a deployment, read once. */
export interface NodeSources {
  readonly users: readonly UserWithPassword[];
  readonly templates: { readonly config: string; readonly auth: string };
  /** What nodes trust; undefined without TLS. */
  readonly authority?: string;
}

/** @throws ForgeError `configuration` for a password that is not where it should be, or a file that cannot be read */
export async function readNodeSources(settings: DeploySettings, environment: NodeJS.ProcessEnv): Promise<NodeSources> {
  const directory = settings.redis.tls?.directory;
  const authority = directory === undefined ? undefined : await authorityFile(directory);
  const [users, config, auth, trusted] = await Promise.all([
    readUserPasswords(settings, environment),
    readTemplate('redis.conf'),
    readTemplate('replication-auth.conf'),
    authority === undefined ? undefined : readPem(authority),
  ]);
  return { users, templates: { config, auth }, ...(trusted === undefined ? {} : { authority: trusted }) };
}

/** As whom forge itself logs in to a node. */
export function adminLogin({ users }: NodeSources): RedisLogin {
  const admin = users.find(({ role }) => role === 'admin');
  if (admin === undefined) throw new Error('deploy: no administrator among the users');
  return { username: admin.name, password: admin.secret };
}

/** The files of one node, for below `REDIS_FILES_TARGET`. */
export async function nodeFiles(
  settings: DeploySettings,
  node: DeployNode,
  sources: NodeSources,
): Promise<readonly NodeFile[]> {
  const { redis } = settings;
  const replication = sources.users.find(({ role }) => role === 'replication');
  if (replication === undefined) throw new Error('deploy: no replication user');
  const inside = (file: string) => `${REDIS_FILES_TARGET}/${file}`;
  const config = renderRedisConf(sources.templates.config, {
    version: redis.version,
    bind: BIND,
    port: node.port,
    busPort: node.busPort,
    files: {
      directory: REDIS_DATA_TARGET,
      auth: inside(REDIS_FILES.auth),
      acl: inside(REDIS_FILES.acl),
      // Docker keeps the log, within its limits.
      log: '',
      unixSocket: REDIS_SOCKET,
    },
    ...(redis.tls === undefined
      ? {}
      : {
          tls: {
            certificate: tlsPathOf('tls-cert-file'),
            key: tlsPathOf('tls-key-file'),
            authority: tlsPathOf('tls-ca-cert-file'),
            authClients: redis.tls.authClients,
          },
        }),
    announce: node.announce,
    preferredEndpoint: redis.preferredEndpoint,
    nodeTimeoutMs: redis.nodeTimeoutMs,
    settings: redis.settings,
  });
  const auth = renderTemplate(sources.templates.auth, {
    user: replication.name,
    password: redisConfQuote(replication.secret),
  });
  const acl = renderAcl(
    sources.users.map(({ role, name, secret, rules }) => ({
      name,
      password: secret,
      rules: rules ?? (role === 'further' ? '' : userRules(role, redis.version)),
    })),
  );
  return [
    { path: REDIS_FILES.config, content: config },
    { path: REDIS_FILES.auth, content: auth },
    { path: REDIS_FILES.acl, content: acl },
    ...(redis.tls === undefined ? [] : await tlsFiles(redis.tls.directory, node, sources)),
  ];
}

async function tlsFiles(directory: string, node: DeployNode, { authority }: NodeSources): Promise<NodeFile[]> {
  const folder = await nodeCertificateFolder(directory, node);
  if (folder === undefined || authority === undefined) {
    throw new ForgeError('configuration', `${directory} has no certificate for ${node.host}:${node.port}.`, {
      next: `Make it: forge gen-certs ${directory} --renew`,
    });
  }
  const [certificate, key] = await Promise.all(
    ['server.crt', 'server.key'].map((file) => readPem(path.join(folder, file))),
  );
  return [
    { path: path.relative(REDIS_FILES_TARGET, tlsPathOf('tls-cert-file')), content: certificate ?? '' },
    { path: path.relative(REDIS_FILES_TARGET, tlsPathOf('tls-key-file')), content: key ?? '' },
    { path: path.relative(REDIS_FILES_TARGET, tlsPathOf('tls-ca-cert-file')), content: authority },
  ];
}

async function readPem(file: string): Promise<string> {
  return await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new ForgeError('configuration', `${file} cannot be read.`, {
      next: 'Check its path and its permissions.',
      cause,
    });
  });
}
