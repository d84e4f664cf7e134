/** Waits until replicas have the data of their masters, so that each of them could take over. */
import * as z from 'zod';
import { mapBounded } from '../../cluster/bounded.js';
import { infoNumber } from '../../cluster/parse-info.js';
import { defineStep, type NodeRef, nodeRefSchema, type StepContext } from '../step.js';
import { whileSilent } from './patience.js';
import { LAG_MAX_BYTES } from './stream.js';
import { isSynced, waitForSync } from './synchronise.js';
import { infoOf, viewOf } from './views.js';

const PARALLEL_MAX = 16;
const NAMED_MAX = 4;

const schema = z.strictObject({
  kind: z.literal('wait-sync'),
  nodes: z.array(nodeRefSchema).min(1).max(20_000),
});

export const waitSyncStep = defineStep({
  schema,
  title: ({ nodes }) => {
    const more = nodes.length - NAMED_MAX;
    const names = nodes.slice(0, NAMED_MAX).map(({ address }) => address);
    return `Wait until ${names.join(', ')}${more > 0 ? ` and ${more} more` : ''} ${nodes.length === 1 ? 'has' : 'have'} all data`;
  },
  nodes: () => [],

  async isDone(context, { nodes }) {
    const states = await mapBounded(nodes, PARALLEL_MAX, (node) =>
      whileSilent(
        async () =>
          (await isMaster(context, node)) || ((await isSynced(context, node)) && (await isClose(context, node))),
        () => false,
      ),
    );
    return states.every(Boolean);
  },

  async apply(context, { nodes }) {
    await mapBounded(nodes, PARALLEL_MAX, (node) =>
      waitForSync(context, node, 'its master', { also: () => isClose(context, node), mayLead: true }),
    );
  },

  // A wait changes nothing.
  undo: async () => undefined,
});

/** A master has nobody to synchronise with. */
async function isMaster(context: StepContext, node: NodeRef): Promise<boolean> {
  return (await viewOf(context, node.id)).topology.myself?.role === 'master';
}

/** Whether what the master has written and the replica has not is little enough for a failover. */
async function isClose(context: StepContext, node: NodeRef): Promise<boolean> {
  return whileSilent(
    async () => {
      const { myself } = (await viewOf(context, node.id)).topology;
      if (myself?.role !== 'replica' || myself.masterId === undefined) return false;
      const [replica, master] = await Promise.all([
        infoOf(context, node.id, 'replication'),
        infoOf(context, myself.masterId, 'replication'),
      ]);
      const [read, written] = [infoNumber(replica, 'slave_repl_offset'), infoNumber(master, 'master_repl_offset')];
      return read !== undefined && written !== undefined && written - read <= LAG_MAX_BYTES;
    },
    () => false,
  );
}
