/** Flags, environment, `.env` and forge.yaml as one: which cluster is meant, where it is, and who logs in to it. */
import { open, stat } from 'node:fs/promises';
import path from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { formatAddress } from '../cluster/address.js';
import { ForgeError } from '../errors.js';
import { CONFIG_BYTES_MAX, ConfigError } from '../proxy/config/problems.js';
import { BACKUP_VARIABLES } from './backup-place.js';
import { type CredentialSources, type Credentials, readCredentials } from './credentials.js';
import { deployedAdmin, deployedTls } from './deployed-access.js';
import { type Dotenv, parseDotenv } from './dotenv.js';
import type { ForgeCluster, ForgeFile, SecretPlace } from './forge-file.js';
import { chooseSeeds, type Seeds } from './seeds.js';
import { readTls } from './tls.js';

export const FORGE_FILE = 'forge.yaml';
export const ENV_FILE = '.env';

/** What forge itself reads of `.env`; forge.yaml may refer to others. */
export const KNOWN_VARIABLES = [
  'CLUSTER_SEED',
  'CLUSTER_NODES',
  'REDIS_PORT',
  'REDIS_USERNAME',
  'REDIS_REQUIREPASS',
  'REDISCLI_AUTH',
  'REDIS_TLS',
  'REDIS_TLS_CA',
  'REDIS_TLS_CERT',
  'REDIS_TLS_KEY',
  'REDIS_TLS_SNI',
  ...BACKUP_VARIABLES,
] as const;

export interface SettingsSources {
  /** `--config`, else FORGE_CONFIG; else forge.yaml in the working folder, when there is one. */
  readonly config?: string;
  /** `--env-file`; else `.env` beside forge.yaml, or in the working folder, when there is one. */
  readonly envFile?: string;
  /** `--name`, else FORGE_CLUSTER: which cluster of forge.yaml. */
  readonly name?: string;
  readonly environment?: NodeJS.ProcessEnv;
  readonly directory?: string;
  /** No cluster needs to be chosen: all of them are looked at. */
  readonly unchosen?: boolean;
}

export interface Settings {
  readonly forgeFile?: { readonly path: string; readonly text: string; readonly content: ForgeFile };
  readonly envFile?: { readonly path: string; readonly content: Dotenv };
  /** The environment, and below it what `.env` has. Empty variables count as unset. */
  readonly environment: NodeJS.ProcessEnv;
  /** The cluster of forge.yaml that is meant. */
  readonly cluster?: ForgeCluster;
  /** It was named: then what forge.yaml says of it goes before the environment, which may be meant for another. */
  readonly named: boolean;
  /** Asked for by name, and not in forge.yaml. */
  readonly unknownName?: string;
}

/**
 * Reads forge.yaml and `.env`, as far as they are there.
 * @throws ForgeError `configuration` for a file that cannot be read or is wrong (every fault with its line), that was
 *   found and belongs to another user, or that has several clusters of which none is chosen
 */
export async function loadSettings(sources: SettingsSources = {}): Promise<Settings> {
  const { environment = process.env, directory = process.cwd() } = sources;
  const asked = sources.config || environment['FORGE_CONFIG'] || undefined;
  const forgePath = asked === undefined ? path.join(directory, FORGE_FILE) : path.resolve(directory, asked);
  const forgeText = await readSettingsFile(forgePath, asked !== undefined, '--config');
  const content = forgeText === undefined ? undefined : await checkedForgeFile(forgeText, forgePath);
  const envPath =
    sources.envFile === undefined
      ? path.join(
          forgeText === undefined || forgePath.startsWith('/dev/') ? directory : path.dirname(forgePath),
          ENV_FILE,
        )
      : path.resolve(directory, sources.envFile);
  const envText = await readSettingsFile(envPath, sources.envFile !== undefined, '--env-file');
  const dotenv = envText === undefined ? undefined : parseDotenv(envText, environment);
  const asName = sources.name || environment['FORGE_CLUSTER'] || undefined;
  const cluster = sources.unchosen ? undefined : chooseCluster(content, asName, forgePath);
  if (dotenv !== undefined) refuseProblems(dotenv, envPath, cluster);
  return {
    ...(content === undefined ? {} : { forgeFile: { path: forgePath, text: forgeText ?? '', content } }),
    ...(dotenv === undefined ? {} : { envFile: { path: envPath, content: dotenv } }),
    environment: merged(environment, dotenv),
    ...(cluster === undefined ? {} : { cluster }),
    named: asName !== undefined && cluster !== undefined,
    ...(asName !== undefined && cluster === undefined ? { unknownName: asName } : {}),
  };
}

