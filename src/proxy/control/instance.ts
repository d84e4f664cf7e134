/** A proxy of this host, found by its pid file: what it does, and stopping it. */
import { ForgeError } from '../../errors.js';
import { isAlive, type ProcessIdentity, signalProcess } from '../../runtime/process/identity.js';
import { ProcessRuntime } from '../../runtime/process/process-runtime.js';
import type { InstanceState, StopOutcome } from '../../runtime/runtime.js';
import { waitFor } from '../../runtime/wait.js';
import { pidFileOwner, proxyInstance } from './pid-file.js';

/** The executable drains for at most 5 s after SIGTERM; a little more until it is killed. */
export const DRAIN_MS = 8_000;
const POLL_MS = 20;

/** The proxy of this pid file, however it was started. */
export async function inspectProxy(pidFile: string): Promise<InstanceState> {
  const state = await new ProcessRuntime().inspect(proxyInstance(pidFile));
  if (isThere(state)) return state;
  const owner = await pidFileOwner(pidFile);
  if (owner.kind !== 'proxy') return state;
  return { phase: 'running', pid: owner.identity.pid, supervised: false, restarts: 0 };
}

/**
 * Stops the proxy of this pid file: it drains for up to 5 s and ends.
 * @throws ForgeError `refused` when the file names another program, `timeout` when the proxy does not end
 */
export async function stopProxy(pidFile: string): Promise<StopOutcome> {
  const runtime = new ProcessRuntime();
  const ref = proxyInstance(pidFile);
  const state = await runtime.inspect(ref);
  if (isThere(state)) return await runtime.stop(ref, { graceMs: DRAIN_MS });
  const owner = await pidFileOwner(pidFile);
  if (owner.kind === 'proxy') return await stopProcess(owner.identity);
  // With a record of ours it is known that the proxy is gone, and the file is a left-over.
  if (owner.kind === 'none' || state.phase !== 'absent') return 'absent';
  const program = owner.program ?? 'a hidden program';
  throw new ForgeError('refused', `${pidFile} names process ${owner.pid}, ${program}: no proxy of ours.`, {
    next: 'Nothing was done. Remove the file if no proxy runs; give the right --pid-file if one does.',
  });
}

function isThere({ phase }: InstanceState): boolean {
  return phase === 'running' || phase === 'waiting';
}

async function stopProcess(identity: ProcessIdentity): Promise<StopOutcome> {
  for (const [signal, outcome] of [
    ['SIGTERM', 'ended'],
    ['SIGKILL', 'killed'],
  ] as const) {
    await signalProcess(identity, signal);
    const gone = await waitFor(async () => ((await isAlive(identity)) ? undefined : true), {
      timeoutMs: DRAIN_MS,
      intervalMs: POLL_MS,
    });
    if (gone) return outcome;
  }
  throw new ForgeError('timeout', `The proxy (process ${identity.pid}) does not end.`);
}

/** @throws ForgeError `refused` when a proxy with this pid file is running */
export async function refuseSecond(pidFile: string): Promise<void> {
  const { pid } = await inspectProxy(pidFile);
  if (pid === undefined) return;
  throw new ForgeError('refused', `A proxy is running already (process ${pid}).`, {
    next: [`Stop it: forge proxy stop --pid-file ${pidFile}`, 'or give the second one a --pid-file of its own.'],
  });
}
