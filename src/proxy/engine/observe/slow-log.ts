import type { Core } from '../core/core.js';
import type { Request } from '../core/request.js';
import { FRAME_COMPLETE, frameRequest, RequestFrame, type RequestLimits } from '../resp/request-framer.js';
import { shownArguments } from './arguments.js';

/**
 * Entries made in one tick: when everything is slow, the log must not make it slower. What is over is only counted
 * (`downstream_rq_slow`).
 */
const NOTED_PER_TICK_MAX = 10;

/** Whatever came through the proxy passes these. */
export const ANY_REQUEST: RequestLimits = {
  argumentsMax: Number.MAX_SAFE_INTEGER,
  bulkBytesMax: Number.MAX_SAFE_INTEGER,
};

/** One command that took long. Times are in microseconds. */
export interface SlowCommand {
  /** Unique in its worker, rising. */
  readonly id: number;
  readonly worker: number;
  /** When its reply was given, in milliseconds since 1970. */
  readonly time_ms: number;
  /** From its arrival until its reply was put into the client's output. */
  readonly duration_us: number;
  /** Of it: what the node took, until the reply was here; of several nodes the slowest, of several attempts the last. */
  readonly upstream_us: number;
  /** Of it: the rest, which it waited for a connection, for earlier attempts, or for the client's earlier replies. */
  readonly proxy_us: number;
  /** How often it was sent. */
  readonly attempts: number;
  readonly client: string;
  readonly client_name: string;
  readonly user: string;
  /** `get`, `config|set` */
  readonly command: string;
  /** Its words; only the name when the command was served by several others. */
  readonly arguments: readonly string[];
}

const frame = new RequestFrame();

/** The last commands that took long. */
export class SlowLog {
  private entries: SlowCommand[] = [];
  private nextId = 0;
  private noted = 0;

  constructor(
    private readonly core: Core,
    private entriesMax: number,
  ) {}

  resize(entriesMax: number): void {
    this.entriesMax = entriesMax;
    this.cut();
  }

  private cut(): void {
    if (this.entries.length > this.entriesMax) this.entries = this.entries.slice(-this.entriesMax);
  }

  /** A client's command is answered, after so long. */
  note(request: Request, ms: number): void {
    const { entry, client, bytes } = request;
    if (entry === null || client === null || ++this.noted > NOTED_PER_TICK_MAX || this.entriesMax === 0) return;
    const { core } = this;
    const whole =
      bytes !== null && frameRequest(bytes, request.start, request.end, frame, ANY_REQUEST) === FRAME_COMPLETE;
    const duration = Math.round(ms * 1000);
    // Without a note of it, the reply goes out as it comes in.
    const upstreamMs =
      request.upstreamMs > 0 || request.attempts === 0 ? request.upstreamMs : core.nowMs - request.sentMs;
    const upstream = Math.min(duration, Math.round(upstreamMs * 1000));
    this.entries.push({
      id: this.nextId++,
      worker: core.settings.worker,
      time_ms: Math.round(performance.timeOrigin + core.nowMs),
      duration_us: duration,
      upstream_us: upstream,
      proxy_us: duration - upstream,
      attempts: request.attempts,
      client: client.address,
      client_name: client.details.name,
      user: client.user,
      command: entry.name,
      arguments: whole ? shownArguments(entry.name, bytes, frame) : entry.name.split('|'),
    });
    this.cut();
  }

  tick(): void {
    this.noted = 0;
  }

  /** Oldest first. */
  get all(): readonly SlowCommand[] {
    return this.entries;
  }

  clear(): void {
    this.entries = [];
  }
}