function merged(environment: NodeJS.ProcessEnv, dotenv: Dotenv | undefined): NodeJS.ProcessEnv {
  const given = Object.entries(environment).filter(([, value]) => value !== undefined && value !== '');
  return { ...Object.fromEntries(dotenv?.values ?? []), ...Object.fromEntries(given) };
}

async function checkedForgeFile(text: string, file: string): Promise<ForgeFile> {
  // Only for those who have one: reading YAML takes more files than all that forge itself loads for a command.
  const { parseForgeFile } = await import('./forge-file.js');
  try {
    return parseForgeFile(text, file);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ForgeError('configuration', error.message, {
      next: 'Correct it; forge config check shows whether it is right.',
      details: { problems: error.problems },
    });
  }
}

/**
 * The text of a file; undefined when it was not asked for and is not there.
 *
 * A file that was merely found says where passwords are sent. In a folder that others may write to (/tmp), it could be
 * anybody's: so it must belong to this user, to root, or to whom sudo was called by.
 */
async function readSettingsFile(file: string, named: boolean, flag: string): Promise<string | undefined> {
  let text: string;
  let owner: number;
  try {
    const handle = await open(file, 'r');
    try {
      const { size, uid } = await handle.stat();
      if (size > CONFIG_BYTES_MAX) throw new Error('too large');
      owner = uid;
      text = await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (!named && (code === 'ENOENT' || code === 'ENOTDIR')) return undefined;
    throw new ForgeError('configuration', `${file} ${code === 'ENOENT' ? 'does not exist' : 'cannot be read'}.`, {
      next: 'Check its path and its permissions.',
      cause,
    });
  }
  const trusted = [process.getuid?.(), 0, Number(process.env['SUDO_UID'] ?? Number.NaN)];
  if (named || process.getuid === undefined || trusted.includes(owner)) return text;
  throw new ForgeError(
    'configuration',
    `${file} belongs to another user (${owner}), and says where passwords are sent.`,
    {
      next: `Look at it; where it is meant: ${flag} ${file}. To go without: ${flag} /dev/null`,
    },
  );
}

function chooseCluster(
  content: ForgeFile | undefined,
  name: string | undefined,
  file: string,
): ForgeCluster | undefined {
  if (content === undefined || content.clusters.length === 0) return undefined;
  const { clusters, defaultName } = content;
  if (name !== undefined) return clusters.find((each) => each.name === name);
  if (defaultName !== undefined) return clusters.find((each) => each.name === defaultName);
  throw new ForgeError('configuration', `${file} has several clusters, and none is chosen.`, {
    next: `Choose with --name or FORGE_CLUSTER: ${clusters.map((each) => each.name).join(', ')}.`,
  });
}

/** A line that cannot be read matters when forge would have used it; `.env` may be another program's as well. */
function refuseProblems({ problems }: Dotenv, file: string, cluster: ForgeCluster | undefined): void {
  const used = new Set<string | undefined>([...KNOWN_VARIABLES, ...referredVariables(cluster)]);
  const bad = problems.filter(({ name }) => name !== undefined && used.has(name));
  if (bad.length === 0) return;
  const lines = bad.map(({ line, name, message }) => `${file}:${line}: ${name}: ${message}`);
  throw new ForgeError('configuration', lines.join('\n'), { next: 'Correct the line.' });
}

/** Names of variables in which forge.yaml has secrets of this cluster. */
export function referredVariables(cluster: ForgeCluster | undefined): string[] {
  const { password } = cluster?.credentials ?? {};
  const { further, ...users } = cluster?.redis?.users ?? {};
  const { discord, slack, mail, webhook } = cluster?.monitoring?.alertmanager ?? {};
  const places = [
    password,
    cluster?.backup?.access_key_id,
    cluster?.backup?.secret_access_key,
    cluster?.backup?.session_token,
    cluster?.backup?.encryption_key,
    ...[...Object.values(users), ...Object.values(further ?? {})].map((user) => (user ? user.password : undefined)),
    ...[discord?.webhook, slack?.webhook, mail?.password, cluster?.monitoring?.grafana?.password],
    webhook !== undefined && 'url' in webhook ? webhook.url : undefined,
  ];
  return places.flatMap((place) => (place?.environment === undefined ? [] : [place.environment]));
}

/** What `--seed`, `--username` and the like say. */
export interface TargetFlags {
  readonly seed?: string;
  readonly username?: string;
  readonly 'password-file'?: string;
  readonly tls?: boolean;
  readonly cacert?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly sni?: string;
}

export interface Target {
  readonly seeds: Seeds;
  readonly connect: Credentials & { tls?: ConnectionOptions };
}

/**
 * Where the cluster is and who logs in to it: by flag, environment, `.env`, forge.yaml, in this order; when the cluster
 * was named, forge.yaml goes before the environment.
 * @param fallback further seeds, below all others but the default: nodes that an interrupted operation knows
 * @throws ForgeError `configuration` for a password, a certificate or a port that cannot be used
 */
export async function resolveTarget(
  flags: TargetFlags,
  settings: Settings,
  fallback?: { readonly addresses: readonly string[]; readonly source: string },
): Promise<Target> {
  const seeds = seedsOf(flags, settings, fallback);
  const [credentials, tls] = await Promise.all([
    readCredentials(credentialSources(flags, settings)),
    readTls({
      tls: flags.tls,
      caFile: flags.cacert,
      certificateFile: flags.cert,
      keyFile: flags.key,
      serverName: flags.sni,
      environment: tlsEnvironment(settings),
    }),
  ]);
  return { seeds, connect: { ...credentials, ...(tls === undefined ? {} : { tls }) } };
}

/** For what knows no other clusters than those of forge.yaml. @throws ForgeError `usage` for another name */
export function requireKnownName({ unknownName, forgeFile }: Settings): void {
  if (unknownName === undefined) return;
  const names = forgeFile?.content.clusters.map(({ name }) => name) ?? [];
  throw new ForgeError('usage', `There is no cluster ${unknownName} in forge.yaml.`, {
    next: names.length === 0 ? 'Name the file with --config.' : `There are: ${names.join(', ')}.`,
  });
}

/** Names of files in forge.yaml are relative to its folder. */
export function folderOf({ forgeFile }: Settings): string {
  return forgeFile === undefined ? '.' : path.dirname(forgeFile.path);
}

/** Where the cluster is begun to be looked at. */
export function seedsOf(
  flags: TargetFlags,
  { cluster, named, environment }: Settings,
  fallback?: Parameters<typeof resolveTarget>[2],
): Seeds {
  const nodes = cluster?.nodes.map(formatAddress);
  const effective = named ? withoutSeeds(environment, nodes) : environment;
  return chooseSeeds({ flag: flags.seed, file: nodes, fallback, environment: effective });
}

/** What name and password are chosen from. */
export function credentialSources(flags: TargetFlags, settings: Settings): CredentialSources {
  const { cluster, named, environment } = settings;
  const own = cluster?.credentials ?? (cluster === undefined ? undefined : deployedAdmin(cluster));
  return {
    username: flags.username,
    passwordFile: flags['password-file'],
    environment,
    ...(own === undefined ? {} : { file: { ...own, folder: folderOf(settings), first: named } }),
  };
}

function withoutSeeds(environment: NodeJS.ProcessEnv, nodes: readonly string[] | undefined): NodeJS.ProcessEnv {
  if (nodes === undefined || nodes.length === 0) return environment;
  return { ...environment, CLUSTER_SEED: undefined, CLUSTER_NODES: undefined };
}

/**
 * The TLS settings of forge.yaml in the words of the environment: what `tls` leaves open is as nodes are deployed.
 * REDIS_TLS=no switches them off.
 */
export function tlsEnvironment(settings: Settings): NodeJS.ProcessEnv {
  const { cluster, named, environment } = settings;
  const folder = folderOf(settings);
  const deployed = deployedTls(cluster, folder);
  const tls = cluster?.tls;
  const asked = environment['REDIS_TLS']?.trim();
  const off = asked !== undefined && asked !== '' && !/^(1|true|yes|on)$/i.test(asked);
  if ((tls === undefined && deployed === undefined) || (off && !named)) return environment;
  const inFolder = (name: string | undefined) => (name === undefined ? undefined : path.resolve(folder, name));
  // A certificate and its key are of one place.
  const elsewhere = tls?.certificate ?? tls?.key ?? environment['REDIS_TLS_CERT'] ?? environment['REDIS_TLS_KEY'];
  const pair = elsewhere === undefined ? deployed : tls;
  const ours = Object.entries({
    REDIS_TLS: 'yes',
    REDIS_TLS_CA: inFolder(tls?.ca ?? deployed?.ca),
    REDIS_TLS_CERT: inFolder(pair?.certificate),
    REDIS_TLS_KEY: inFolder(pair?.key),
    REDIS_TLS_SNI: tls?.server_name,
  }).filter(([, value]) => value !== undefined);
  return named ? { ...environment, ...Object.fromEntries(ours) } : { ...Object.fromEntries(ours), ...environment };
}

/** Whether a secret's place holds something, without reading more than that. */
export async function placeState(
  place: SecretPlace,
  folder: string,
  environment: NodeJS.ProcessEnv,
): Promise<'set' | 'missing' | 'open'> {
  if (place.environment !== undefined) return environment[place.environment] ? 'set' : 'missing';
  const file = path.resolve(folder, place.filename ?? '');
  const found = await stat(file).catch(() => undefined);
  if (found === undefined || !found.isFile() || found.size === 0) return 'missing';
  return (found.mode & 0o077) === 0 ? 'set' : 'open';
}
