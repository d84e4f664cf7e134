/**
 * What already goes on between two nodes before a move begins: a job that a killed run left is waited for, one in the
 * opposite direction (of what is now undone) is cancelled, and everybody else's is let end.
 */
import { pause } from '../../../cluster/bounded.js';
import { countSlots, formatSlots, intersectSlots, sameSlots } from '../../../cluster/slots.js';
import { ForgeError } from '../../../errors.js';
import type { NodeRef, StepContext } from '../../step.js';
import { follow } from './follow.js';
import type { SlotJob } from './job.js';
import { type Jobs, overlaps } from './jobs.js';

const LOOK_MS = 100;
const RANGES_SHOWN_MAX = 4;

/**
 * @throws ForgeError `refused` when somebody else's job is still there after `waitMs`; what `Jobs.list` throws; the
 *   signal's reason
 */
export async function clearWay(context: StepContext, jobs: Jobs): Promise<void> {
  const end = performance.now() + context.waitMs;
  const tried = new Set<string>();
  for (let told = false; ; told = true) {
    context.signal.throwIfAborted();
    const [here, there] = await Promise.all([jobs.list(jobs.commanded.id), jobs.list(jobs.other.id)]);
    const began = here.find((job) => isRunning(job) && jobs.isOurs(job) && isToldBy(jobs, job));
    if (began !== undefined && !tried.has(began.id)) {
      tried.add(began.id);
      context.report({
        type: 'note',
        text: `${words(began)} are on their way already (${began.state}): waiting for that`,
      });
      const { gaveUp } = await follow(context, jobs, jobs.commanded, began, 0);
      if (gaveUp === context.signal.reason && context.signal.aborted) throw gaveUp;
      continue;
    }
    const back = there.find((job) => isRunning(job) && isReverse(jobs, job));
    if (back !== undefined && !tried.has(back.id)) {
      tried.add(back.id);
      context.report({ type: 'note', text: `${words(back)} are on their way in the other direction: cancelling that` });
      await jobs.cancel(jobs.other.id, back);
      continue;
    }
    const inTheWay = blocking(jobs, here, there);
    if (inTheWay === undefined) return;
    if (performance.now() > end) throw busy(inTheWay.node, inTheWay.job);
    if (!told)
      context.report({ type: 'note', text: `waiting until ${inTheWay.node.address} has moved ${words(inTheWay.job)}` });
    await pause(LOOK_MS, context.signal);
  }
}

const isRunning = ({ phase }: SlotJob) => phase === 'running';

function isToldBy({ driver }: Jobs, { direction }: SlotJob): boolean {
  return direction === (driver.commands === 'source' ? 'export' : 'import');
}

function isReverse(jobs: Jobs, job: SlotJob): boolean {
  const { source, target, slots } = jobs.move;
  return (
    isToldBy(jobs, job) &&
    job.sourceId === target.id &&
    job.targetId === source.id &&
    sameSlots(intersectSlots(job.slots, slots), job.slots)
  );
}

function blocking(
  jobs: Jobs,
  here: readonly SlotJob[],
  there: readonly SlotJob[],
): { node: NodeRef; job: SlotJob } | undefined {
  const { driver, move } = jobs;
  for (const [node, list] of [
    [jobs.commanded, here],
    [jobs.other, there],
  ] as const) {
    const job = list.find((each) => isRunning(each) && (driver.oneAtATime || overlaps(each.slots, move.slots)));
    if (job !== undefined) return { node, job };
  }
  return undefined;
}

function words({ slots }: SlotJob): string {
  return `${countSlots(slots)} slots (${formatSlots(slots, RANGES_SHOWN_MAX)})`;
}

function busy(node: NodeRef, job: SlotJob): ForgeError {
  return new ForgeError(
    'refused',
    `${node.address} is moving ${words(job)} by a job that was begun elsewhere (${job.id}: ${job.state}).`,
    { host: node.address, next: 'Wait until it has ended, or cancel it there, then run the same command again.' },
  );
}
