import type { Core } from './core.js';

/** What the main thread tells the others when a worker has ended by itself; the payload is its number. */
export const DEPARTED = 'worker.departed';

/** Forgets what a worker that is gone has told of its clients. */
export function hearDepartures(core: Core): void {
  core.relay.on(DEPARTED, (worker) => {
    core.pubsub.peers.forget(worker as number);
    core.monitors.forget(worker as number);
  });
}
