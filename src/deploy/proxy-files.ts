/** The files of a deployed proxy: its configuration, and every file and secret that it names. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { isMap, isScalar, parseDocument, visit, type YAMLMap } from 'yaml';
import type { UserWithPassword } from '../config/deploy-secrets.js';
import type { DeployHost, DeploySettings } from '../config/deploy-settings.js';
import { authorityFile } from '../config/deploy-settings-load.js';
import { doorUser } from '../config/deployed-endpoint.js';
import { ForgeError } from '../errors.js';
import { readProxyConfig } from '../proxy/control/config-file.js';
import { PROXY_CONFIG_FILE, PROXY_FILES_TARGET, proxyAdminAddress } from './proxy-container.js';
import type { NodeFile } from './redis-container.js';

const HASH_CHARACTERS = 8;

export interface ProxySources {
  readonly users: readonly UserWithPassword[];
  readonly environment: NodeJS.ProcessEnv;
}

/**
 * What the proxy on a host reads: the operator's configuration, else one that forge writes.
 * @throws ForgeError `configuration` for a file or a variable that is not there, and for a configuration that is wrong
 */
export async function proxyFiles(
  settings: DeploySettings,
  host: DeployHost,
  sources: ProxySources,
): Promise<readonly NodeFile[]> {
  const { configFile } = settings.proxy;
  if (configFile === undefined) return await writtenFiles(settings, host, sources);
  const text = await read(configFile);
  // What is wrong is told with its line before anything is changed.
  await readProxyConfig(configFile);
  return await withItsFiles(text, path.dirname(configFile), sources.environment);
}

/** All nodes as endpoints, the proxy's own user there, and the password of applications at its door. */
async function writtenFiles(
  settings: DeploySettings,
  host: DeployHost,
  { users }: ProxySources,
): Promise<readonly NodeFile[]> {
  const { proxy, redis, nodes } = settings;
  const app = users.find(({ role }) => role === 'app') ?? users.find(({ role }) => role === 'admin');
  const door = doorUser(users);
  if (app === undefined || door === undefined) throw new Error('deploy: no user for the proxy');
  const tls = redis.tls === undefined ? undefined : await tlsOf(redis.tls.directory);
  const inside = (file: string) => ({ filename: `${PROXY_FILES_TARGET}/${file}` });
  const certificate = { certificate_chain: inside('tls/server.crt'), private_key: inside('tls/server.key') };
  const config = {
    admin: { address: proxyAdminAddress(settings, host) },
    listeners: [
      {
        address: `0.0.0.0:${proxy.port}`,
        stat_prefix: 'egress_redis',
        cluster: 'main',
        downstream_auth_passwords: [inside('secrets/endpoint')],
        ...(tls?.own === true ? { tls_context: { tls_certificates: [certificate] } } : {}),
      },
    ],
    clusters: [
      {
        name: 'main',
        type: 'redis_cluster',
        endpoints: nodes.map(
          ({ announce, host: name, port }) => `${announce.hostname ?? announce.ip ?? name}:${announce.port ?? port}`,
        ),
        auth_username: app.name,
        auth_password: inside('secrets/upstream'),
        ...(tls === undefined
          ? {}
          : {
              tls_context: {
                validation_context: { trusted_ca: inside('tls/ca.crt') },
                ...(tls.own ? { tls_certificates: [certificate] } : {}),
              },
            }),
      },
    ],
    ...(proxy.workers === undefined ? {} : { workers: proxy.workers }),
  };
  return [
    // JSON is YAML.
    { path: PROXY_CONFIG_FILE, content: `${JSON.stringify(config, undefined, 2)}\n` },
    { path: 'secrets/endpoint', content: door.secret },
    { path: 'secrets/upstream', content: app.secret },
    ...(tls?.files ?? []),
  ];
}

/** The proxy's own certificate serves clients, and shows nodes who it is. */
async function tlsOf(directory: string) {
  const authority = await authorityFile(directory);
  const folder = path.join(directory, 'proxy');
  const [certificate, key] = await Promise.all(
    ['server.crt', 'server.key'].map((file) => readOptional(path.join(folder, file))),
  );
  const both = certificate !== undefined && key !== undefined;
  return {
    own: both,
    files: [
      ...(authority === undefined ? [] : [{ path: 'tls/ca.crt', content: await read(authority) }]),
      ...(both
        ? [
            { path: 'tls/server.crt', content: certificate },
            { path: 'tls/server.key', content: key },
          ]
        : []),
    ],
  };
}

/**
 * The configuration with every `{ filename: … }` and `{ environment: … }` as a file of the container: neither the host's
 * files nor the environment of whoever deploys is there.
 */
export async function withItsFiles(
  text: string,
  folder: string,
  environment: NodeJS.ProcessEnv,
): Promise<readonly NodeFile[]> {
  const document = parseDocument(text);
  const places: { readonly map: YAMLMap; readonly key: 'filename' | 'environment'; readonly value: string }[] = [];
  visit(document, {
    Map: (_, map) => {
      for (const key of ['filename', 'environment'] as const) {
        const value = map.get(key, true);
        if (isMap(map) && isScalar(value) && typeof value.value === 'string')
          places.push({ map, key, value: value.value });
      }
    },
  });
  const files = new Map<string, string>();
  for (const { map, key, value } of places) {
    const content = key === 'filename' ? await read(path.resolve(folder, value)) : environment[value];
    if (!content) {
      const [fault, next] =
        key === 'filename'
          ? ['that file is empty', `Write it, or name another file.`]
          : ['that variable is not set', `Set ${value}, in the environment or in .env.`];
      throw new ForgeError('configuration', `The proxy's configuration names ${value}, and ${fault}.`, { next });
    }
    const hash = createHash('sha256').update(`${key} ${value}`).digest('hex').slice(0, HASH_CHARACTERS);
    const file = `files/${hash}-${path.basename(value)}`;
    files.set(file, content);
    map.delete(key);
    map.set('filename', `${PROXY_FILES_TARGET}/${file}`);
  }
  return [
    { path: PROXY_CONFIG_FILE, content: document.toString() },
    ...[...files].map(([file, content]) => ({ path: file, content })),
  ];
}

async function read(file: string): Promise<string> {
  return await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new ForgeError('configuration', `${file} cannot be read.`, {
      next: 'Check its path and its permissions.',
      cause,
    });
  });
}

async function readOptional(file: string): Promise<string | undefined> {
  return await readFile(file, 'utf8').catch(() => undefined);
}
