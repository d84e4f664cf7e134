/** Whether a replica has its master's data, and the wait until it has. */
import { infoNumber } from '../../cluster/parse-info.js';
import { ForgeError } from '../../errors.js';
import type { NodeRef, StepContext } from '../step.js';
import { whileSilent } from './patience.js';
import { infoOf, waitUntil } from './views.js';

type Info = ReadonlyMap<string, string>;

/** Waits in a row that a linked replica may go on reading without coming close: its master writes faster than it reads. */
const BEHIND_WAITS_MAX = 10;

const isLinked = (info: Info) => info.get('master_link_status') === 'up' && info.get('master_sync_in_progress') !== '1';

export async function isSynced(context: StepContext, node: NodeRef): Promise<boolean> {
  return isLinked(await infoOf(context, node.id, 'replication'));
}

export interface SyncOptions {
  /** What else must be so; told once the link to the master stands. */
  readonly also?: (info: Info) => Promise<boolean>;
  /** A node that is a master, or is made one meanwhile, has nobody to synchronise with. */
  readonly mayLead?: boolean;
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
  let linkedSince: number | undefined;
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
        if (options.mayLead && info.get('role') === 'master') return true;
        const linked = isLinked(info);
        if (linked && ((await options.also?.(info)) ?? true)) return true;
        linkedSince = linked ? (linkedSince ?? performance.now()) : undefined;
        moved(progressOf(info));
      }
      const now = performance.now();
      if (now - movedAt > context.waitMs) throw notSynced(context, node, of, silence);
      if (now - (linkedSince ?? now) > context.waitMs * BEHIND_WAITS_MAX) throw staysBehind(node, of);
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

function staysBehind(node: NodeRef, of: string): ForgeError {
  return new ForgeError('timeout', `${node.address} reads what ${of} sends, and stays behind.`, {
    host: node.address,
    next: 'Check the network between both and what slows the replica down; or wait for a time with fewer writes.',
  });
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
