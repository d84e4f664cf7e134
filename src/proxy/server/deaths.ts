/** More deaths of workers than this … */
export const DEATHS_MAX = 5;
/** … within this time end the process: whoever supervises it starts it anew. */
export const DEATHS_WINDOW_MS = 60_000;
/** Before a worker is replaced; doubles with each death that is remembered. */
export const RESTART_DELAY_MS = 50;
export const RESTART_DELAY_MAX_MS = 2_000;

/** Decides what follows when a worker has died. */
export class Deaths {
  private times: number[] = [];
  /** All that there ever were. */
  total = 0;

  /** A worker has died: how long to wait before it is replaced; null when there were too many. */
  note(nowMs: number): number | null {
    this.total++;
    this.times = this.times.filter((time) => nowMs - time < DEATHS_WINDOW_MS);
    this.times.push(nowMs);
    if (this.times.length > DEATHS_MAX) return null;
    return Math.min(RESTART_DELAY_MAX_MS, RESTART_DELAY_MS * 2 ** (this.times.length - 1));
  }
}
