/** Upgrades of a proxy, watched until the old process is gone: what that does to its last clients belongs to them. */
import { identifyProcess } from '../../../src/runtime/process/identity.js';
import { poll } from '../redis.js';

/** Short: a row is not to end before it. */
export const DRAIN_ARGUMENTS = ['--drain-time', '1'] as const;
/** Clients that cannot be passed on are let go at a pause. */
const GONE_MS = 20_000;

/** Waits until the process has ended. @throws Error when it runs on for 20 s */
export async function untilGone(pid: number): Promise<void> {
  await poll(`process ${pid} has ended`, GONE_MS, async () => (await identifyProcess(pid)) === undefined);
}
