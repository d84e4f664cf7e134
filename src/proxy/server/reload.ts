import { ConfigError } from '../config/load.js';
import { TooManyClusters } from './clusters.js';
import type { Logger } from './logger.js';
import type { ReloadPlan } from './reload-plan.js';

/** What became of a reload; `POST /reload` answers with it. */
export interface ReloadOutcome {
  /** `refused`: nothing has changed. */
  readonly outcome: 'applied' | 'unchanged' | 'dry run' | 'refused';
  /** What is served otherwise from now on; with `dry run`, what would be. */
  readonly changes: readonly string[];
  /** What only a restart (or `forge proxy upgrade`) changes. */
  readonly restart: readonly string[];
  /** Why it was refused: as `forge-proxy --check` says it. */
  readonly error?: string;
}

export function outcomeOf({ live, restart }: ReloadPlan, dryRun: boolean): ReloadOutcome {
  const outcome = dryRun ? 'dry run' : live.length > 0 ? 'applied' : 'unchanged';
  return { outcome, changes: live, restart };
}

export function refusal(error: unknown): ReloadOutcome {
  const known = error instanceof ConfigError || error instanceof TooManyClusters;
  const { message, stack } = error as Error;
  return { outcome: 'refused', changes: [], restart: [], error: known ? message : (stack ?? message) };
}

/** Tells the log. */
export function sayOutcome(logger: Logger, { outcome, changes, restart, error }: ReloadOutcome): void {
  if (outcome === 'refused') {
    for (const line of (error ?? '').split('\n')) logger.error(`reload refused: ${line}`);
    return;
  }
  const dry = outcome === 'dry run' ? 'would change' : 'changed';
  for (const line of changes) logger.info(`reload: ${dry}: ${line}`);
  for (const line of restart) logger.warn(`reload: needs a restart: ${line}`);
  if (outcome === 'unchanged' && restart.length === 0) logger.info('reload: nothing has changed');
}
