/** The settings of redis.conf that each server knows: looked up, and their values checked. Pure. */
import { nearest } from '../proxy/config/nearest.js';
import { ownedPlace } from './owned.js';
import { GENERATED_FROM, SETTING_ROWS } from './settings.generated.js';
import { checkValues } from './values.js';
import { compareVersions, parseServerVersion, type ServerVersion } from './version.js';

export interface SettingRow {
  /** What the server calls it. */
  readonly name: string;
  /** CONFIG SET takes it; else it is taken at a start only. */
  readonly live: boolean;
  /** As scripts/redis-settings.js tells it: `bool`, `int 0 100`, `enum a b`, `memory`, … */
  readonly kind: string;
}

type ServerName = keyof typeof GENERATED_FROM;
const SERVERS: readonly { readonly name: ServerName; readonly version: ServerVersion }[] = (
  Object.keys(GENERATED_FROM) as ServerName[]
).map((name) => ({ name, version: parseServerVersion(name) }));

/** Settings of Redis 8's own modules, which not every build has; what they may hold is proven by a start only. */
const MODULE_SETTING = /^(?:bf|cf|search|ts)-[a-z-]+$/;

/** By server, by what old and new words of a setting have in common. */
let tables: ReadonlyMap<ServerName, ReadonlyMap<string, SettingRow>> | undefined;

function table(server: ServerName): ReadonlyMap<string, SettingRow> {
  tables ??= new Map(SERVERS.map(({ name }) => [name, readTable(name)]));
  return tables.get(server) ?? new Map();
}

function readTable(server: ServerName): Map<string, SettingRow> {
  const rows = new Map<string, SettingRow>();
  for (const line of SETTING_ROWS.trim().split('\n')) {
    const [name = '', servers = '', when, kind = ''] = line.split('|');
    if (servers !== '*' && !servers.split(' ').includes(server)) continue;
    rows.set(settingKey(name), { name, live: when === 'live', kind });
  }
  return rows;
}

/** What the words for one setting have in common: `slave-priority` and `replica-priority` are the same. */
export function settingKey(name: string): string {
  if (name === 'lua-time-limit') return 'busy-reply-threshold';
  return name
    .replaceAll('_', '-')
    .replace('slave', 'replica')
    .replace('ziplist', 'listpack')
    .replace(/^primary(?=auth$|user$)/, 'master');
}

/**
 * The servers of the table that tell about a version: it itself, else its neighbours. What one of them knows may be
 * there; a start of the server proves it.
 */
function neighbours(version: ServerVersion): readonly ServerName[] {
  const same = SERVERS.filter((server) => server.version.product === version.product);
  const exact = same.find((server) => compareVersions(server.version, version) === 0);
  if (exact !== undefined) return [exact.name];
  const older = same.filter((server) => compareVersions(server.version, version) < 0).at(-1);
  const newer = same.find((server) => compareVersions(server.version, version) > 0);
  // Valkey began as Redis 7.2.
  const origin = version.product === 'valkey' && older === undefined ? (['7.0'] as const) : [];
  return [...origin, ...[older, newer].flatMap((server) => (server === undefined ? [] : [server.name]))];
}

/** What a version calls a setting, and what it may be; undefined where it does not know it. */
export function findSetting(name: string, version: ServerVersion): SettingRow | undefined {
  const rows = neighbours(version).flatMap((server) => table(server).get(settingKey(name)) ?? []);
  return rows.find((row) => row.name === name) ?? rows.at(-1);
}

/** Whether every server that forge knows has it, under this name. */
export function isKnownEverywhere(name: string): boolean {
  return SERVERS.every((server) => table(server.name).get(settingKey(name))?.name === name);
}

/** Whether a running server takes a change of it; false for a setting that is not known. */
export function isLive(name: string, version: ServerVersion): boolean {
  return findSetting(name, version)?.live ?? false;
}

/**
 * What is wrong with a setting; undefined when nothing is.
 * @param values its lines, in redis.conf's own words
 */
export function checkSetting(name: string, values: readonly string[], version: ServerVersion): string | undefined {
  const place = ownedPlace(settingKey(name));
  if (place !== undefined) return `is set by forge; ${place}`;
  const rows = neighbours(version).flatMap((server) => table(server).get(settingKey(name)) ?? []);
  if (rows.length === 0) {
    if (MODULE_SETTING.test(name) && version.product === 'redis' && version.major >= 8) return undefined;
    return unknownSetting(name, version);
  }
  const faults = rows.map(({ name: known, kind }) => checkValues(settingKey(known), kind, values));
  return faults.includes(undefined) ? undefined : faults.at(-1);
}

function unknownSetting(name: string, version: ServerVersion): string {
  const elsewhere = SERVERS.filter((server) => table(server.name).has(settingKey(name)));
  if (elsewhere.length > 0) {
    const names = elsewhere.map((server) => productName(server.version)).join(', ');
    return `${productName(version)} has no such setting (${names} ${elsewhere.length === 1 ? 'has' : 'have'} it)`;
  }
  const known = neighbours(version).flatMap((server) => [...table(server).values()].map((row) => row.name));
  const guess = nearest(
    name.toLowerCase(),
    [...new Set(known)].filter((each) => ownedPlace(settingKey(each)) === undefined),
  );
  return guess === null ? 'unknown setting of redis.conf' : `unknown setting of redis.conf; did you mean '${guess}'?`;
}

/** `Redis 8.0`, `Valkey 9.1`. */
export function productName({ product, major, minor }: ServerVersion): string {
  return `${product === 'redis' ? 'Redis' : 'Valkey'} ${major}.${minor}`;
}
