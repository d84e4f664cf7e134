/**
 * A server ends and comes back. Who starts it again is not forge's business: a supervisor after SHUTDOWN, or the
 * operator's command. That it did is: another run id, the same node id, its data loaded, within a bound.
 */
import * as z from 'zod';
import { replyErrorOf } from '../../cluster/node-failure.js';
import { ForgeError } from '../../errors.js';
import { defineStep, type NodeRef, nodeRefSchema, type StepContext } from '../step.js';
import { whileSilent } from './patience.js';
import { restartCommandName, runRestartCommand } from './restart-command.js';
import { whileHeard } from './subscribers.js';
import { infoOf, viewOf, viewsOf, waitUntil } from './views.js';

/** A server that loads is alive, and how much is left cannot be asked before it is done: 1 TB at 300 MB/s. */
const LOADING_MAX_MS = 3_600_000;
/** Between two looks at the others, which may know the node at another address. */
const ADDRESS_LOOK_MS = 1_000;
const ASKED_MAX = 4;
const RUN_ID_LENGTH_MAX = 64;
const WORDS_MAX = 64;
const COMMAND_MAX_MS = 86_400_000;

const schema = z.strictObject({
  kind: z.literal('restart-node'),
  node: nodeRefSchema,
  /** Of the process that is to end: another one means that it was restarted. */
  runId: z.string().min(1).max(RUN_ID_LENGTH_MAX),
  /** A master of slots is not restarted, unless it is meant: the roles may have changed since the plan. */
  mayServe: z.boolean(),
  /** SHUTDOWN is sent; else the command ends the server. */
  shutdown: z.boolean(),
  /** SHUTDOWN SAVE: it keeps its data in no other way. */
  save: z.boolean(),
  /** The operator's command, with its placeholders; null for a supervisor that starts what has ended. */
  command: z.nullable(z.array(z.string()).min(1).max(WORDS_MAX)),
  /** Until the command is ended; the bound of each wait when not given. */
  commandMs: z.optional(z.int().min(1).max(COMMAND_MAX_MS)),
});
type RestartNode = z.infer<typeof schema>;

export const restartNodeStep = defineStep({
  schema,
  title: ({ node, command }) => `Restart ${node.address}${command === null ? '' : ` (${restartCommandName(command)})`}`,
  nodes: ({ node }) => [node.id],
  isDone: async (context, { node, runId }) => (await stateOf(context, node, runId)).phase === 'back',

  async apply(context, action) {
    const { node, runId, shutdown, command, commandMs = context.waitMs } = action;
    let { phase } = await stateOf(context, node, runId);
    if (phase === 'before') await requireRole(context, action);
    if (phase === 'before') await whileHeard(context, node.id);
    if (phase === 'before' && shutdown) {
      await shutDown(context, action);
      if (command !== null) phase = await waitUntilGone(context, node, runId);
    }
    // A killed run may have ended the server without starting it: so the command is run until it has come back.
    if ((phase === 'before' || phase === 'silent') && command !== null) {
      await context.requireLeave();
      await runRestartCommand(command, node, commandMs);
    }
    await waitUntilBack(context, action);
  },

  // It has the same role and the same data as before.
  undo: async () => undefined,
});

type State = { readonly phase: 'before' | 'back' } | { readonly phase: 'loading' | 'silent'; readonly message: string };

async function stateOf(context: StepContext, node: NodeRef, runId: string): Promise<State> {
  return whileSilent<State>(
    async () => {
      const info = await infoOf(context, node.id, 'server').catch((error: unknown) => {
        throw isAnother(error) ? lostIdentity(node, error) : error;
      });
      return { phase: info.get('run_id') === runId ? 'before' : 'back' };
    },
    (message, error) => {
      const loading = /^LOADING\b/.test(replyErrorOf(error) ?? '');
      return { phase: loading ? 'loading' : 'silent', message };
    },
  );
}

/** The pool never talks to another node than it means. */
function isAnother(error: unknown): error is ForgeError {
  return error instanceof ForgeError && error.kind === 'refused' && /is another node/.test(error.message);
}

