import type { FromWorker } from './messages.js';

declare const self: { postMessage(message: FromWorker): void };

/** Says something to the main thread. */
export const post = (message: FromWorker): void => self.postMessage(message);

/** What is logged of a fault of the proxy's own. */
export function faultText(doing: string, error: unknown): string {
  return `fault while ${doing}; the connection was closed: ${(error as Error)?.stack ?? error}`;
}
