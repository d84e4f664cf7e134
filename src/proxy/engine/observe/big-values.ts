import type { Core } from '../core/core.js';
import type { Request } from '../core/request.js';
import { FRAME_COMPLETE, frameRequest, RequestFrame } from '../resp/request-framer.js';
import { keyText } from './hot-keys.js';
import { ANY_REQUEST } from './slow-log.js';

/** Values that are remembered: those seen last. */
const VALUES_MAX = 128;

/** A key whose command or reply was big. */
export interface BigValue {
  readonly direction: 'request' | 'reply';
  readonly command: string;
  /** Its first key as the node knows it; empty when there is none, or it is not known. */
  readonly key: string;
  /** The largest so far, as it was sent over the wire. */
  readonly bytes: number;
  readonly count: number;
  /** The last time, in milliseconds since 1970. */
  readonly time_ms: number;
}

const frame = new RequestFrame();

/** Commands and replies of many bytes, by command and key. */
export class BigValues {
  /** The least recently seen first. */
  private readonly seen = new Map<string, BigValue>();

  constructor(private readonly core: Core) {}

  note(direction: BigValue['direction'], request: Request, bytes: number): void {
    const { entry } = request;
    if (entry === null) return;
    const key = firstKey(request);
    const id = `${direction} ${entry.name} ${key}`;
    const before = this.seen.get(id);
    this.seen.delete(id);
    if (this.seen.size >= VALUES_MAX) this.seen.delete(this.seen.keys().next().value as string);
    this.seen.set(id, {
      direction,
      command: entry.name,
      key,
      bytes: Math.max(bytes, before?.bytes ?? 0),
      count: (before?.count ?? 0) + 1,
      time_ms: Math.round(performance.timeOrigin + this.core.nowMs),
    });
  }

  get all(): BigValue[] {
    return [...this.seen.values()];
  }

  clear(): void {
    this.seen.clear();
  }
}

function firstKey({ entry, bytes, start, end }: Request): string {
  if (entry === null || bytes === null) return '';
  if (frameRequest(bytes, start, end, frame, ANY_REQUEST) !== FRAME_COMPLETE) return '';
  const at = entry.firstKey(bytes, frame);
  return at > 0 ? keyText(bytes, frame.starts[at], frame.ends[at]) : '';
}