function lostIdentity(node: NodeRef, cause: ForgeError): ForgeError {
  return new ForgeError('refused', `${node.address} came back as another node: its nodes.conf is lost.`, {
    host: node.address,
    next: [
      'Keep its data folder over a restart (a container needs a volume), and check its cluster-config-file.',
      `Then take the lost node out with forge cluster forget ${node.id}, and add the new one with forge scale add.`,
    ],
    cause,
  });
}

async function requireRole(context: StepContext, { node, mayServe }: RestartNode): Promise<void> {
  const { myself } = (await viewOf(context, node.id)).topology;
  if (mayServe || myself?.role === 'replica' || myself?.slots.length === 0) return;
  throw new ForgeError(
    'refused',
    `${node.address} serves slots: it is not restarted before a replica has taken over.`,
    {
      host: node.address,
      next: 'The roles have changed since the plan was made: undo this operation, and plan anew.',
    },
  );
}

async function shutDown(context: StepContext, { node, save }: RestartNode): Promise<void> {
  try {
    await context.mutate(node.id, 'SHUTDOWN', ...(save ? ['SAVE'] : []));
  } catch (error) {
    // Its answer is that the connection ends; one that writes its data first answers nothing for as long.
    if (!(error instanceof ForgeError) || replyErrorOf(error) !== undefined) throw error;
    if (error.kind !== 'unreachable' && error.kind !== 'timeout') throw error;
  }
}

/** What is to start it must not find it running. */
async function waitUntilGone(context: StepContext, node: NodeRef, runId: string): Promise<State['phase']> {
  let state: State = { phase: 'before' };
  await waitUntil(
    context,
    async () => {
      state = await stateOf(context, node, runId);
      return state.phase !== 'before';
    },
    () => notBack(context, node, state, false),
  );
  return state.phase;
}

async function waitUntilBack(context: StepContext, { node, runId, command }: RestartNode): Promise<void> {
  let bound = performance.now() + context.waitMs;
  let loadingSince: number | undefined;
  let lookedAt = performance.now();
  let state: State = { phase: 'before' };
  const late = () => notBack(context, node, state, command !== null);
  await waitUntil(
    context,
    async () => {
      state = await stateOf(context, node, runId);
      if (state.phase === 'back') return true;
      const now = performance.now();
      if (state.phase === 'loading') {
        loadingSince ??= now;
        context.report({ type: 'note', text: 'it loads its data set' });
        bound = Math.min(now + context.waitMs, loadingSince + LOADING_MAX_MS);
      }
      if (now > bound) throw late();
      if (state.phase === 'silent' && now - lookedAt > ADDRESS_LOOK_MS) {
        await learnAddress(context, node);
        lookedAt = performance.now();
      }
      return false;
    },
    late,
    Number.POSITIVE_INFINITY,
  );
}

/** A container comes back with another address, which the others hear of first. */
async function learnAddress(context: StepContext, node: NodeRef): Promise<void> {
  const others = context.pool.ids.filter((id) => id !== node.id).slice(0, ASKED_MAX);
  for (const { topology } of (await viewsOf(context, others)).values()) {
    const found = topology.node(node.id);
    if (found !== undefined) context.pool.learn(node.id, [{ host: found.ip, port: found.port }]);
  }
}

function notBack(context: StepContext, node: NodeRef, state: State, byCommand: boolean): ForgeError {
  if (state.phase === 'before') {
    return new ForgeError('timeout', `${node.address} still runs as before after ${context.waitMs} ms.`, {
      host: node.address,
      next: byCommand
        ? 'Check that the restart command restarts this node.'
        : 'It may be writing its data set: look into its log; a larger --timeout gives it more time.',
    });
  }
  const why = 'message' in state ? ` ${state.message}` : '';
  return new ForgeError('timeout', `${node.address} has not come back within ${context.waitMs} ms.${why}`, {
    host: node.address,
    next: byCommand
      ? 'Look into its log, and start it.'
      : 'After SHUTDOWN a supervisor has to start it again: systemd with Restart=always (on-failure does not, since it ends without an error), Docker with --restart always. Start it by hand, or give a --restart-command.',
  });
}
