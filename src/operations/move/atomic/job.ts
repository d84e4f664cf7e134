/** A migration that the servers carry out themselves, as both of them are told of it and tell of it. */
import type { SlotSet } from '../../../cluster/slots.js';
import type { MoverName, SlotMove } from '../mover.js';

export type JobPhase = 'running' | 'done' | 'failed' | 'cancelled';

export interface SlotJob {
  readonly id: string;
  /** The node that was asked gives the slots away, or takes them. */
  readonly direction: 'export' | 'import';
  readonly slots: SlotSet;
  /** Empty where the node does not tell. */
  readonly sourceId: string;
  readonly targetId: string;
  readonly phase: JobPhase;
  /** The server's own word for where the job is. */
  readonly state: string;
  /** The server's own words for why it failed. */
  readonly message: string;
  /** How often the server began anew by itself. */
  readonly retries: number;
  /** Changes as long as the job goes on. */
  readonly pulse: string;
}

/** The words of a command. */
type Command = readonly [string, ...(string | number)[]];

/** What differs between servers: pure, words in and out. */
export interface AtomicDriver {
  readonly name: Exclude<MoverName, 'migrate'>;
  readonly title: string;
  /** The node that is told to move slots, and asked how far it is. */
  readonly commands: 'source' | 'target';
  /** Whether a node has one job at a time, whichever way. */
  readonly oneAtATime: boolean;
  /** Whether cancelling one job of a node cancels all that it was told. */
  readonly cancelsAll: boolean;
  start(move: SlotMove): Command;
  readonly list: Command;
  /** The jobs that a node tells of, the newest first. */
  parse(reply: unknown): SlotJob[];
  cancel(job: SlotJob): Command;
}

/** The fields of one map of a reply, which RESP2 sends as a flat list. */
export function fieldsOf(entry: unknown): Map<string, string> {
  const fields = new Map<string, string>();
  if (!Array.isArray(entry)) return fields;
  for (let i = 0; i + 1 < entry.length; i += 2) {
    const [name, value]: unknown[] = [entry[i], entry[i + 1]];
    if (typeof name === 'string' && (typeof value === 'string' || typeof value === 'number')) {
      fields.set(name, String(value));
    }
  }
  return fields;
}

/** `0-99 200-299`, as both servers write slots. Throws RangeError on what is none. */
export function parseRanges(text: string): { start: number; end: number }[] {
  return text
    .split(/[\s,]+/)
    .filter((word) => word !== '')
    .map((word) => {
      const [start = '', end = start] = word.split('-');
      if (!/^\d+$/.test(start) || !/^\d+$/.test(end)) throw new RangeError(`not a slot range: ${word}`);
      return { start: Number(start), end: Number(end) };
    });
}
