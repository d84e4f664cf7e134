/** Writes the files for an own Prometheus, Alertmanager and Grafana. */
import { mkdir, open, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { ForgeCluster } from '../config/forge-file.js';
import { ForgeError } from '../errors.js';
import { writeFileAtomic } from '../runtime/files.js';
import { monitoredCluster } from './cluster.js';
import { type MonitoringFile, monitoringFiles } from './files.js';
import { receiversOf, type SecretFile } from './receivers.js';

const PUBLIC_MODE = 0o644;
const SECRET_MODE = 0o600;
const SECRETS = 'alertmanager/secrets';
const PROMETHEUS_URL = 'http://127.0.0.1:9090';
/** The address of a webhook, or a password: more is another file. */
const SECRET_BYTES_MAX = 64 * 1024;

export interface GenerateOptions {
  readonly cluster: ForgeCluster;
  /** The environment and `.env`: where secrets may be. */
  readonly environment: NodeJS.ProcessEnv;
  /** What names of files in forge.yaml are relative to. */
  readonly folder: string;
  /** Absolute. */
  readonly directory: string;
  /** Where Alertmanager finds the secrets; absolute. `directory/alertmanager/secrets` when not given. */
  readonly secrets?: string;
  readonly prometheusUrl?: string;
  /** Where Grafana reads dashboards; absolute. `directory/grafana/dashboards` when not given. */
  readonly dashboards?: string;
  readonly dryRun: boolean;
  /** Files that forge did not write are replaced, too. */
  readonly force: boolean;
}

export interface GeneratedFile {
  /** Relative to the directory. */
  readonly path: string;
  readonly action: 'create' | 'change' | 'keep';
}

export interface GenerateResult {
  readonly cluster: string;
  readonly directory: string;
  readonly dryRun: boolean;
  readonly files: readonly GeneratedFile[];
  /** What is still missing before alerts reach somebody. */
  readonly warnings: readonly string[];
}

/**
 * Brings every file in the directory up to date; each is replaced whole, so that Prometheus never reads half of one.
 * @throws ForgeError `configuration` for a cluster without nodes, a receiver that cannot be had, or a folder that cannot be
 *   written; `refused` when a file is there that somebody else wrote: then nothing is changed
 */
export async function generateMonitoring(options: GenerateOptions): Promise<GenerateResult> {
  const { cluster, directory, dryRun, force } = options;
  const monitored = monitoredCluster(cluster);
  if (monitored.nodes.length === 0) {
    throw new ForgeError('configuration', `forge.yaml names no nodes of ${cluster.name}: there is nothing to watch.`, {
      next: 'Name them under nodes.',
    });
  }
  const { receivers, secrets } = receiversOf(cluster, options.secrets ?? path.join(directory, SECRETS));
  const files = monitoringFiles(monitored, receivers, {
    prometheusUrl: options.prometheusUrl ?? PROMETHEUS_URL,
    dashboards: options.dashboards ?? path.join(directory, 'grafana', 'dashboards'),
  });
  const compared = await Promise.all(files.map((file) => compare(directory, file)));
  refuseForeign(directory, compared, force);
  const found = await Promise.all(secrets.map((secret) => readSecret(secret, options)));
  const warnings = [
    ...found.flatMap(({ warning }) => (warning === undefined ? [] : [warning])),
    ...(Object.keys(receivers).length === 0
      ? ['Nobody is told of alerts: name discord, slack, mail or webhook under monitoring.alertmanager in forge.yaml.']
      : []),
    ...(monitored.proxies.length === 0
      ? ['No proxy is watched: name proxy.admin or monitoring.proxies in forge.yaml.']
      : []),
  ];
  const kept = found.flatMap(({ file }) => (file === undefined ? [] : [file]));
  const comparedSecrets = await Promise.all(kept.map((file) => compare(directory, file)));
  if (!dryRun) {
    for (const { file, action } of compared) if (action !== 'keep') await write(directory, file, PUBLIC_MODE);
    for (const { file, action } of comparedSecrets) if (action !== 'keep') await write(directory, file, SECRET_MODE);
  }
  const all = [...compared, ...comparedSecrets].map(({ file, action }) => ({ path: file.path, action }));
  return { cluster: cluster.name, directory, dryRun, files: all, warnings };
}

interface Compared {
  readonly file: MonitoringFile;
  readonly action: GeneratedFile['action'];
  readonly foreign: boolean;
}

async function compare(directory: string, file: MonitoringFile): Promise<Compared> {
  let there: string;
  try {
    there = await readFile(path.join(directory, file.path), 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { file, action: 'create', foreign: false };
    throw new ForgeError('configuration', `${path.join(directory, file.path)} cannot be read (${code ?? 'unknown'}).`, {
      next: 'Name another directory, or correct its permissions.',
      cause,
    });
  }
  if (there === file.content) return { file, action: 'keep', foreign: false };
  return { file, action: 'change', foreign: file.mark !== undefined && !there.includes(file.mark) };
}

function refuseForeign(directory: string, compared: readonly Compared[], force: boolean): void {
  const foreign = compared.filter((each) => each.foreign).map(({ file }) => path.join(directory, file.path));
  if (foreign.length === 0 || force) return;
  throw new ForgeError('refused', `Somebody else wrote ${foreign.join(', ')}.`, {
    next: 'Name another directory, or replace what is there with --force.',
    details: { files: foreign },
  });
}

async function write(directory: string, file: MonitoringFile, mode: number): Promise<void> {
  const target = path.join(directory, file.path);
  try {
    await makeDirectory(path.dirname(target), mode === SECRET_MODE ? 0o700 : 0o755);
    await writeFileAtomic(target, file.content, mode);
  } catch (cause) {
    throw new ForgeError(
      'configuration',
      `${target} cannot be written (${(cause as NodeJS.ErrnoException).code ?? 'unknown'}).`,
      {
        next: 'Name another directory, make room, or correct the permissions; then run the same again.',
        cause,
      },
    );
  }
}

/**
 * Makes a folder and those above it that are missing. Node's own way of doing so never ends where a folder refuses new ones
 * by saying that it is not there itself, as /proc does.
 */
async function makeDirectory(directory: string, mode: number): Promise<void> {
  try {
    await mkdir(directory, mode);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    const parent = path.dirname(directory);
    if (code !== 'ENOENT' || (await stat(parent).catch(() => undefined)) !== undefined) throw error;
    await makeDirectory(parent, mode);
    await mkdir(directory, mode);
  }
}

/** The secret as a file, or what to do where it is not at its place: Alertmanager needs it, the other files do not. */
async function readSecret(
  { name, place }: SecretFile,
  { environment, folder, directory, secrets }: GenerateOptions,
): Promise<{ file?: MonitoringFile; warning?: string }> {
  const missing = (where: string) => ({
    warning: `${where}: write the secret into ${path.join(secrets ?? path.join(directory, SECRETS), name)}, for Alertmanager's eyes only.`,
  });
  const file = (content: string) => ({ file: { path: `${SECRETS}/${name}`, content: content.trim() } });
  if (place.environment !== undefined) {
    const value = environment[place.environment];
    return value ? file(value) : missing(`${place.environment} is not set`);
  }
  const source = path.resolve(folder, place.filename ?? '');
  try {
    const handle = await open(source, 'r');
    try {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(SECRET_BYTES_MAX), 0, SECRET_BYTES_MAX, 0);
      const text = buffer.toString('utf8', 0, bytesRead);
      return text.trim() === '' ? missing(`${source} is empty`) : file(text);
    } finally {
      await handle.close();
    }
  } catch {
    return missing(`${source} cannot be read`);
  }
}
