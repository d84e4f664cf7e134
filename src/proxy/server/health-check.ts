/** A proxy that does not answer within this time is not well. */
const TIMEOUT_MS = 2_000;

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
