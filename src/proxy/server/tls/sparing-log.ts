import type { LogLevel } from '../messages.js';

/** What thousands of clients may cause at once is said this often; what came between is counted in the next line. */
const INTERVAL_MS = 1000;

type Say = (level: LogLevel, message: string, fields: Record<string, unknown>) => void;

/** A kind of event that is logged once a second at most. */
export class SparingLog {
  private saidMs = Number.NEGATIVE_INFINITY;
  private unsaid = 0;

  constructor(
    private readonly say: Say,
    private readonly level: LogLevel,
  ) {}

  note(nowMs: number, message: string, fields: Record<string, unknown>): void {
    if (nowMs - this.saidMs < INTERVAL_MS) {
      this.unsaid++;
      return;
    }
    this.saidMs = nowMs;
    this.say(this.level, message, this.unsaid === 0 ? fields : { ...fields, 'more like this': this.unsaid });
    this.unsaid = 0;
  }
}
