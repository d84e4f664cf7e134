import { isNear, isSame, type ProcessName, readName, runs, wordsOf } from './process-name.js';

/** How long a process that was let in may take until it asks the old one to drain. */
const TAKING_MS = 15_000;
const LOOK_MS = 100;

const NOBODY: ProcessName = { pid: 0, namespace: '' };

/** What the old process knows of the one that is to replace it: there is one at a time, and it may die at any moment. */
export class Succession {
  private name = NOBODY;
  /** Processes that keep a connection here; those of other containers are known to live by that alone. */
  private readonly company = new Set<ProcessName>();
  /** A program was started to take over. */
  private starting = false;

  /** For who counts as we do; else 0. */
  get pid(): number {
    return isNear(this.name) ? this.name.pid : 0;
  }

  /** Runs one attempt. @throws Error when there is another one */
  async attempt<Result>(run: () => Promise<Result>): Promise<Result> {
    if (this.starting || this.lives) throw new Error('another upgrade is under way');
    this.starting = true;
    try {
      return await run();
    } finally {
      this.starting = false;
    }
  }

  /** A process keeps a connection. @returns called when that is over */
  keep(question: Record<string, unknown>): () => void {
    const name = readName(question);
    this.company.add(name);
    return () => void this.company.delete(name);
  }

  /** A process asks for the listeners. @throws Error when another one has them, or it is nobody */
  admit(question: Record<string, unknown>): ProcessName {
    const name = readName(question);
    if (!isSame(name, this.name) && this.lives) throw new Error(`${wordsOf(this.name)} takes over already`);
    // Whether another one's process lives is seen by its company only.
    if (!isNear(name) && !this.isThere(name)) throw new Error(`${wordsOf(name)} is not there`);
    this.name = name;
    return name;
  }

  /** Resolves with true when it died, or fell silent, before it had taken over; false once it has. */
  async fails(done: () => boolean): Promise<boolean> {
    const end = performance.now() + TAKING_MS;
    while (!done()) {
      if (!this.lives || performance.now() > end) {
        this.name = NOBODY;
        return true;
      }
      await Bun.sleep(LOOK_MS);
    }
    return false;
  }

  /** Resolves when the process that has taken over is gone. */
  async isGone(): Promise<void> {
    while (this.lives) await Bun.sleep(LOOK_MS);
  }

  private get lives(): boolean {
    return this.isThere(this.name);
  }

  private isThere(name: ProcessName): boolean {
    return isNear(name) ? runs(name.pid) : [...this.company].some((each) => isSame(each, name));
  }
}
