/** Rotates logs on several hosts: this one, and others over SSH, where nothing of forge has to be installed. */
import { settleBounded } from '../cluster/bounded.js';
import type { LogFolderSettings } from '../config/logs-schema.js';
import { type ErrorKind, ForgeError } from '../errors.js';
import type { HostSession } from '../host/session.js';
import type { HostTarget } from '../host/target.js';
import { RemoteFolder } from './remote-folder.js';
import { type RotateRequest, type RotateResult, rotateLogs } from './rotate.js';

/** Hosts that are worked on together. */
const PARALLEL_MAX = 8;
const MIB = 1024 * 1024;

/** What is rotated on one host. */
export interface HostLogs {
  readonly target: HostTarget;
  readonly folders: readonly Omit<RotateRequest, 'dryRun'>[];
}

export interface LogsFailure {
  readonly kind: ErrorKind;
  readonly message: string;
  readonly next: readonly string[];
}

export interface RotatedFolder {
  readonly directory: string;
  readonly result?: RotateResult;
  /** Why nothing, or not all, was done there. */
  readonly failure?: LogsFailure;
}

export interface RotatedHost {
  readonly host: string;
  readonly folders: readonly RotatedFolder[];
  /** Why the host could not be worked on at all. */
  readonly failure?: LogsFailure;
}

export interface RotateHostsOptions {
  readonly dryRun: boolean;
  readonly sudo?: boolean;
  readonly environment?: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

/** A folder of forge.yaml as what is asked for. Pure. */
export function requestOf({
  directory,
  size_mb,
  count,
  age,
  patterns,
}: LogFolderSettings): Omit<RotateRequest, 'dryRun'> {
  const bytes = Math.max(1, Math.round(size_mb * MIB));
  return { directory, bytes, count, patterns, ...(age === undefined ? {} : { ageMs: age }) };
}

/**
 * What is rotated where. Pure.
 * @param targets the hosts that are meant
 * @throws ForgeError `configuration` for a folder whose `hosts` name none of `known`
 */
export function assignLogs(
  folders: readonly LogFolderSettings[],
  targets: readonly HostTarget[],
  known: readonly HostTarget[] = targets,
): HostLogs[] {
  for (const { directory, hosts = [] } of folders) {
    const unknown = hosts.find((name) => !known.some((target) => isNamed(target, name)));
    if (unknown !== undefined) {
      throw new ForgeError('configuration', `logs of ${directory}: ${unknown} is no host of the cluster.`, {
        next: `Take one of: ${known.map(({ name }) => name).join(', ')}.`,
      });
    }
  }
  return targets.map((target) => ({
    target,
    folders: folders
      .filter(({ hosts }) => hosts === undefined || hosts.some((name) => isNamed(target, name)))
      .map(requestOf),
  }));
}

const isNamed = (target: HostTarget, name: string): boolean => target.name === name || target.ssh?.host === name;

/** Works on all of them, several at once; one that fails holds nobody up. */
export async function rotateOnHosts(hosts: readonly HostLogs[], options: RotateHostsOptions): Promise<RotatedHost[]> {
  const settled = await settleBounded(hosts, PARALLEL_MAX, (each) => rotateOn(each, options));
  options.signal.throwIfAborted();
  return settled.map((outcome, index): RotatedHost => {
    if (outcome.status === 'fulfilled') return outcome.value;
    return { host: hosts[index]?.target.name ?? '', folders: [], failure: failureOf(outcome.reason) };
  });
}

async function rotateOn({ target, folders }: HostLogs, options: RotateHostsOptions): Promise<RotatedHost> {
  const { sudo = false, environment, signal } = options;
  if (folders.length === 0) return { host: target.name, folders: [] };
  const away = target.ssh !== undefined || sudo;
  let session: HostSession | undefined;
  try {
    if (away) session = await RemoteFolder.session(target, { sudo, environment, signal });
    const rotated: RotatedFolder[] = [];
    for (const folder of folders)
      rotated.push(await rotateFolder({ ...folder, dryRun: options.dryRun }, session, signal));
    return { host: target.name, folders: rotated };
  } finally {
    await session?.close();
  }
}

async function rotateFolder(
  request: RotateRequest,
  session: HostSession | undefined,
  signal: AbortSignal,
): Promise<RotatedFolder> {
  const { directory } = request;
  try {
    const files = session === undefined ? undefined : new RemoteFolder(session, directory);
    await files?.enter();
    return { directory, result: await rotateLogs(request, signal, files) };
  } catch (error) {
    signal.throwIfAborted();
    const failure = failureOf(error);
    // Without its shell there is nothing to be done in the next folder.
    if (failure.kind === 'unreachable' || failure.kind === 'timeout') throw error;
    return { directory, failure };
  }
}

function failureOf(error: unknown): LogsFailure {
  if (!(error instanceof ForgeError)) throw error;
  const { kind, message, next } = error;
  return { kind, message, next };
}

/** Every failure and everything that is left, as one kind for an exit code; undefined when all is done. */
export function worstOf(hosts: readonly RotatedHost[]): ErrorKind | undefined {
  const failures = hosts.flatMap(({ failure, folders }) => [
    ...(failure === undefined ? [] : [failure.kind]),
    ...folders.flatMap((folder) => (folder.failure === undefined ? [] : [folder.failure.kind])),
  ]);
  const worked = hosts.flatMap(({ folders }) => folders).filter(({ result }) => result !== undefined);
  const left = worked.some(({ result }) => result?.logs.some((log) => log.left !== undefined));
  // When nothing at all was done, for one reason, that reason is the command's own.
  const [first] = failures;
  if (first !== undefined && worked.length === 0 && failures.every((kind) => kind === first)) return first;
  return failures.length > 0 || left ? 'partial' : undefined;
}
