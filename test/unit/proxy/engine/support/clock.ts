interface Timer {
  readonly atMs: number;
  run(): void;
}

/** Time that passes only when it is told to. */
export class Clock {
  nowMs = 1000;
  private readonly timers: Timer[] = [];

  /** @param between runs before time goes on, and after every timer */
  constructor(private readonly between: () => void) {}

  after(delayMs: number, run: () => void): void {
    this.timers.push({ atMs: this.nowMs + delayMs, run });
  }

  every(intervalMs: number, run: () => void): void {
    this.after(intervalMs, () => {
      run();
      this.every(intervalMs, run);
    });
  }

  /** When the next timer is due. */
  get nextMs(): number {
    return Math.min(...this.timers.map(({ atMs }) => atMs));
  }

  /** Lets time go on, timer by timer. */
  advance(untilMs: number): void {
    this.between();
    for (;;) {
      let next: Timer | null = null;
      for (const timer of this.timers) {
        if (timer.atMs <= untilMs && (next === null || timer.atMs < next.atMs)) next = timer;
      }
      if (next === null) break;
      this.timers.splice(this.timers.indexOf(next), 1);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.run();
      this.between();
    }
    this.nowMs = Math.max(this.nowMs, untilMs);
  }
}
