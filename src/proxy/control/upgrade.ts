/** Replacing a running proxy by a new process, of another executable perhaps, without a client noticing. */
import { readFile, readlink, rename, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { ForgeError } from '../../errors.js';
import { identifyProcess, isAlive, type ProcessIdentity, signalProcess } from '../../runtime/process/identity.js';
import { ProcessRuntime } from '../../runtime/process/process-runtime.js';
import { readRecord } from '../../runtime/process/record.js';
import { waitFor } from '../../runtime/wait.js';
import { controlPath, TAKE_OVER, TAKE_OVER_TIMES, UPGRADE_MS } from '../config/control-path.js';
import { askProxy } from './control-socket.js';
import { RESTART } from './detached.js';
import { exitKind, exitWords, findProxyExecutable } from './executable.js';
import { DRAIN_MS, inspectProxy } from './instance.js';
import { proxyInstance } from './pid-file.js';
import { askState, STATE_TIMEOUT_MS } from './state.js';
import { successorsOf } from './successor.js';

const POLL_MS = 50;
/** A process whose sockets the kernel has closed is gone within this time. */
const DYING_MS = 2_000;
/** A little longer than the proxy itself waits. */
const ANSWER_TIMEOUT_MS = UPGRADE_MS + 5_000;

export interface UpgradeOptions {
  pidFile: string;
  /** The new executable, absolute; by default the one of this program. */
  binary?: string;
  /** Seconds until clients of the old process that are never idle are closed at a pause between two commands. */
  drainS: number;
  /** Seconds until all are closed. */
  shutdownS: number;
  signal?: AbortSignal;
}

export interface UpgradeReport {
  /** The old process, which drains and ends. */
  old: number;
  /** True when it has ended already: it had no clients, or it died. */
  oldEnded: boolean;
  /** The new one, which serves. */
  pid: number;
  version: string;
  binary: string;
}

/**
 * Has a new process take over; returns when new clients come to it, while the old one drains.
 * @throws ForgeError `unreachable` without a running proxy, `refused` or the kind of its exit code when the new process
 *   does not get ready: then the old one serves on as if nothing had been. When the old one dies meanwhile, the new one
 *   is waited for all the same; `unreachable` when that is gone, too
 */
export async function upgradeProxy(options: UpgradeOptions): Promise<UpgradeReport> {
  const { pidFile, signal } = options;
  const before = await askState(pidFile, signal);
  if (before === undefined) {
    throw new ForgeError('unreachable', `No proxy that can be upgraded answers beside ${pidFile}.`, {
      next: 'Give the --pid-file that it was started with. One without a pid file is replaced by a restart.',
    });
  }
  const old = Number(before['pid']);
  if (old === 1) {
    throw new ForgeError('refused', 'The proxy is the first process of a container, which ends with it.', {
      next: 'forge deploy proxy has a container with the new image take over from this one: docs/deploy-proxy.md.',
    });
  }
  const binary = options.binary ?? findProxyExecutable();
  const times = `${options.drainS},${options.shutdownS}`;
  const [instance, identity] = await Promise.all([inspectProxy(pidFile), identifyProcess(old)]);
  if (instance.supervised) await underSupervision(old, binary, times, options);
  else await byItself(old, identity, binary, times, options);
  const oldEnded = identity === undefined || !(await isAlive(identity));
  const after = await successor(pidFile, old);
  if (after === undefined) throw new ForgeError('timeout', 'The new process took over and does not answer.');
  return { old, oldEnded, pid: Number(after['pid']), version: String(after['version']), binary };
}

/** The old process starts the new one, and tells when that has taken over. */
async function byItself(
  old: number,
  identity: ProcessIdentity | undefined,
  program: string,
  times: string,
  { pidFile, signal }: UpgradeOptions,
): Promise<void> {
  try {
    if ((await askProxy(pidFile, 'upgrade', { program, times }, ANSWER_TIMEOUT_MS, signal)) !== undefined) return;
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof ForgeError) || error.kind !== 'unreachable') throw error;
    if (identity !== undefined && !(await isGone(identity))) throw error;
  }
  if (identity !== undefined) await survivor(old, identity, pidFile, signal);
}

async function isGone(identity: ProcessIdentity): Promise<boolean> {
  const look = async () => ((await isAlive(identity)) ? undefined : true);
  return (await waitFor(look, { timeoutMs: DYING_MS, intervalMs: POLL_MS })) === true;
}

/** The old process died after it had started the new one, which goes on by itself. */
async function survivor(old: number, identity: ProcessIdentity, pidFile: string, signal?: AbortSignal): Promise<void> {
  const words = `The old process ${old} ended in the middle of the upgrade`;
  const serves = await waitFor(
    async () => {
      // Looked at before: it may take over between the two.
      const [one] = await successorsOf(pidFile, identity);
      const state = await askProxy(pidFile, 'state', {}, STATE_TIMEOUT_MS).catch(() => undefined);
      if (state !== undefined && Number(state['pid']) !== old) return true;
      return one === undefined ? false : undefined;
    },
    { timeoutMs: UPGRADE_MS, intervalMs: POLL_MS, signal },
  );
  if (serves === true) return;
  throw serves === false
    ? new ForgeError('unreachable', `${words}, and no new one is left: nobody serves.`, {
        next: 'Start it again, and look into its log for what ended it: forge proxy start',
      })
    : new ForgeError('timeout', `${words}, and the new one has not taken over after ${UPGRADE_MS / 1000} s.`, {
        next: 'Look into its log: forge proxy status',
      });
}

