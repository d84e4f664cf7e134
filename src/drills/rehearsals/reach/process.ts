/** A node of `forge up` as a process of this machine, under its supervisor. */
import { ForgeError } from '../../../errors.js';
import { identifyProcess, type ProcessIdentity, signalProcess } from '../../../runtime/process/identity.js';
import type { InstanceRef, Runtime } from '../../../runtime/runtime.js';
import { waitFor } from '../../../runtime/wait.js';
import { type Guard, startGuard } from './guard.js';
import type { Reach, Reached } from './reach.js';

/** A supervisor waits for five seconds after a crash, as a rule. */
const BACK_MS = 8_000;
const GRACE_MS = 10_000;
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
      const found = await waitFor(
        async () => {
          const { phase, pid } = await runtime.inspect(ref);
          if (phase === 'running') return pid === identity.pid ? undefined : 'back';
          return phase === 'waiting' ? undefined : 'gone';
        },
        { timeoutMs: BACK_MS, intervalMs: LOOK_MS },
      );
      if (found === 'back') return;
      // One drill after the other looks to it like a program that cannot run: it waits longer, and gives it up.
      await runtime.stop(ref, { graceMs: GRACE_MS });
      await start();
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
