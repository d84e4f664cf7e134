/** The two masters between which slots move, and how the source reaches the target. */
import type { Command, NodeConnection } from '../../../cluster/node-connection.js';
import { secretArgument } from '../../../cluster/secret.js';
import type { Topology } from '../../../cluster/topology.js';
import { ForgeError } from '../../../errors.js';
import type { NodeRef, StepContext } from '../../step.js';
import { viewOf } from '../../steps/views.js';

/** MIGRATE answers when the target has answered: the connection waits longer than MIGRATE itself does. */
const REPLY_MARGIN_MS = 10_000;
/** Bound of every single wait of the source for the target inside MIGRATE. */
export const MIGRATE_TIMEOUT_MS = 10_000;
/** The same for a key that is big: the target is busy with it for long before it answers. */
export const BIG_KEY_TIMEOUT_MS = 120_000;

export interface Pair {
  readonly context: StepContext;
  readonly source: NodeRef;
  readonly target: NodeRef;
  /** Masters that are told of the new owner beside the two. */
  readonly others: readonly NodeRef[];
  /** To the source, for MIGRATE and what reads keys. */
  readonly worker: NodeConnection;
  /** The words of MIGRATE for these keys. */
  migrate(keys: readonly Buffer[], options?: { replace?: boolean; timeoutMs?: number }): Command;
}

/**
 * Finds the address of the target by the source's own table (what leads there from here may not from there) and opens the
 * connection for the keys. Close the worker.
 */
export async function openPair(
  context: StepContext,
  { source, target, others }: Pick<Pair, 'source' | 'target' | 'others'>,
  seen: Topology,
): Promise<Pair> {
  const peer = seen.node(target.id);
  if (peer === undefined || peer.ip === '' || peer.port === 0) {
    throw new ForgeError('refused', `${source.address} does not know ${target.address}: it cannot send keys there.`, {
      host: source.address,
      next: 'Let the nodes meet first, and check what forge cluster check says.',
    });
  }
  const credentials = await credentialsFor(context, target);
  const worker = await context.pool.dedicated(source.id, {
    settings: { commandTimeoutMs: BIG_KEY_TIMEOUT_MS + REPLY_MARGIN_MS },
  });
  const pair: Pair = {
    context,
    source,
    target,
    others,
    worker,
    migrate: (keys, { replace = false, timeoutMs = MIGRATE_TIMEOUT_MS } = {}) => [
      ...(['MIGRATE', peer.ip, peer.port, '', 0, timeoutMs] as const),
      ...(replace ? ['REPLACE'] : []),
      ...credentials,
      'KEYS',
      ...keys,
    ],
  };
  return pair;
}

/** The target must ask for a password before it is told one: it answers an error when it needs none. */
async function credentialsFor(context: StepContext, target: NodeRef): Promise<(string | Buffer)[]> {
  const { username, password } = context.pool.settings;
  const connection = await context.pool.get(target.id);
  if (password === undefined || connection.passwordUnused) return [];
  if (username === undefined) return ['AUTH', secretArgument(password)];
  return ['AUTH2', username, secretArgument(password)];
}

/** What each of both says of itself and of the other. */
export async function lookAtPair(
  context: StepContext,
  { source, target }: Pick<Pair, 'source' | 'target'>,
): Promise<{ from: Topology; to: Topology }> {
  const [from, to] = await Promise.all([viewOf(context, source.id), viewOf(context, target.id)]);
  return { from: from.topology, to: to.topology };
}
