/**
 * A replica becomes the master of its shard. Redis answers OK to CLUSTER FAILOVER as soon as it has begun, and gives up
 * after five seconds without a word: so the new role is confirmed by the node itself, by a majority of the masters, and
 * by the master that was, and what did not come about is asked for again.
 */
import * as z from 'zod';
import { pause } from '../../cluster/bounded.js';
import type { ClusterNode } from '../../cluster/cluster-node.js';
import { replyErrorOf } from '../../cluster/node-failure.js';
import { ForgeError } from '../../errors.js';
import { defineStep, type NodeRef, nodeRefSchema, type StepContext } from '../step.js';
import { whileSilent } from './patience.js';
import { StreamWatch } from './stream.js';
import { infoOf, type View, viewOf, viewsOf, waitUntil } from './views.js';

/** How long a server tries (CLUSTER_MF_TIMEOUT, 5,000 ms), and a little more. */
const ATTEMPT_MS = 5_500;
/** Between two attempts, for the clients whose writes were held. */
const BREATH_MS = 2_000;
/**
 * `planned`: both agree, no write is lost. `force`: the master is dead, what it had not sent yet is lost; a majority of
 * the masters must agree. `takeover`: nobody is asked.
 */
export const FAILOVER_MODES = ['planned', 'force', 'takeover'] as const;
export type FailoverMode = (typeof FAILOVER_MODES)[number];

const schema = z.strictObject({
  kind: z.literal('failover'),
  /** Who is to be the master. Not `node` and `master`: no data goes from one to the other by this. */
  promote: nodeRefSchema,
  /** Who is the master. */
  demote: nodeRefSchema,
  mode: z.enum(FAILOVER_MODES),
});
type Failover = z.infer<typeof schema>;

export const failoverStep = defineStep({
  schema,
  title: ({ promote, demote, mode }) =>
    `Make ${promote.address} the master in place of ${demote.address}${mode === 'planned' ? '' : ` (${mode})`}`,
  nodes: ({ promote, demote }) => [promote.id, demote.id],
  isDone: async (context, { promote, demote, mode }) =>
    (await whileSilent<string | undefined>(
      () => missing(context, promote, demote, mode),
      (why) => why,
    )) === undefined,

  async apply(context, action) {
    await change(context, action);
  },

  async undo(context, { promote, demote }) {
    const promoted = (await outlast(context, promote)) === 'master';
    const { myself } = (await viewOf(context, demote.id)).topology;
    // Never begun, or never agreed upon. Who was elected knows it first: the former master hears of it a moment later.
    if (!promoted && myself?.role === 'master' && myself.slots.length > 0) return;
    await change(context, { kind: 'failover', promote: demote, demote: promote, mode: 'planned' });
  },
});

async function change(context: StepContext, { promote, demote, mode }: Failover): Promise<void> {
  const stream = new StreamWatch();
  let sentAt: number | undefined;
  let lacking = '';
  const look = async () => {
    const found = await missing(context, promote, demote, mode);
    if (found === undefined) return true;
    lacking = found;
    if (sentAt !== undefined && performance.now() - sentAt < ATTEMPT_MS + BREATH_MS) return false;
    if ((await roleOf(context, promote)) !== 'replica') return false;
    const unfit = await unready(context, promote, demote, mode, stream);
    if (unfit !== undefined) {
      lacking = unfit;
      return false;
    }
    await context.remember({ sentMonotonicMs: monotonicMs() });
    await send(context, promote, demote, mode);
    sentAt = performance.now();
    return false;
  };
  const silent = (message: string) => {
    lacking = message;
    return false;
  };
  await waitUntil(
    context,
    () => whileSilent(look, silent),
    () => (sentAt === undefined ? notReady(promote, lacking, mode) : notPromoted(context, promote, lacking)),
  );
}

async function roleOf(context: StepContext, { id }: NodeRef): Promise<'master' | 'replica' | undefined> {
  const { myself } = (await viewOf(context, id)).topology;
  // A master without slots is one that nobody agreed upon: a replica that was reset.
  return myself?.role === 'master' && myself.slots.length === 0 ? undefined : myself?.role;
}

/**
 * Why the replica must not be asked yet: while it tries, the master holds its clients' writes for up to five seconds, and
 * that is for nothing when data or votes cannot reach it.
 */
async function unready(
  context: StepContext,
  promote: NodeRef,
  demote: NodeRef,
  mode: FailoverMode,
  stream: StreamWatch,
): Promise<string | undefined> {
  const own = (await viewOf(context, promote.id)).topology;
  if (own.myself?.masterId !== demote.id) return `it is no replica of ${demote.address}`;
  if (mode === 'takeover') return undefined;
  // News of a node that was restarted or attached a moment ago is still on its way: a vote that has no link to go by is
  // lost, and who takes the replica for something else gives none.
  const voters = own.masters.filter(({ slots }) => slots.length > 0);
  const views = await viewsOf(context, mode === 'planned' ? idsOf(voters) : idsOf(voters, demote.id));
  const ready = voters.filter((voter) => {
    const seen = views.get(voter.id)?.topology.node(promote.id);
    return voter.linked && seen?.linked === true && seen.masterId === demote.id;
  });
  if (ready.length * 2 <= voters.length) {
    return `only ${ready.length} of ${voters.length} masters are linked to it and know it as this master's replica`;
  }
  if (mode !== 'planned') return undefined;
  if (!ready.some(({ id }) => id === demote.id))
    return 'its master is not linked to it, or does not know it as its replica';
  const master = await infoOf(context, demote.id, 'replication');
  return stream.fault(master, await infoOf(context, promote.id, 'replication'), performance.now());
}

