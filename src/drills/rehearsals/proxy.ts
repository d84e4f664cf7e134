/** Rehearses what is done to the proxy while it serves: another configuration, another version. */
import { pause } from '../../cluster/bounded.js';
import { ForgeError } from '../../errors.js';
import type { AdminAddress } from '../../proxy/control/admin.js';
import { reloadProxy } from '../../proxy/control/reload.js';
import { upgradeProxy } from '../../proxy/control/upgrade.js';
import { identifyProcess, isAlive } from '../../runtime/process/identity.js';
import { PLANNED } from './bounds.js';
import type { Rehearsal } from './rehearsal.js';
import { type Stage, untilWhole } from './stage.js';

const RELOADS = 3;
const BETWEEN_MS = 500;
const LOOK_MS = 100;
const SECOND_MS = 1_000;
/** What the old process may take beyond its time to end. */
const LATE_MS = 10_000;

export interface ProxyRequest {
  /** Of a proxy of this host: it is reloaded and upgraded. */
  readonly pidFile?: string;
  /** Of others: they are reloaded, each. */
  readonly admins: readonly AdminAddress[];
  /** Seconds for clients of the old process, as `forge proxy upgrade` has them. */
  readonly drainS: number;
  readonly shutdownS: number;
  /** Clients that listen and cannot be passed on (TLS): the connection of each ends once. */
  readonly listeners: number;
}

export function proxyRehearsal(stage: Stage, request: ProxyRequest): Rehearsal {
  const { pidFile, admins, drainS, shutdownS, listeners } = request;
  const reloads = [...(pidFile === undefined ? [] : [{ pidFile }]), ...admins.map((admin) => ({ admin }))];
  return {
    name: 'reload and upgrade of the proxy',
    does: [
      `Have it read its configuration again, ${RELOADS} times.`,
      pidFile === undefined
        ? 'It is in a container, or elsewhere: it is not upgraded here. forge deploy proxy replaces a container while it serves.'
        : `Replace its process by a new one of the same executable; the old one lets its clients go within ${shutdownS} s.`,
    ],
    clients:
      listeners === 0
        ? 'nothing'
        : 'nothing but that connections end between two commands, and are made anew; subscribers lose theirs once, and subscribe anew',
    undo: 'Nothing is to be undone: the proxy is the same afterwards, and where a new process does not get ready, the old one serves on.',
    bounds: { ...PLANNED, ...(pidFile === undefined ? {} : { subscriptions: listeners }) },
    disturb: async (tell, signal) => {
      for (let count = 0; count < RELOADS; count++) {
        tell('reload');
        for (const which of reloads) await reloadProxy({ ...which, dryRun: false, signal });
        await pause(BETWEEN_MS, signal);
      }
      if (pidFile === undefined) return;
      tell('upgrade');
      const { old, pid } = await upgradeProxy({ pidFile, drainS, shutdownS, signal });
      tell(`process ${pid} serves, ${old} drains`);
      await untilGone(old, shutdownS * SECOND_MS + LATE_MS, signal);
      tell(`process ${old} has ended`);
    },
    recover: (signal) => untilWhole(stage, signal),
    restore: async () => undefined,
  };
}

async function untilGone(pid: number, boundMs: number, signal: AbortSignal): Promise<void> {
  const identity = await identifyProcess(pid);
  const end = performance.now() + boundMs;
  while (identity !== undefined && (await isAlive(identity))) {
    if (performance.now() > end) {
      throw new ForgeError('timeout', `The old process ${pid} still runs after ${boundMs / SECOND_MS} s.`, {
        next: 'Look into the log of the proxy: forge proxy status.',
      });
    }
    await pause(LOOK_MS, signal);
  }
}
