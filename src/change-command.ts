/**
 * The base of every command that changes a cluster. A subclass parses its flags, makes a plan, and hands it to `change`:
 * showing, asking, guards, lock, journal, progress, audit log and verification are the same for all.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { Flags } from '@oclif/core';
import { dryRunFlag, yesFlag } from './base-command.js';
import { type NodeAddress, parseAddress } from './cluster/address.js';
import type { ClusterSnapshot } from './cluster/snapshot/snapshot.js';
import type { ClusterFlagValues } from './config/cluster-flags.js';
import { parseDuration } from './config/duration.js';
import { ForgeError } from './errors.js';
import { InterruptibleCommand } from './interruptible-command.js';
import { PARALLEL_DEFAULT, PARALLEL_MAX } from './operations/executor.js';
import { parseForce, type Violation } from './operations/guards/index.js';
import { operationPaths } from './operations/home.js';
import { unfinishedOperations } from './operations/journal/journal.js';
import { MoveControl, type MoveControlOptions } from './operations/move/control.js';
import { formatPlan, type Plan, parsePlan, planLines, sameRequest } from './operations/plan.js';
import { takeOnlySpareTime } from './operations/priority/spare-time.js';
import { otherUnfinished, type RunResult, runPlan, WAIT_MS } from './operations/run.js';
import type { ClusterSession } from './operations/session.js';
import { StepProgress } from './ui/step-progress.js';

const TIMEOUT_MIN_MS = 1_000;
const TIMEOUT_MAX_MS = 3_600_000;
/** Longer plans are cut on the screen; --json and --plan-out have all of it. */
const LINES_SHOWN_MAX = 40;
const SECOND_MS = 1_000;

/** `--plan-out --plan --force --timeout --parallel`, with `--yes` and `--dry-run`. */
export const changeFlags = {
  ...yesFlag,
  ...dryRunFlag,
  'plan-out': Flags.string({ description: 'Write the plan to a file and change nothing.', helpValue: 'FILE' }),
  plan: Flags.string({
    description: 'Carry out a plan that --plan-out wrote; refused when the cluster has changed since.',
    helpValue: 'FILE',
    exclusive: ['plan-out'],
  }),
  force: Flags.string({
    description: 'Guards to override, by name, separated by commas.',
    helpValue: 'NAME[,NAME]',
    multiple: true,
    multipleNonGreedy: true,
  }),
  timeout: Flags.string({
    description: 'Bound of each wait, for example 30s or 2m.',
    default: `${WAIT_MS / SECOND_MS}s`,
    helpValue: 'DURATION',
  }),
  parallel: Flags.integer({
    description: 'Steps that run at once, on different nodes.',
    default: PARALLEL_DEFAULT,
    min: 1,
    max: PARALLEL_MAX,
    helpValue: 'N',
  }),
};

export interface ChangeFlagValues extends ClusterFlagValues {
  readonly 'dry-run': boolean;
  readonly 'plan-out'?: string;
  readonly plan?: string;
  readonly force?: string[];
  readonly timeout: string;
  readonly parallel: number;
}

export interface ChangeOptions {
  readonly flags: ChangeFlagValues;
  /** Nodes that are to join. */
  readonly also?: readonly NodeAddress[];
  /** The plan for the cluster as it is; the session is for what a snapshot does not hold. Not called with --plan. */
  readonly plan: (snapshot: ClusterSnapshot, session: ClusterSession) => Plan | Promise<Plan>;
  /**
   * The plan's `request`. With it, an operation that was interrupted is found before anything is planned: no plan can be
   * made for nodes that are half added or half removed.
   */
  readonly request?: Plan['request'];
  /** Whether an operation that was interrupted is what is asked for now; the same request when not given. */
  readonly continues?: (begun: Plan) => boolean;
  /** `scale add`: a plan of another command is not carried out by this one. */
  readonly operation: string;
  readonly move?: MoveControlOptions;
  /** It is there for clusters whose nodes do not agree, and does not wait until they do. */
  readonly repairs?: true;
  /** Typed to confirm what cannot be undone. */
  readonly confirmWord?: string;
}

export abstract class ChangeCommand extends InterruptibleCommand {
  static override baseFlags = { ...InterruptibleCommand.baseFlags, ...changeFlags };

