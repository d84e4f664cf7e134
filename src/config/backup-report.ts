/** What settings of backups add up to, and what is wrong with them: for people, without secrets. */
import path from 'node:path';
import { ForgeError } from '../errors.js';
import { chooseSecret } from './backup-secret.js';
import { backupSecret, type Chosen, chooseKeys, choosePlace, chooseS3, storeSettings } from './backup-settings.js';
import { folderOf, placeState, type Settings } from './resolve.js';

type Add = (setting: string, value: unknown, from: string) => void;

const FORGE_FILE = 'forge.yaml';

/**
 * Tells every setting of backups that has a value; nothing where there is no place for them.
 * @param origin of a variable's name, where it is from
 * @throws ForgeError `configuration` for a value that cannot be used
 */
export function addBackup(add: Add, settings: Settings, origin: (from: string) => string): void {
  const { environment } = settings;
  const own = settings.cluster?.backup;
  const place = choosePlace({}, settings);
  if (place === undefined && own === undefined) return;
  const line = (name: string, chosen: Chosen<unknown> | undefined) => {
    if (chosen !== undefined) add(`backup.${name}`, chosen.value, origin(chosen.from));
  };
  if (place?.value.kind === 'directory') line('directory', { value: place.value.directory, from: place.from });
  if (place?.value.kind === 's3') {
    const { bucket, prefix } = place.value;
    line('bucket', { value: `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}`, from: place.from });
    const { endpoint, region, pathStyle, checksums, storageClass, sse, sseKeyId, tags, caFile, profile } = chooseS3(
      {},
      settings,
    );
    for (const [name, chosen] of Object.entries({
      endpoint,
      region,
      path_style: pathStyle,
      checksums,
      profile,
      ca: caFile,
    })) {
      line(name, chosen);
    }
    line('storage_class', storageClass);
    line('server_side_encryption', sse);
    line('kms_key_id', sseKeyId);
    const words = Object.entries(tags?.value ?? {}).map(([key, value]) => `${key}=${value}`);
    line('tags', tags && { value: words.join(', '), from: tags.from });
  }
  for (const { name, place: at, variable } of chooseKeys(settings)) {
    if (variable !== undefined) add(`backup.${name}`, 'set', origin(variable));
    else add(`backup.${name}`, whereabouts(at, settings), FORGE_FILE);
  }
  line('cluster', own?.cluster === undefined ? undefined : { value: own.cluster, from: FORGE_FILE });
  const days = environment['BACKUP_RETENTION_DAYS'];
  if (days && !(settings.named && own?.retention_days !== undefined)) {
    add('backup.retention_days', days, origin('BACKUP_RETENTION_DAYS'));
  } else add('backup.retention_days', own?.retention_days, FORGE_FILE);
  const { within, ...counts } = own?.retention ?? {};
  for (const [name, count] of Object.entries(counts)) add(`backup.retention.${name}`, count, FORGE_FILE);
  add('backup.retention.within', within === undefined ? undefined : `${within / 3_600_000}h`, FORGE_FILE);
  const key = chooseSecret({}, settings);
  if (key?.kind === 'file') add('backup.encryption_key', `in ${key.file}`, origin(key.from));
  if (key?.kind === 'variable') {
    add('backup.encryption_key', whereabouts({ environment: key.variable }, settings), origin(key.from));
  }
  if (key?.kind === 'command') add('backup.encryption_key', `printed by ${key.words[0]}`, origin(key.from));
}

function whereabouts(
  { environment, filename }: { environment?: string; filename?: string },
  settings: Settings,
): string {
  if (environment === undefined) return `in ${path.resolve(folderOf(settings), filename ?? '')}`;
  return `in ${environment}, ${settings.environment[environment] ? 'set' : 'not set'}`;
}

interface Found {
  readonly level: 'fault' | 'warning';
  readonly about: string;
  readonly message: string;
}

/** What is wrong about backups, or worth a look. No store is asked, and no command is run. */
export async function findBackupFaults(settings: Settings): Promise<Found[]> {
  const findings: Found[] = [];
  const fault = (about: string, message: string) => findings.push({ level: 'fault', about, message });
  const warning = (about: string, message: string) => findings.push({ level: 'warning', about, message });
  for (const { name, place, variable } of chooseKeys(settings)) {
    if (variable !== undefined) continue;
    const state = await placeState(place, folderOf(settings), settings.environment);
    const where = place.environment ?? path.resolve(folderOf(settings), place.filename ?? '');
    if (state === 'missing') fault(`backup.${name}`, `${where} holds nothing`);
    if (state === 'open') warning(`backup.${name}`, `others may read ${where}; chmod 600`);
  }
  const incomplete = findings.some(({ level }) => level === 'fault');
  const told = async (about: string, work: () => Promise<unknown>) => {
    await work().catch((error) => {
      if (!(error instanceof ForgeError)) throw error;
      fault(about, error.message);
    });
  };
  await told('backup', async () => {
    // What is missing was told above.
    if (choosePlace({}, settings) !== undefined && !incomplete) await storeSettings(undefined, settings);
  });
  await told('backup.encryption_key', async () => {
    if (chooseSecret({}, settings)?.kind === 'command') return;
    await backupSecret(undefined, settings, { onWarning: (message) => warning('backup.encryption_key', message) });
  });
  return findings;
}
