/** What all settings add up to, and where each comes from: for people, without secrets. */
import path from 'node:path';
import { formatAddress } from '../cluster/address.js';
import { settingKey } from '../redis-config/settings.js';
import { addBackup } from './backup-report.js';
import { chooseCredentials } from './credentials.js';
import { resolved } from './deploy-settings-load.js';
import { credentialSources, folderOf, type Settings, seedsOf, type TargetFlags, tlsEnvironment } from './resolve.js';

export interface SettingLine {
  readonly setting: string;
  /** A secret is only `set` or `not set`. */
  readonly value: string;
  /** `--seed`, `CLUSTER_SEED (.env)`, `forge.yaml`, `default`. */
  readonly from: string;
}

const FORGE_FILE = 'forge.yaml';
const TLS_LINES = [
  ['tls.ca', 'REDIS_TLS_CA', 'cacert'],
  ['tls.certificate', 'REDIS_TLS_CERT', 'cert'],
  ['tls.key', 'REDIS_TLS_KEY', 'key'],
  ['tls.server_name', 'REDIS_TLS_SNI', 'sni'],
] as const;

/**
 * One line per setting that has a value, in the order in which they matter.
 * @throws ForgeError `configuration` when REDIS_PORT is no port
 */
export function settingLines(
  flags: TargetFlags,
  settings: Settings,
  environment: NodeJS.ProcessEnv = process.env,
): SettingLine[] {
  const { cluster, forgeFile, envFile } = settings;
  const variable = (name: string) => (environment[name] ? name : `${name} (.env)`);
  const origin = (from: string) =>
    /^[A-Z][A-Z0-9_]+$/.test(from) ? variable(from) : from.replace(/^the default$/, 'default');
  const lines: SettingLine[] = [];
  const add = (setting: string, value: unknown, from: string) => {
    if (value !== undefined) lines.push({ setting, value: String(value), from });
  };
  add('forge.yaml', forgeFile?.path, 'file');
  add('.env', envFile?.path, 'file');
  add('cluster', cluster?.name, settings.named ? '--name or FORGE_CLUSTER' : FORGE_FILE);
  const seeds = seedsOf(flags, settings);
  add('seeds', seeds.text, origin(seeds.source));
  addCredentials(add, flags, settings, origin);
  addTls(add, flags, settings, origin);
  addNodes(add, settings);
  addDeployment(add, settings, origin);
  const { proxy } = cluster ?? {};
  const inFolder = (file: string | undefined) =>
    file === undefined ? undefined : path.resolve(folderOf(settings), file);
  add('replicas_per_master', cluster?.replicas_per_master, FORGE_FILE);
  add('proxy.config', inFolder(proxy?.config), FORGE_FILE);
  add('proxy.endpoint', proxy?.endpoint && formatAddress(proxy.endpoint), FORGE_FILE);
  add('proxy.admin', proxy?.admin && formatAddress(proxy.admin), FORGE_FILE);
  addBackup(add, settings, origin);
  return lines;
}

type Add = (setting: string, value: unknown, from: string) => void;
type Origin = (from: string) => string;

function stateOf({ environment }: Settings, name: string): string {
  return environment[name] ? 'set' : 'not set';
}

function addCredentials(add: Add, flags: TargetFlags, settings: Settings, origin: Origin): void {
  const { username, password } = chooseCredentials(credentialSources(flags, settings));
  add('username', username?.value, origin(username?.from ?? ''));
  if (password === undefined) add('password', 'not set', 'default');
  else if ('file' in password) add('password', `in ${password.file}`, password.from);
  else if (password.variable === password.from) add('password', 'set', origin(password.from));
  else add('password', `in ${password.variable}, ${stateOf(settings, password.variable)}`, password.from);
}

function addTls(add: Add, flags: TargetFlags, settings: Settings, origin: Origin): void {
  const effective = tlsEnvironment(settings);
  const given = settings.environment;
  const fromOf = (name: string) => (given[name] === effective[name] ? origin(name) : FORGE_FILE);
  const named = TLS_LINES.some(([, name, flag]) => name !== 'REDIS_TLS_SNI' && (flags[flag] ?? effective[name]));
  const asked = flags.tls ?? /^(1|true|yes|on)$/i.test(effective['REDIS_TLS']?.trim() ?? '');
  const source = flags.tls !== undefined ? '--tls' : effective['REDIS_TLS'] ? fromOf('REDIS_TLS') : 'default';
  add('tls', asked || named ? 'yes' : 'no', asked || !named ? source : 'a TLS file is named');
  if (!asked && !named) return;
  for (const [setting, name, flag] of TLS_LINES) {
    add(setting, flags[flag] ?? effective[name], flags[flag] === undefined ? fromOf(name) : `--${flag}`);
  }
}

/** What nodes would be deployed as, where anything is said about that. */
function addDeployment(add: Add, settings: Settings, origin: Origin): void {
  const { settings: found, origins } = resolved(settings);
  const { redis: section, hosts } = settings.cluster ?? {};
  const ofRedis = [...origins.keys()].some((name) => name.startsWith('redis.'));
  if (section === undefined && hosts === undefined && !ofRedis) return;
  const { redis } = found;
  const line = (name: string, value: unknown, written: boolean) => {
    const from = origins.get(`redis.${name}`);
    add(`redis.${name}`, value, from !== undefined ? origin(from) : written ? FORGE_FILE : 'default');
  };
  line('version', redis.version.text, section?.version !== undefined);
  line('image', redis.image, section?.image !== undefined);
  line('network', redis.network.kind === 'host' ? 'host' : redis.network.name, section?.network !== undefined);
  line('memory', redis.limits.memoryBytes, true);
  line('cpus', redis.limits.cpus, true);
  line('tls', redis.tls?.directory, true);
  // By old words or new ones: what it is called here is the version's own name.
  const writtenAs = (name: string, all: readonly string[]) => all.find((each) => settingKey(each) === settingKey(name));
  const prefix = 'redis.settings.';
  const given = [...origins.keys()].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
  for (const [name, values] of Object.entries(redis.settings)) {
    const variable = origins.get(`${prefix}${writtenAs(name, given)}`);
    const written = writtenAs(name, Object.keys(section?.settings ?? {})) !== undefined;
    const from = variable !== undefined ? origin(variable) : written ? FORGE_FILE : 'default';
    add(`${prefix}${name}`, values.join('; '), from);
  }
  for (const { role, name, password } of redis.users) {
    const where = 'derived' in password ? 'derived' : (password.environment ?? password.filename ?? '');
    const state =
      'environment' in password && password.environment ? `, ${stateOf(settings, password.environment)}` : '';
    const key = role === 'further' ? `further.${name}` : role;
    const said = role === 'further' || section?.users?.[role] !== undefined;
    add(`redis.users.${key}`, `${name}, password ${where}${state}`, said ? FORGE_FILE : 'default');
  }
  for (const { name, docker, context, address } of found.hosts) {
    const listed = hosts !== undefined && Object.hasOwn(hosts, name);
    add(`hosts.${name}`, `${docker ?? context ?? 'this machine'}, ${address}`, listed ? FORGE_FILE : 'default');
  }
}

function addNodes(add: Add, { cluster }: Settings): void {
  for (const [index, { zone, role, weight, ...address }] of (cluster?.nodes ?? []).entries()) {
    const words = [formatAddress(address), zone === undefined ? undefined : `zone ${zone}`, role];
    if (weight !== undefined) words.push(`weight ${weight}`);
    add(`nodes[${index}]`, words.filter((word) => word !== undefined).join(', '), FORGE_FILE);
  }
}
