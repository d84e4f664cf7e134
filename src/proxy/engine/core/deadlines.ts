/** Something to be done at a time; see `Deadlines`. */
export interface Scheduled {
  /** `Deadlines` sets it; before, it is `Infinity`, which is never. */
  dueMs: number;
  due(): void;
}

/** What is due within one step is kept together, and done when the step is over. */
const STEP_MS = 5;

/**
 * What is to be done later, by time. A tick costs what is due then, and the steps that have passed since the last one;
 * what waits for later costs nothing meanwhile.
 */
export class Deadlines {
  private readonly steps = new Map<number, Set<Scheduled>>();
  /** The last step that is over. */
  private passed: number;

  constructor(nowMs: number) {
    this.passed = Math.floor(nowMs / STEP_MS);
  }

  /**
   * Has something done once, with the first tick that comes `STEP_MS` after that time, or sooner, but never before it. Of
   * what is scheduled already only the time changes. `Infinity` is never.
   */
  add(what: Scheduled, dueMs: number): void {
    this.remove(what);
    if (dueMs === Number.POSITIVE_INFINITY) return;
    // What is late already is done with the next step.
    what.dueMs = Math.max(dueMs, this.passed * STEP_MS + 1);
    const step = Math.ceil(what.dueMs / STEP_MS);
    const others = this.steps.get(step);
    if (others === undefined) this.steps.set(step, new Set([what]));
    else others.add(what);
  }

  /** Nothing is done; it need not be scheduled. */
  remove(what: Scheduled): void {
    if (what.dueMs === Number.POSITIVE_INFINITY) return;
    const step = Math.ceil(what.dueMs / STEP_MS);
    what.dueMs = Number.POSITIVE_INFINITY;
    const others = this.steps.get(step);
    if (others?.delete(what) && others.size === 0) this.steps.delete(step);
  }

  /** Does what is due. What is added meanwhile waits for a later tick. */
  tick(nowMs: number): void {
    const last = Math.floor(nowMs / STEP_MS);
    const first = this.passed + 1;
    this.passed = Math.max(this.passed, last);
    if (last - first < this.steps.size) {
      for (let step = first; step <= last; step++) this.run(step);
      return;
    }
    // The process has slept for long, or there is little to do.
    const steps = [...this.steps.keys()].filter((step) => step <= last);
    for (const step of steps.sort((a, b) => a - b)) this.run(step);
  }

  private run(step: number): void {
    const scheduled = this.steps.get(step);
    if (scheduled === undefined) return;
    for (const what of scheduled) {
      // Each may take others out, or put them elsewhere.
      this.remove(what);
      what.due();
    }
  }
}
