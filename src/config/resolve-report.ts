/** What all settings add up to, and where each comes from: for people, without secrets. */
import path from 'node:path';
import { formatAddress } from '../cluster/address.js';
import { chooseCredentials } from './credentials.js';
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
  const origin = (from: string) => (/^[A-Z_]+$/.test(from) ? variable(from) : from.replace(/^the default$/, 'default'));
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
  const { proxy, backup } = cluster ?? {};
  const inFolder = (file: string | undefined) =>
    file === undefined ? undefined : path.resolve(folderOf(settings), file);
  add('replicas_per_master', cluster?.replicas_per_master, FORGE_FILE);
  add('proxy.config', inFolder(proxy?.config), FORGE_FILE);
  add('proxy.endpoint', proxy?.endpoint && formatAddress(proxy.endpoint), FORGE_FILE);
  add('proxy.admin', proxy?.admin && formatAddress(proxy.admin), FORGE_FILE);
  add('backup.bucket', backup?.bucket, FORGE_FILE);
  add('backup.endpoint', backup?.endpoint, FORGE_FILE);
  add('backup.region', backup?.region, FORGE_FILE);
  add('backup.directory', inFolder(backup?.directory), FORGE_FILE);
  add('backup.retention_days', backup?.retention_days, FORGE_FILE);
  for (const name of ['access_key_id', 'secret_access_key'] as const) {
    const place = backup?.[name];
    if (place === undefined) continue;
    const { environment: held, filename } = place;
    const where = held === undefined ? `in ${inFolder(filename)}` : `in ${held}, ${stateOf(settings, held)}`;
    add(`backup.${name}`, where, FORGE_FILE);
  }
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

function addNodes(add: Add, { cluster }: Settings): void {
  for (const [index, { zone, role, weight, ...address }] of (cluster?.nodes ?? []).entries()) {
    const words = [formatAddress(address), zone === undefined ? undefined : `zone ${zone}`, role];
    if (weight !== undefined) words.push(`weight ${weight}`);
    add(`nodes[${index}]`, words.filter((word) => word !== undefined).join(', '), FORGE_FILE);
  }
}
