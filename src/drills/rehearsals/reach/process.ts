/** A node of `forge up` as a process of this machine, under its supervisor. */
import { ForgeError } from '../../../errors.js';
import { identifyProcess, type ProcessIdentity, signalProcess } from '../../../runtime/process/identity.js';
import type { InstanceRef, Runtime } from '../../../runtime/runtime.js';
import { waitFor } from '../../../runtime/wait.js';
import { type Guard, startGuard } from './guard.js';
import type { Reach, Reached } from './reach.js';

/** Until its supervisor has said what it makes of the end of the process. */
const SAID_MS = 5_000;
const LOOK_MS = 50;

/**
 * Its supervisor brings it back, unless it has crashed too often lately.
 * @param start starts it anew, under a supervisor
 * @throws ForgeError `refused` for one that does not run, or that nobody would restart
 */
export async function processReach(
  { runtime, ref, start }: { runtime: Runtime; ref: InstanceRef; start: () => Promise<unknown> },
  { address }: Reached,
): Promise<Reach> {
  const { pid, supervised } = await runtime.inspect(ref);
  const identity = pid === undefined ? undefined : await identifyProcess(pid);
  if (identity === undefined || !supervised) {
    throw new ForgeError('refused', `${address} does not run under its supervisor.`, {
      host: address,
      next: 'Start what is missing: forge up.',
    });
  }
  let guard: Guard | undefined;
  return {
    words: `process ${identity.pid}`,
    kill: () => send(identity, 'SIGKILL', address),
    revive: async () => {
      const said = await waitFor(
        async () => {
          const state = await runtime.inspect(ref);
          return state.phase === 'running' && state.pid === identity.pid ? undefined : state.phase;
        },
        { timeoutMs: SAID_MS, intervalMs: LOOK_MS },
      );
      // One drill after the other looks to it like a program that cannot run.
      if (said === 'failed' || said === 'lost') await start();
    },
    hang: async (forMs) => {
      // The shell's own `kill`: not every host has a program of that name.
      const words = ['/bin/sh', '-c', 'kill -CONT "$0"', String(identity.pid)];
      guard = await startGuard(forMs, words, { PATH: process.env['PATH'] });
      await send(identity, 'SIGSTOP', address);
    },
    wake: async () => {
      await signalProcess(identity, 'SIGCONT');
      guard?.dismiss();
      return true;
    },
  };
}

async function send(identity: ProcessIdentity, signal: NodeJS.Signals, address: string): Promise<void> {
  if (await signalProcess(identity, signal)) return;
  throw new ForgeError('refused', `${address} (process ${identity.pid}) has ended by itself.`, { host: address });
}
