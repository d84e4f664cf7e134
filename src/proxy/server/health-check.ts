/** What the executable asks another proxy, over its admin port or its control socket. */
import { askOther } from './control.js';
import { isNear, readName } from './handover/process-name.js';

/** A proxy that does not answer within this time is not well. */
const TIMEOUT_MS = 2_000;
/** What a proxy answers that does not take a configuration, and the exit code that says so. */
const REFUSED_STATUS = 409;
const REFUSED = 3;

/**
 * Asks a proxy whether it serves: for containers, which have no other program to ask with.
 * @param address of its admin port, `host:port`; or the path of its control socket: then it has to be a proxy of this very
 *   container, where two of them share that path and their network
 * @returns the exit code: 0 when it does; 1 with the reason on standard error
 */
export async function healthCheck(address: string): Promise<number> {
  try {
    await (address.startsWith('/') ? checkOwn(address) : checkReady(address));
    return 0;
  } catch (error) {
    process.stderr.write(`${address}: ${(error as Error).message}\n`);
    return 1;
  }
}

/** @throws Error that says why it does not serve */
async function checkReady(address: string): Promise<void> {
  const response = await fetch(`http://${address}/ready`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new Error((await response.text()).trim().slice(0, 100));
}

/** @throws Error that says why it does not serve */
async function checkOwn(path: string): Promise<void> {
  const state = await askOther(path, { ask: 'state' }, TIMEOUT_MS);
  if (state === null) throw new Error('nobody answers');
  if (!isNear(readName(state))) throw new Error('the proxy of another container serves');
  if (state.accepting !== true) throw new Error('it accepts no clients');
  const admin = state.admin as { host: string; port: number } | null;
  if (admin === null) return;
  const host = admin.host === '0.0.0.0' || admin.host === '::' ? '127.0.0.1' : admin.host;
  await checkReady(`${host.includes(':') ? `[${host}]` : host}:${admin.port}`);
}

/** A configuration of thousands of files is read within this time. */
const RELOAD_TIMEOUT_MS = 30_000;

/**
 * Has a proxy read its configuration again, and prints its answer: for containers as well.
 * @param address of its admin port, `host:port`; or the path of its control socket
 * @returns the exit code: 0 when it took it, 3 when it refused it, 1 when it did not answer
 */
export async function reload(address: string): Promise<number> {
  try {
    if (address.startsWith('/')) return await reloadOwn(address);
    const response = await fetch(`http://${address}/reload`, {
      method: 'POST',
      signal: AbortSignal.timeout(RELOAD_TIMEOUT_MS),
    });
    const answer = `${(await response.text()).trim()}\n`;
    if (response.ok) process.stdout.write(answer);
    else process.stderr.write(answer);
    if (response.ok) return 0;
    return response.status === REFUSED_STATUS ? REFUSED : 1;
  } catch (error) {
    process.stderr.write(`${address}: ${(error as Error).message}\n`);
    return 1;
  }
}

async function reloadOwn(path: string): Promise<number> {
  const outcome = await askOther(path, { ask: 'reload' }, RELOAD_TIMEOUT_MS);
  if (outcome === null) throw new Error('nobody answers');
  const refused = outcome.outcome === 'refused';
  (refused ? process.stderr : process.stdout).write(`${JSON.stringify(outcome)}\n`);
  return refused ? REFUSED : 0;
}
