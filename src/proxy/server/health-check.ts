/** What the executable asks another proxy, over its admin port. */

/** A proxy that does not answer within this time is not well. */
const TIMEOUT_MS = 2_000;
/** What a proxy answers that does not take a configuration, and the exit code that says so. */
const REFUSED_STATUS = 409;
const REFUSED = 3;

/**
 * Asks a proxy whether it serves: for containers, which have no other program to ask with.
 * @param address of its admin port, `host:port`
 * @returns the exit code: 0 when it does; 1 with the reason on standard error
 */
export async function healthCheck(address: string): Promise<number> {
  let reason: string;
  try {
    const response = await fetch(`http://${address}/ready`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (response.ok) return 0;
    reason = (await response.text()).trim().slice(0, 100);
  } catch (error) {
    reason = (error as Error).message;
  }
  process.stderr.write(`${address}: ${reason}\n`);
  return 1;
}

/** A configuration of thousands of files is read within this time. */
const RELOAD_TIMEOUT_MS = 30_000;

/**
 * Has a proxy read its configuration again, and prints its answer: for containers as well.
 * @param address of its admin port, `host:port`
 * @returns the exit code: 0 when it took it, 3 when it refused it, 1 when it did not answer
 */
export async function reload(address: string): Promise<number> {
  try {
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
