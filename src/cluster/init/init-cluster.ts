import { type FormedShard, type InitOptions, openInit } from './session.js';

export interface InitResult {
  /** `formed` by this run, or found finished: `unchanged`. */
  readonly status: 'formed' | 'unchanged';
  readonly shards: readonly FormedShard[];
  readonly notes: readonly string[];
}

/**
 * Makes one cluster of the nodes, without a question: `openInit` and all its steps. When it returns, every node agrees
 * on all 16,384 slots, and every replica is linked and in sync.
 * @throws ForgeError as `openInit` and its steps do
 */
export async function initCluster(options: InitOptions): Promise<InitResult> {
  const session = await openInit(options);
  try {
    const status = session.state === 'finished' ? 'unchanged' : 'formed';
    await session.apply();
    return { status, shards: session.shards, notes: session.notes };
  } finally {
    session.close();
  }
}
