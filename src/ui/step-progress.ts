/**
 * Progress of an operation whose steps run side by side: one line per step and at most one a second in between, on
 * standard error, so that a log of a terminal that went away can be read afterwards.
 */
import type { Output } from './output.js';

export type ProgressState = 'started' | 'done' | 'skipped' | 'undo-started' | 'undone' | 'failed';

/** What a step says of itself; the shape of an operation's events. */
export interface ProgressEvent {
  readonly type: string;
  readonly text?: string;
  readonly slotsDone?: number;
  readonly slotsTotal?: number;
  readonly keys?: number;
  readonly bytes?: number;
  readonly secondsLeft?: number;
}

const LINE_INTERVAL_MS = 1_000;
const MIB = 1024 * 1024;
const WORDS: Record<ProgressState, string> = {
  started: '→',
  done: '✔',
  skipped: '·',
  'undo-started': '↩',
  undone: '✔',
  failed: '✖',
};

/** `123 of 4096 slots, 5,012 keys, 3.1 MiB, 12 s left`. */
export function progressText(event: ProgressEvent): string {
  const { slotsDone = 0, slotsTotal = 0, keys = 0, bytes = 0, secondsLeft } = event;
  const left = secondsLeft === undefined ? '' : `, ${Math.ceil(secondsLeft)} s left`;
  return `${slotsDone} of ${slotsTotal} slots, ${keys} keys, ${(bytes / MIB).toFixed(1)} MiB${left}`;
}

export class StepProgress {
  readonly #output: Output;
  readonly #total: number;
  readonly #titles = new Map<string, string>();
  readonly #saidAt = new Map<string, number>();
  readonly #now: () => number;
  #finished = 0;

  constructor(output: Output, total: number, now: () => number = () => performance.now()) {
    this.#output = output;
    this.#total = total;
    this.#now = now;
  }

  step(id: string, title: string, state: ProgressState): void {
    this.#titles.set(id, title);
    if (state === 'done' || state === 'skipped' || state === 'undone') this.#finished++;
    const note = state === 'skipped' ? ' (was so already)' : '';
    this.#output.message(`${WORDS[state]} [${this.#finished}/${this.#total}] ${title}${note}`);
  }

  event(id: string, event: ProgressEvent): void {
    const title = this.#titles.get(id) ?? id;
    if (event.type === 'warning') {
      this.#output.warning(`${title}: ${event.text ?? ''}`);
      return;
    }
    const last = this.#saidAt.get(id) ?? Number.NEGATIVE_INFINITY;
    const complete = event.slotsTotal !== undefined && event.slotsDone === event.slotsTotal;
    if (!complete && this.#now() - last < LINE_INTERVAL_MS) return;
    this.#saidAt.set(id, this.#now());
    this.#output.message(`  ${title}: ${event.type === 'progress' ? progressText(event) : (event.text ?? '')}`);
  }

  end(): void {
    this.#saidAt.clear();
  }
}
