/** Whether a replica has its master's data, and the wait until it has. */
import { infoNumber } from '../../cluster/parse-info.js';
import { ForgeError } from '../../errors.js';
import type { NodeRef, StepContext } from '../step.js';
import { whileSilent } from './patience.js';
import { infoOf, waitUntil } from './views.js';

type Info = ReadonlyMap<string, string>;

const isLinked = (info: Info) => info.get('master_link_status') === 'up' && info.get('master_sync_in_progress') !== '1';

export async function isSynced(context: StepContext, node: NodeRef): Promise<boolean> {
  return isLinked(await infoOf(context, node.id, 'replication'));
}

export interface SyncOptions {
  /** What else must be so; told once the link to the master stands. */
  readonly also?: (info: Info) => Promise<boolean>;
}

/**
 * Waits until the replica is linked to its master and has its data set. Gigabytes take their time: the bound is on
 * standing still, not on the whole.
 * @param of the master in words
 * @throws ForgeError `timeout` when nothing moved for `context.waitMs`
 */
export async function waitForSync(
  context: StepContext,
  node: NodeRef,
  of: string,
  options: SyncOptions = {},
): Promise<void> {
  let seen = '';
  let movedAt = performance.now();
  let silence = '';
  const moved = (now: string) => {
    if (now !== seen) movedAt = performance.now();
    seen = now;
  };
  await waitUntil(
    context,
    async () => {
      const info = await whileSilent<Info | undefined>(
        () => infoOf(context, node.id, 'replication'),
        (message) => {
          silence = message;
          return undefined;
        },
      );
      if (info !== undefined) {
        silence = '';
        if (isLinked(info) && ((await options.also?.(info)) ?? true)) return true;
        moved(progressOf(info));
      }
      if (performance.now() - movedAt > context.waitMs) throw notSynced(context, node, of, silence);
      return false;
    },
    () => notSynced(context, node, of, silence),
    Number.POSITIVE_INFINITY,
  );
}

function progressOf(info: Info): string {
  const numbers = ['master_sync_left_bytes', 'master_sync_read_bytes', 'slave_repl_offset'];
  return [info.get('master_sync_in_progress'), ...numbers.map((name) => infoNumber(info, name))].join(' ');
}

function notSynced(context: StepContext, node: NodeRef, of: string, silence: string): ForgeError {
  const why = silence === '' ? '' : ` ${silence}`;
  return new ForgeError(
    'timeout',
    `${node.address} has not synchronised with ${of}: nothing moved for ${context.waitMs} ms.${why}`,
    {
      host: node.address,
      next: 'Check masterauth and masteruser of the replica, its tls-replication, and the logs of both.',
    },
  );
}
