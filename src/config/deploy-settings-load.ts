/** Reads what a deployment is to be: settings that are resolved already, and the files that they name. */
import { access, constants, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { ForgeError } from '../errors.js';
import { pathText, placesIn } from '../proxy/config/yaml.js';
import type { DeploySettings } from './deploy-settings.js';
import { type DeployResult, resolveDeploySettings } from './deploy-settings-resolve.js';
import { DEPLOY_VARIABLES, type DeployProblem } from './deploy-settings-variables.js';
import { folderOf, requireKnownName, type Settings } from './resolve.js';

/**
 * What forge.yaml, the environment and `--set` say about a deployment. Certificates are looked for; no host is spoken to.
 * @param set `NAME=VALUE`: `redis.memory=4gb`, or a name of redis.conf such as `maxmemory=3gb`
 * @throws ForgeError `configuration` with everything that is wrong or does not go together, each with its place; `usage`
 *   for a cluster that forge.yaml does not have
 */
export async function loadDeploySettings(settings: Settings, set: readonly string[] = []): Promise<DeploySettings> {
  requireKnownName(settings);
  refuseEnvProblems(settings);
  const result = resolved(settings, set);
  const problems = [...result.problems, ...(await certificateProblems(result.settings))];
  if (problems.length === 0) return result.settings;
  const lines = describeProblems(problems, settings);
  throw new ForgeError('configuration', lines.join('\n'), {
    next: 'Correct it; forge config check shows whether it is right.',
    details: { problems: problems.map(({ path: place, ...rest }) => ({ path: pathText(place), ...rest })) },
  });
}

/** What settings say about a deployment, before it is judged. */
export function resolved(settings: Settings, set: readonly string[] = []): DeployResult {
  const { cluster, environment, named } = settings;
  return resolveDeploySettings({
    ...(cluster === undefined ? {} : { cluster }),
    environment,
    named,
    set,
    folder: path.resolve(folderOf(settings)),
    isOwn: ownAddresses(),
  });
}

/** `forge.yaml:7:3: redis.memory: …`, or the variable or flag that said it. */
function describeProblems(problems: readonly DeployProblem[], settings: Settings): string[] {
  return placedProblems(problems, settings).map(({ about, message }) =>
    about === '' ? message : `${about}: ${message}`,
  );
}

/** Each with its place: the file's line and the setting, or the variable or flag. */
export function placedProblems(
  problems: readonly DeployProblem[],
  { forgeFile, cluster }: Pick<Settings, 'forgeFile' | 'cluster'>,
): { readonly about: string; readonly message: string }[] {
  const placeOf = forgeFile === undefined ? undefined : placesIn(forgeFile.text);
  const several = /^["']?clusters["']?\s*:/m.test(forgeFile?.text ?? '');
  return problems.map(({ path: place, message, from }) => {
    if (from !== undefined) return { about: from, message };
    const where = several && cluster !== undefined ? ['clusters', cluster.name, ...place] : place;
    const found = placeOf?.(where);
    const file = found === undefined || found.line === 0 ? '' : `${forgeFile?.path}:${found.line}:${found.column}: `;
    return { about: `${file}${pathText(where)}`, message };
  });
}

/**
 * What is wrong, and worth a look, about the deployment of a cluster that says something about one; nothing of one that
 * does not.
 */
export async function deployFindings(settings: Settings): Promise<{
  readonly problems: { readonly about: string; readonly message: string }[];
  readonly warnings: readonly string[];
}> {
  const { cluster } = settings;
  if (cluster === undefined || (cluster.hosts ?? cluster.redis ?? cluster.monitoring) === undefined) {
    return { problems: [], warnings: [] };
  }
  const { settings: found, problems } = resolved(settings);
  const all = [...problems, ...(await certificateProblems(found))];
  return { problems: placedProblems(all, settings), warnings: found.warnings };
}

/** A line of `.env` that cannot be read matters when a deployment would have used it. */
function refuseEnvProblems({ envFile }: Settings): void {
  const bad = (envFile?.content.problems ?? []).filter(
    ({ name }) => name !== undefined && DEPLOY_VARIABLES.includes(name),
  );
  if (bad.length === 0) return;
  const lines = bad.map(({ line, name, message }) => `${envFile?.path}:${line}: ${name}: ${message}`);
  throw new ForgeError('configuration', lines.join('\n'), { next: 'Correct the line.' });
}

/** Whether a host is this machine: loopback, its name, and the addresses of its interfaces. */
export function ownAddresses(): (host: string) => boolean {
  const own = new Set(['localhost', '::1', os.hostname().toLowerCase()]);
  for (const all of Object.values(os.networkInterfaces())) for (const { address } of all ?? []) own.add(address);
  return (host) => host.startsWith('127.') || own.has(host.toLowerCase());
}

/** The folder of a node's certificate, in which `nodes/HOST-PORT` goes before `nodes/HOST`; undefined without one. */
export async function nodeCertificateFolder(
  directory: string,
  node: { readonly host: string; readonly port: number },
): Promise<string | undefined> {
  for (const name of [`${node.host}-${node.port}`, node.host]) {
    const folder = path.join(directory, 'nodes', name);
    const found = await Promise.all(['server.crt', 'server.key'].map((file) => isReadable(path.join(folder, file))));
    if (found.every(Boolean)) return folder;
  }
  return undefined;
}

/** What nodes and clients trust: during a rotation two authorities. Undefined without either. */
export async function authorityFile(directory: string): Promise<string | undefined> {
  for (const name of ['ca-bundle.crt', 'ca.crt']) {
    if (await isReadable(path.join(directory, name))) return path.join(directory, name);
  }
  return undefined;
}

async function certificateProblems({ redis, nodes }: DeploySettings): Promise<DeployProblem[]> {
  const { directory } = redis.tls ?? {};
  if (directory === undefined) return [];
  const at = ['redis', 'tls'];
  const found = await stat(directory).catch(() => undefined);
  if (found === undefined || !found.isDirectory()) {
    return [{ path: at, message: `there is no folder ${directory}; make it: forge gen-certs ${directory}` }];
  }
  const problems: DeployProblem[] = [];
  if ((await authorityFile(directory)) === undefined) {
    problems.push({ path: at, message: `${directory} has no ca.crt` });
  }
  const folders = await Promise.all(nodes.map((node) => nodeCertificateFolder(directory, node)));
  const without = nodes.filter((_, index) => folders[index] === undefined).map(({ host, port }) => `${host}:${port}`);
  if (without.length > 0) {
    const message = `${directory} has no certificate (server.crt, server.key) for ${without.join(', ')}; make it: forge gen-certs ${directory} --renew`;
    problems.push({ path: at, message });
  }
  return problems;
}

async function isReadable(file: string): Promise<boolean> {
  return access(file, constants.R_OK).then(
    () => true,
    () => false,
  );
}
