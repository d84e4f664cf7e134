import type { Limits } from './limits.js';

/**
 * Milliseconds until an upstream host is tried again: half to one and a half times what the bounds say, so that workers
 * and proxies do not come in step. What can be reached again soon is found soon, because clients wait for it; what stays
 * away is asked more and more rarely.
 * @param failures attempts that have failed in a row, the last one not counted
 * @param random in [0, 1)
 */
export function reconnectDelay(
  limits: Pick<Limits, 'reconnectDelayMs' | 'reconnectQuickMs' | 'reconnectQuickAttempts' | 'reconnectDelayMaxMs'>,
  failures: number,
  random: number,
): number {
  const { reconnectDelayMs, reconnectQuickMs, reconnectQuickAttempts, reconnectDelayMaxMs } = limits;
  const quick = Math.min(reconnectQuickMs, reconnectDelayMs * 2 ** Math.min(failures, 10));
  const late = Math.min(10, Math.max(0, failures - reconnectQuickAttempts));
  return Math.min(reconnectDelayMaxMs, quick * 2 ** late) * (0.5 + random);
}