  /** Plan → confirm → apply → verify. */
  protected async change(options: ChangeOptions): Promise<RunResult> {
    const { flags, operation } = options;
    const force = parseForce(flags.force ?? []);
    const waitMs = parseDuration(flags.timeout, { minMs: TIMEOUT_MIN_MS, maxMs: TIMEOUT_MAX_MS });
    const saved = flags.plan === undefined ? undefined : await loadPlan(flags.plan, operation);
    return this.withSession(
      flags,
      async (session) => {
        const plan = saved ?? (await planOf(options, session));
        if (flags['plan-out'] !== undefined) await savePlan(flags['plan-out'], plan);
        const progress = new StepProgress(this.output, plan.steps.length);
        const result = await runPlan({
          session,
          plan,
          force,
          paths: operationPaths(),
          dryRun: flags['dry-run'] || flags['plan-out'] !== undefined,
          waitMs,
          parallel: flags.parallel,
          giveWay: takeOnlySpareTime,
          move: this.pausable(new MoveControl(options.move)),
          signal: this.signal,
          show: (shown, violations, begun) => this.#show(shown, violations, begun !== undefined),
          confirm: (agreed) => this.confirm(`${agreed.title}?`, { confirmWord: options.confirmWord }),
          observer: {
            ...InterruptibleCommand.watch,
            step: (step, state) => progress.step(step.id, titleOf(plan, step.id), state),
            event: (step, event) => progress.event(step.id, event),
          },
        });
        progress.end();
        this.#conclude(result, flags['plan-out']);
        return result;
      },
      {
        also: [...(options.also ?? []), ...joiningOf(saved)],
        untilAgreed: options.repairs !== true && !force.includes('disagreement'),
      },
    );
  }

  #show(plan: Plan, violations: readonly Violation[], resumed: boolean): void {
    const { output } = this;
    if (resumed) output.message('This operation was interrupted; it goes on where it stopped.');
    output.data(`${plan.title}: ${plan.steps.length} steps`);
    const lines = planLines(plan);
    for (const [index, line] of lines.slice(0, LINES_SHOWN_MAX).entries()) output.data(`  ${index + 1}. ${line}`);
    if (lines.length > LINES_SHOWN_MAX) output.data(`  … and ${lines.length - LINES_SHOWN_MAX} more`);
    for (const note of plan.notes) output.message(`Note: ${note}`);
    for (const { guard, reasons, effect } of violations) {
      if (effect === 'forced') for (const reason of reasons) output.warning(`overridden (${guard}): ${reason}`);
    }
  }

  #conclude({ status, elapsedMs = 0 }: RunResult, planFile: string | undefined): void {
    if (status === 'unchanged') this.output.message('Nothing is to be done.');
    else if (status === 'planned') {
      this.output.message(planFile === undefined ? 'Dry run: nothing was changed.' : `The plan is in ${planFile}.`);
    } else this.output.data(`Done and verified in ${(elapsedMs / SECOND_MS).toFixed(2)} s.`);
  }
}

/** Nodes that a saved plan is to join: they need not be named again. */
function joiningOf(plan: Plan | undefined): NodeAddress[] {
  const joining = (plan?.steps ?? []).flatMap(({ action }) => (action.kind === 'meet' ? [action.node.address] : []));
  return joining.map((address) => parseAddress(address));
}

/** The plan of the same request that was interrupted, or a new one. */
async function planOf(options: ChangeOptions, session: ClusterSession): Promise<Plan> {
  const { operation, request, plan } = options;
  if (request !== undefined) {
    const [begun] = await unfinishedOperations(operationPaths().journals, session.memberIds);
    const { continues = (before: Plan) => sameRequest(before, { operation, request }) } = options;
    if (begun !== undefined && begun.direction === 'forward' && continues(begun.plan)) {
      return begun.plan;
    }
    if (begun !== undefined) throw await otherUnfinished(begun);
  }
  return plan(session.snapshot, session);
}

function titleOf(plan: Plan, id: string): string {
  const index = plan.steps.findIndex((step) => step.id === id);
  return planLines({ ...plan, steps: plan.steps.slice(index, index + 1) })[0] ?? id;
}

async function loadPlan(file: string, operation: string): Promise<Plan> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new ForgeError('configuration', `The plan ${file} cannot be read.`, { next: 'Check its path.', cause });
  }
  const plan = parsePlan(text, file);
  if (plan.operation === operation) return plan;
  throw new ForgeError('usage', `${file} is a plan of forge ${plan.operation}, not of forge ${operation}.`, {
    next: `Run forge ${plan.operation} --plan ${file}`,
  });
}

async function savePlan(file: string, plan: Plan): Promise<void> {
  try {
    await writeFile(file, formatPlan(plan), { mode: 0o600 });
  } catch (cause) {
    throw new ForgeError('configuration', `The plan cannot be written to ${file}.`, {
      next: 'Check its folder.',
      cause,
    });
  }
}
