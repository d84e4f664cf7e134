/**
 * A master that gives its last slot away becomes a replica of whoever got it, and its replicas follow, each with a copy of
 * the whole data set (see follow-setting.ts). While slots are drained that is switched off: nothing is copied that nobody asked for, and the way back stays open.
 */
import * as z from 'zod';
import { FOLLOW_SETTING, followsSlots } from '../../cluster/snapshot/follow-setting.js';
import { defineStep, type NodeRef, nodeRefSchema, type StepContext } from '../step.js';

const NAMED_MAX = 3;

const schema = z.strictObject({
  kind: z.literal('hold-role'),
  /** Nodes on which the setting is on. */
  nodes: z.array(nodeRefSchema).min(1).max(20_000),
  /** `true` before slots are drained, `false` when all is done. */
  hold: z.boolean(),
});

export const holdRoleStep = defineStep({
  schema,
  title: ({ nodes, hold }) => {
    const [first] = nodes;
    const names =
      nodes.length > NAMED_MAX
        ? `${first?.address} and ${nodes.length - 1} more`
        : nodes.map(({ address }) => address).join(', ');
    return hold ? `Keep ${names} from following the slots` : `Let ${names} follow slots again`;
  },
  nodes: ({ nodes }) => nodes.map(({ id }) => id),

  async isDone(context, { nodes, hold }) {
    for (const node of nodes) if ((await follows(context, node)) === hold) return false;
    return true;
  },

  async apply(context, { nodes, hold }) {
    for (const node of nodes) await setFollow(context, node, !hold);
  },

  async undo(context, { nodes, hold }) {
    for (const node of nodes) await setFollow(context, node, hold);
  },
});

async function setFollow(context: StepContext, node: NodeRef, follow: boolean): Promise<void> {
  if ((await follows(context, node)) === follow) return;
  await context.mutate(node.id, 'CONFIG', 'SET', FOLLOW_SETTING, follow ? 'yes' : 'no');
}

async function follows(context: StepContext, node: NodeRef): Promise<boolean> {
  const connection = await context.pool.get(node.id);
  return followsSlots(await connection.call('CONFIG', 'GET', FOLLOW_SETTING));
}
