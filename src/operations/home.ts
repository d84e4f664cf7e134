/** Where operations leave their traces on the operator's machine: journals and the audit log. */
import path from 'node:path';
import { forgeHome } from '../local/paths.js';

export interface OperationPaths {
  /** One journal per operation. */
  readonly journals: string;
  /** Who did what, where, when and with which result: JSON lines. */
  readonly audit: string;
}

/** Below FORGE_HOME, else `$XDG_STATE_HOME/redisforge`, else `~/.local/state/redisforge`. */
export function operationPaths(home?: string, environment: NodeJS.ProcessEnv = process.env): OperationPaths {
  const base = forgeHome(home, environment);
  return { journals: path.join(base, 'operations'), audit: path.join(base, 'audit.jsonl') };
}