/** What the new process says of itself once it has taken over. */
async function successor(pidFile: string, old: number, timeoutMs = STATE_TIMEOUT_MS) {
  return await waitFor(
    async () => {
      const state = await askProxy(pidFile, 'state', {}, STATE_TIMEOUT_MS).catch(() => undefined);
      return state !== undefined && Number(state['pid']) !== old ? state : undefined;
    },
    { timeoutMs, intervalMs: POLL_MS },
  );
}

/**
 * The new process gets a supervisor of its own, which restarts it with the new executable. The old supervisor stands
 * still meanwhile, so that it says nothing of the end of the old process, and is gone when the new one has taken over.
 */
async function underSupervision(old: number, program: string, times: string, options: UpgradeOptions): Promise<void> {
  const { pidFile } = options;
  const ref = proxyInstance(pidFile);
  const recordFile = path.join(ref.directory, `${ref.name}.run`);
  const supervisor = (await readRecord(recordFile))?.supervisor;
  if (supervisor === undefined) throw new ForgeError('refused', `${recordFile} names no supervisor.`);
  const next = { directory: ref.directory, name: `${ref.name}.${Date.now().toString(36)}` };
  const outputFile = await logOf(old, path.join(ref.directory, `${ref.name}.out`));
  const env = { ...(await environmentOf(old)), [TAKE_OVER]: controlPath(pidFile), [TAKE_OVER_TIMES]: times };
  const args = (await wordsOf(old, 'cmdline')).slice(1);
  const runtime = new ProcessRuntime();
  await signalProcess(supervisor, 'SIGSTOP');
  try {
    await runtime.start({ ...next, program, args, env, files: [], restart: RESTART, outputFile });
    await tookOver(runtime, next, old, outputFile, options);
  } catch (error) {
    await runtime.stop(next, { graceMs: DRAIN_MS }).catch(() => undefined);
    await signalProcess(supervisor, 'SIGCONT');
    await rm(path.join(next.directory, `${next.name}.run`), { force: true });
    throw error;
  }
  await signalProcess(supervisor, 'SIGKILL');
  const link = `${recordFile}.new`;
  await rm(link, { force: true });
  await symlink(`${next.name}.run`, link);
  const former = await readLinkName(recordFile);
  await rename(link, recordFile);
  if (former !== undefined) await rm(path.join(ref.directory, former), { force: true });
}

async function tookOver(
  runtime: ProcessRuntime,
  next: { directory: string; name: string },
  old: number,
  outputFile: string,
  { pidFile, signal }: UpgradeOptions,
): Promise<void> {
  const outcome = await waitFor(
    async () => {
      const state = await runtime.inspect(next);
      // For a moment after a crash the record does not tell the exit code yet.
      if (state.phase === 'waiting' && state.lastExit === undefined) return undefined;
      if (state.phase !== 'running') return { failed: state.lastExit ?? 1 };
      const answer = await askProxy(pidFile, 'state', {}, STATE_TIMEOUT_MS).catch(() => undefined);
      return answer !== undefined && Number(answer['pid']) !== old ? { failed: 0 } : undefined;
    },
    { timeoutMs: UPGRADE_MS, intervalMs: POLL_MS, signal },
  );
  if (outcome?.failed === 0) return;
  const there = (await identifyProcess(old)) !== undefined;
  const hint = [
    there ? 'The old process serves on.' : 'The old process has ended, too; its supervisor starts it anew.',
    `The log: ${outputFile}`,
  ];
  if (outcome === undefined) {
    throw new ForgeError('timeout', `The new process has not taken over after ${UPGRADE_MS / 1000} s.`, { next: hint });
  }
  throw new ForgeError(
    exitKind(outcome.failed) ?? 'unexpected',
    `The new process did not start: ${exitWords(outcome.failed)}.`,
    { next: hint },
  );
}

async function readLinkName(file: string): Promise<string | undefined> {
  return await readlink(file).catch(() => undefined);
}

/** Where a process writes its standard error. */
async function logOf(pid: number, otherwise: string): Promise<string> {
  const file = await readlink(`/proc/${pid}/fd/2`).catch(() => otherwise);
  return file.startsWith('/') && !file.startsWith('/dev/') ? file : otherwise;
}

async function environmentOf(pid: number): Promise<Record<string, string>> {
  const pairs = (await wordsOf(pid, 'environ')).flatMap((pair): [string, string][] => {
    const at = pair.indexOf('=');
    return at > 0 ? [[pair.slice(0, at), pair.slice(at + 1)]] : [];
  });
  return Object.fromEntries(pairs);
}

/** What the kernel tells of a process in words that end with a zero byte (man 5 proc). */
async function wordsOf(pid: number, what: 'cmdline' | 'environ'): Promise<string[]> {
  const text = await readFile(`/proc/${pid}/${what}`, 'utf8').catch((cause) => {
    throw new ForgeError('refused', `How process ${pid} was started cannot be read (/proc/${pid}/${what}).`, { cause });
  });
  return text.split('\0').slice(0, -1);
}
