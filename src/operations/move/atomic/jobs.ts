/** Begins, lists and cancels jobs on one pair of nodes. */
import { intersectSlots, type SlotSet, sameSlots } from '../../../cluster/slots.js';
import type { StepContext } from '../../step.js';
import type { SlotMove } from '../mover.js';
import type { AtomicDriver, SlotJob } from './job.js';

export const overlaps = (left: SlotSet, right: SlotSet) => intersectSlots(left, right).length > 0;

export class Jobs {
  readonly driver: AtomicDriver;
  readonly move: SlotMove;
  readonly #context: StepContext;

  constructor(driver: AtomicDriver, context: StepContext, move: SlotMove) {
    this.driver = driver;
    this.move = move;
    this.#context = context;
  }

  /** The node that is told to move slots from source to target. */
  get commanded(): SlotMove['source'] {
    return this.driver.commands === 'source' ? this.move.source : this.move.target;
  }

  get other(): SlotMove['source'] {
    return this.driver.commands === 'source' ? this.move.target : this.move.source;
  }

  async list(nodeId: string): Promise<SlotJob[]> {
    const connection = await this.#context.pool.get(nodeId);
    return this.driver.parse(await connection.call(...this.driver.list));
  }

  /**
   * What this node was told to do and has not ended. A job has an entry on both nodes; only the node that was told can
   * cancel it.
   */
  async running(nodeId: string): Promise<SlotJob[]> {
    const told = this.driver.commands === 'source' ? 'export' : 'import';
    return (await this.list(nodeId)).filter(({ phase, direction }) => phase === 'running' && direction === told);
  }

  /** Whether a job of this node is this move's, wholly. */
  isOurs({ slots, sourceId, targetId }: SlotJob): boolean {
    const { source, target } = this.move;
    return sourceId === source.id && targetId === target.id && sameSlots(intersectSlots(slots, this.move.slots), slots);
  }

  /**
   * Begins a job and finds it.
   * @throws ForgeError what the node answers; also when it answers, and the job cannot be found
   */
  async begin(slots: SlotSet): Promise<SlotJob | undefined> {
    const { commanded, driver } = this;
    const before = new Set((await this.list(commanded.id)).map(({ id }) => id));
    await this.#context.mutate(commanded.id, ...driver.start({ ...this.move, slots }));
    const jobs = await this.list(commanded.id);
    return jobs.find((job) => !before.has(job.id) && this.isOurs(job) && sameSlots(job.slots, slots));
  }

  async find(nodeId: string, jobId: string): Promise<SlotJob | undefined> {
    return (await this.list(nodeId)).find(({ id }) => id === jobId);
  }

  /**
   * Cancels a job where that harms no other. Also when the operator interrupted: what would go on by itself is not left
   * behind.
   * @returns false when the node cannot cancel it alone
   */
  async cancel(nodeId: string, job: SlotJob): Promise<boolean> {
    const { driver } = this;
    if (driver.cancelsAll && (await this.running(nodeId)).some(({ id }) => id !== job.id)) return false;
    const [outcome] = await this.#context.mutateAll(nodeId, [[...driver.cancel(job)]], { finishing: true });
    if (outcome?.status === 'rejected') throw outcome.reason;
    return true;
  }
}
