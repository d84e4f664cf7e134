/** Signals that many requests listen to at once. */
import { setMaxListeners } from 'node:events';

/** Calls once, when the signal says so; @returns what to call when it no longer matters */
export function onAbort(signal: AbortSignal, action: () => void): () => void {
  // Parts, lists and retries of a whole run listen to one signal: that is no leak, and no warning.
  setMaxListeners(0, signal);
  signal.addEventListener('abort', action, { once: true });
  return () => signal.removeEventListener('abort', action);
}
