/**
 * Waits until all nodes know each other, see the same cluster, and serve. Gossip alone takes seconds; who does not know
 * a node is told to meet it, which sends a packet with its role, master and slots at once. Who knows it and has not heard
 * its news hears them by gossip: to meet a node again makes a new link to it, and what was on its way over the one before,
 * messages of pub/sub as well, is lost.
 */
import * as z from 'zod';
import { hasFlag, isFailing } from '../../cluster/cluster-node.js';
import { formatSlots } from '../../cluster/slots.js';
import type { Topology } from '../../cluster/topology.js';
import { ForgeError } from '../../errors.js';
import { defineStep, nodeIdSchema, type StepContext } from '../step.js';
import { differenceOf } from './difference.js';
import { introduce, type View, viewsOf, waitUntil } from './views.js';

const MEET_AGAIN_MS = 400;
/**
 * By then, gossip has brought all news: a node hears from each other one within half of `cluster-node-timeout` (15 s as it
 * comes). Where it has not, something is wrong with a link, and a new one is no loss.
 */
const GOSSIP_MS = 8_000;
/**
 * So long a member that died has to come back by itself, as its supervisor starts it anew. Then the others agree without it when they
 * all hold it for dead and it serves nothing: it hears the news when it is back.
 */
const DOWN_MS = 5_000;
/** How many others a node is told of in one round; in a larger cluster gossip does the rest. */
const MEETS_PER_ROUND_MAX = 16;
const NAMED_MAX = 4;

const schema = z.strictObject({
  kind: z.literal('wait-convergence'),
  /** Who must be known to all and answer, beside the members that answer anyway. */
  nodes: z.array(nodeIdSchema).min(1).max(20_000),
});

interface Gap {
  readonly viewer: string;
  readonly subject: string;
  /** It has a link to it: only the news are missing. */
  readonly linked?: boolean;
}

export const waitConvergenceStep = defineStep({
  schema,
  title: () => 'Wait until all nodes agree',
  nodes: () => [],
  isDone: async (context, { nodes }) => gapsOf(await look(context, nodes), nodes).length === 0,

  async apply(context, { nodes }) {
    const told = new Map<string, number>();
    const begun = performance.now();
    let gaps: Gap[] = [];
    let views: ReadonlyMap<string, View> = new Map();
    await waitUntil(
      context,
      async () => {
        views = await look(context, nodes);
        const waitedMs = performance.now() - begun;
        const down = waitedMs > DOWN_MS ? nodes.filter((id) => isOut(views, id)) : [];
        gaps = gapsOf(
          views,
          nodes.filter((id) => !down.includes(id)),
        );
        if (gaps.length === 0) {
          for (const id of down) context.report({ type: 'warning', text: downWithout(context.pool.label(id)) });
          return true;
        }
        const late = waitedMs > GOSSIP_MS;
        const unknown = late ? gaps : gaps.filter(({ linked }) => linked !== true);
        await spread(context, unknown, told);
        return false;
      },
      () => notAgreed(context, gaps, views),
    );
  },

  // A wait changes nothing.
  undo: async () => undefined,
});

/** Every node that is in the table of one of the expected, and answers. */
async function look(context: StepContext, expected: readonly string[]): Promise<Map<string, View>> {
  const views = await viewsOf(context, expected);
  const members = new Set([...views.values()].flatMap(({ topology }) => topology.nodes.map(({ id }) => id)));
  for (const { topology } of views.values()) {
    for (const { id, ip, port } of topology.nodes) context.pool.learn(id, [{ host: ip, port }]);
  }
  const others = [...members].filter((id) => !views.has(id) && !isDead(views, id));
  for (const [id, view] of await viewsOf(context, others)) views.set(id, view);
  return views;
}

function isDead(views: ReadonlyMap<string, View>, id: string): boolean {
  return [...views.values()].every(({ topology }) => {
    const node = topology.node(id);
    return node === undefined || isFailing(node);
  });
}

/** Who died and was failed over, or served nothing: nobody waits for its word. */
export function isOut(views: ReadonlyMap<string, View>, id: string): boolean {
  // Where nobody answers, nobody says so.
  if (views.has(id) || views.size === 0) return false;
  return [...views.values()].every(({ topology }) => {
    const node = topology.node(id);
    return node !== undefined && hasFlag(node, 'fail') && node.slots.length === 0;
  });
}

const downWithout = (label: string) =>
  `${label} is down and serves no slots: the others agree without it, and it hears of the changes when it is back. Start it again.`;

const newsOf = (topology: Topology, id: string) => {
  const node = topology.node(id);
  return node === undefined ? undefined : `${node.role} ${node.masterId ?? ''} ${formatSlots(node.slots)}`;
};

/** Who does not know whom as it is. A viewer that is its own subject does not answer, or does not serve. */
export function gapsOf(views: ReadonlyMap<string, View>, expected: readonly string[]): Gap[] {
  const gaps: Gap[] = expected.filter((id) => !views.has(id)).map((id) => ({ viewer: id, subject: id }));
  for (const [viewer, { topology, cluster }] of views) {
    if (topology.handshakes.length > 0) gaps.push({ viewer, subject: viewer });
    for (const [subject, { topology: own }] of views) {
      const node = topology.node(subject);
      const linked = viewer === subject || node?.linked === true;
      const known = node !== undefined && linked && !isFailing(node);
      if (!known || newsOf(topology, subject) !== newsOf(own, subject)) gaps.push({ viewer, subject, linked: known });
    }
    if (topology.uncovered.length === 0 && cluster.state !== 'ok') gaps.push({ viewer, subject: viewer });
  }
  return gaps;
}

async function spread(context: StepContext, gaps: readonly Gap[], told: Map<string, number>): Promise<void> {
  const now = performance.now();
  const perViewer = new Map<string, number>();
  for (const { viewer, subject } of gaps) {
    const key = `${viewer} ${subject}`;
    const count = perViewer.get(viewer) ?? 0;
    if (viewer === subject || count >= MEETS_PER_ROUND_MAX) continue;
    if (now - (told.get(key) ?? Number.NEGATIVE_INFINITY) < MEET_AGAIN_MS) continue;
    perViewer.set(viewer, count + 1);
    told.set(key, now);
    await introduce(context, viewer, subject);
  }
}

function inWhat(views: ReadonlyMap<string, View>, { viewer, subject }: Gap, label: (id: string) => string): string {
  const own = views.get(subject)?.topology.myself;
  return own === undefined ? 'does not know it' : differenceOf(views.get(viewer)?.topology.node(subject), own, label);
}

function notAgreed(context: StepContext, gaps: readonly Gap[], views: ReadonlyMap<string, View>): ForgeError {
  const label = (id: string) => context.pool.label(id);
  const words = gaps.map(({ viewer, subject }) =>
    viewer === subject
      ? `${context.pool.label(viewer)} does not answer, or does not serve`
      : `${label(viewer)} does not see ${label(subject)} as it is: ${inWhat(views, { viewer, subject }, label)}`,
  );
  const named = words.slice(0, NAMED_MAX).join('; ');
  const more = words.length - NAMED_MAX;
  const first = gaps[0];
  return new ForgeError(
    'timeout',
    `The nodes do not agree after ${context.waitMs} ms: ${named}${more > 0 ? `; and ${more} more` : ''}.`,
    {
      host: first === undefined ? undefined : context.pool.label(first.subject),
      next: 'Check that all nodes reach the cluster bus ports of all others.',
    },
  );
}
