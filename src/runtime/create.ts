import { ForgeError } from '../errors.js';
import { ProcessRuntime } from './process/process-runtime.js';
import type { Runtime, RuntimeKind } from './runtime.js';

/** The runtime of this kind on this host. @throws ForgeError `usage` for a kind that is not there yet */
export function createRuntime(kind: RuntimeKind): Runtime {
  if (kind === 'process') return new ProcessRuntime();
  throw new ForgeError('usage', `The runtime "${kind}" is not supported yet.`, {
    next: 'Use --runtime process: the nodes run as supervised processes of this host.',
  });
}