const idsOf = (nodes: readonly ClusterNode[], without?: string) =>
  nodes.map(({ id }) => id).filter((id) => id !== without);

function notReady(promote: NodeRef, why: string, mode: FailoverMode): ForgeError {
  return new ForgeError('timeout', `${promote.address} is not ready to become the master: ${why}.`, {
    host: promote.address,
    next:
      mode === 'planned'
        ? 'Check its link to the master, and the cluster bus ports. Where the master is lost: --mode force.'
        : 'Check that most masters reach its cluster bus port, or name another replica.',
  });
}

async function send(context: StepContext, promote: NodeRef, demote: NodeRef, mode: FailoverMode): Promise<void> {
  try {
    await context.mutate(promote.id, 'CLUSTER', 'FAILOVER', ...(mode === 'planned' ? [] : [mode.toUpperCase()]));
  } catch (error) {
    const reply = replyErrorOf(error) ?? '';
    // It became the master between the look and the command.
    if (/to a (replica|slave)/i.test(reply)) return;
    if (!/FAILOVER FORCE/i.test(reply)) throw error;
    throw new ForgeError('refused', `${promote.address} holds its master ${demote.address} for dead.`, {
      host: promote.address,
      next: 'Without the master, writes that the replica did not receive are lost: --mode force.',
      details: { reply },
    });
  }
}

/** What is still missing until everybody agrees that the role has changed; undefined when nothing is. */
async function missing(
  context: StepContext,
  promote: NodeRef,
  demote: NodeRef,
  mode: FailoverMode,
): Promise<string | undefined> {
  const own = (await viewOf(context, promote.id)).topology;
  if (own.myself?.role !== 'master') return `${promote.address} itself says that it is a replica`;
  if (own.myself.slots.length === 0) return `${promote.address} itself says that it serves no slots`;
  const voters = own.masters.filter(({ slots }) => slots.length > 0).map(({ id }) => id);
  // One that is dead is not asked: it would be waited for at every look.
  const views = await viewsOf(context, mode === 'planned' ? [...voters, demote.id] : voters);
  const agreeing = voters.filter((id) => isServing(views.get(id), promote.id)).length;
  if (mode !== 'takeover' && agreeing * 2 <= voters.length) {
    return `only ${agreeing} of ${voters.length} masters see ${promote.address} as the master`;
  }
  if (mode !== 'planned') return undefined;
  const former = views.get(demote.id)?.topology.myself;
  return former?.role === 'replica' && former.masterId === promote.id
    ? undefined
    : `${demote.address} does not see itself as a replica of ${promote.address}`;
}

function isServing(view: View | undefined, id: string): boolean {
  const node = view?.topology.node(id);
  return node?.role === 'master' && node.slots.length > 0;
}

/** The machine's clock that nobody sets, the same for all of its processes; begins anew when the machine does. */
const monotonicMs = () => Number(process.hrtime.bigint() / 1_000_000n);

/**
 * How long the server may still try, in milliseconds. Where the machine was started anew meanwhile, or the note is of a
 * version that wrote something else, that is never told too short. Pure.
 * @param note what was remembered before the failover was asked for
 */
export function attemptLeftMs({ sentMonotonicMs }: Readonly<Record<string, unknown>>, nowMs: number): number {
  const passed = typeof sentMonotonicMs === 'number' ? nowMs - sentMonotonicMs : 0;
  return passed < 0 ? ATTEMPT_MS : Math.max(0, ATTEMPT_MS - passed);
}

/**
 * A failover that a killed run has asked for may still happen for some seconds: what is undone must not change again.
 * @returns what the replica says of itself afterwards; `undefined` when it does not answer
 */
async function outlast(context: StepContext, promote: NodeRef): Promise<'master' | 'replica' | undefined> {
  const role = () =>
    whileSilent(
      () => roleOf(context, promote),
      () => undefined,
    );
  const last = context.remembered.at(-1);
  const before = await role();
  if (last === undefined || before === 'master') return before;
  const left = attemptLeftMs(last, monotonicMs());
  if (left <= 0) return before;
  await pause(left, context.signal);
  return role();
}

function notPromoted(context: StepContext, promote: NodeRef, lacking: string): ForgeError {
  return new ForgeError('timeout', `The failover was not confirmed within ${context.waitMs} ms: ${lacking}.`, {
    host: promote.address,
    next: [
      `Check that ${promote.address} and most masters reach each other's cluster bus ports.`,
      'Masters vote once in two node timeouts (cluster-node-timeout) for the same master’s replicas: after a failover a moment ago, wait.',
    ],
  });
}
