import type { Bytes } from '../bytes.js';
import { Muted } from '../clients/details.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import type { Core } from '../core/core.js';
import { type Request, RequestState } from '../core/request.js';
import { keyText } from '../observe/hot-keys.js';
import type { Sampling } from '../observe/sampler.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { findKeys, KEYS } from '../routing/keys.js';
import { commandStatAt } from '../stats.js';
import { accessLine } from './access-line.js';
import { Whos } from './fragments.js';
import { Ids, otlpSpans } from './otlp.js';
import type { Recorded, TraceSettings } from './settings.js';
import { CommandSpan, errorText } from './span.js';

/** Commands that a worker has recorded and the main thread has not taken; more are dropped, and counted. */
const LINES_MAX = 16_384;
const SPANS_MAX = 16_384;
/** How far the clock may be from where it was thought to be before it is set anew, milliseconds. */
const CLOCK_STEP_MS = 50;

/** Records sampled commands: for the access log, as spans, or both. Commands that are not chosen pay nothing. */
export class Recorder {
  private settings: TraceSettings | null = null;
  private readonly samplings: Sampling[] = [];
  /** The command that is being served, when it is recorded. */
  private current: CommandSpan | null = null;
  private currentClient: Client | null = null;
  /** Before it was served: bytes in its client's output, and the errors of its command. */
  private outputBytes = 0;
  private errors = 0;
  private lines: string[] = [];
  private spans: string[] = [];
  private droppedLines = 0;
  private droppedSpans = 0;
  /** The main thread has not said yet that it has taken what it was given. */
  private given = false;
  private spanCounts: number[] = [];
  private spanTotal = 0;
  private readonly whos = new Whos();
  private readonly ids: Ids;
  /** Milliseconds since 1970 less the runtime's. */
  private epochMs: number;

  constructor(private readonly core: Core) {
    this.ids = new Ids(() => core.random());
    this.epochMs = Date.now() - core.runtime.now();
    this.configure();
    core.followers.add(() => this.configure());
  }

  private configure(): void {
    const settings = this.core.settings.trace ?? null;
    if (JSON.stringify(settings) === JSON.stringify(this.settings)) return;
    this.settings = settings;
    const { sampler } = this.core;
    for (const sampling of this.samplings) sampler.remove(sampling);
    this.samplings.length = 0;
    if (settings?.accessLog) this.sample(settings.accessLog.every, (span) => (span.logged = true));
    if (settings?.tracing) this.sample(settings.tracing.every, (span) => (span.traced = true));
  }

  private sample(every: number, choose: (span: CommandSpan) => void): void {
    const sampling: Sampling = {
      every,
      came: (client, entry, bytes, frame) => choose(this.came(client, entry, bytes, frame)),
      sent: (client, entry, request) => this.sent(client, entry, request),
      waits: () => this.forget(),
      refused: (client, name, frame, error) => {
        const span = this.begin(client, name, frame);
        choose(span);
        span.error = typeof error === 'string' ? error : errorText(error, 0, error.length);
        span.responseBytes = error.length;
        this.end(span);
      },
    };
    this.samplings.push(sampling);
    this.core.sampler.add(sampling);
  }

  // ---------------------------------------------------------------- one command

  private begin(client: Client, name: string, frame: RequestFrame): CommandSpan {
    return new CommandSpan(this.core.nowMs, name, requestSize(frame), this.whos.of(client));
  }

  private came(client: Client, entry: CommandEntry, bytes: Bytes, frame: RequestFrame): CommandSpan {
    // Both the log and the trace may have chosen it.
    if (this.current !== null && this.currentClient === client) return this.current;
    const span = this.begin(client, entry.name, frame);
    if (this.settings?.accessLog?.includeKeys && findKeys(entry, bytes, frame) > 0)
      span.key = keyText(bytes, frame.starts[KEYS.at[0]], frame.ends[KEYS.at[0]]);
    this.current = span;
    this.currentClient = client;
    this.outputBytes = client.output.bytes;
    this.errors = this.core.stats[commandStatAt(entry.id) + 1];
    return span;
  }

  private sent(client: Client, entry: CommandEntry, request: Request | null): void {
    const span = this.current;
    if (span === null || this.currentClient !== client) return;
    this.forget();
    if (request === null || request.client !== client) {
      // Answered at once, with what is in the output now.
      span.responseBytes = Math.max(0, client.output.bytes - this.outputBytes);
      const reply = client.output.last(span.responseBytes);
      if (reply !== null) span.answered(reply, 0, reply.length, false, this.core.nowMs);
      else if (this.core.stats[commandStatAt(entry.id) + 1] > this.errors) span.error = 'ERR';
      span.deferred = span.responseBytes === 0 && client.muted === Muted.none;
      this.end(span);
      return;
    }
    request.span = span;
    const { fanout } = request;
    if (fanout !== null) {
      for (const part of fanout.parts) {
        if (part.state !== RequestState.done) part.span = span.child(this.core.nowMs);
      }
    } else if (request.state === RequestState.done && request.reply !== null) {
      span.answered(request.reply, request.replyStart, request.replyEnd, false, this.core.nowMs);
    } else if (request.task === null) span.ownRequest(this.core.nowMs);
  }

  private forget(): void {
    this.current = null;
    this.currentClient = null;
  }

  /** A task begins: when its command is recorded, so is what the task sends from the beginning. */
  ofTask(client: Client): CommandSpan | null {
    return this.currentClient === client ? this.current : null;
  }

  /** A request that bears a span is answered: its reply is in the client's output. */
  answered(request: Request): void {
    const span = request.span;
    request.span = null;
    if (span instanceof CommandSpan) this.end(span);
  }

  /** The client has left before the answer. */
  abandoned(request: Request): void {
    const span = request.span;
    request.span = null;
    if (!(span instanceof CommandSpan)) return;
    span.abandoned = true;
    this.end(span);
  }

  // ---------------------------------------------------------------- what becomes of it

  private end(span: CommandSpan): void {
    const { core, settings, epochMs } = this;
    if (span.endedMs !== 0) return;
    span.endedMs = core.nowMs;
    if (span.traced) {
      const count = 1 + span.children.length;
      if (this.spanTotal + count > SPANS_MAX) this.droppedSpans += count;
      else {
        span.trace = this.ids.trace();
        this.spans.push(otlpSpans(span, this.ids, epochMs));
        this.spanCounts.push(count);
        this.spanTotal += count;
      }
    }
    const log = settings?.accessLog;
    if (!span.logged || !log) return;
    const { errorsOnly, slowerThanMs } = log;
    if (errorsOnly || slowerThanMs >= 0) {
      const failed = errorsOnly && span.error !== '';
      const slow = slowerThanMs >= 0 && span.endedMs - span.startedMs > slowerThanMs;
      if (!failed && !slow) return;
    }
    if (this.lines.length >= LINES_MAX) this.droppedLines++;
    else this.lines.push(accessLine(span, log.format, epochMs));
  }

  /** Called with every tick: gives the main thread what there is, when it has taken the last. */
  tick(): void {
    const { core } = this;
    const epochMs = Date.now() - core.runtime.now();
    // Date.now() knows whole milliseconds only: what is recorded keeps its own order.
    if (Math.abs(epochMs - this.epochMs) > CLOCK_STEP_MS) this.epochMs = epochMs;
    if (this.given || core.runtime.recorded === undefined) return;
    const { lines, spans, spanCounts, droppedLines, droppedSpans } = this;
    if (lines.length === 0 && spans.length === 0 && droppedLines === 0 && droppedSpans === 0) return;
    this.given = true;
    this.lines = [];
    this.spans = [];
    this.spanCounts = [];
    this.spanTotal = 0;
    this.droppedLines = this.droppedSpans = 0;
    const batch: Recorded = {
      lines: lines.join(''),
      lineCount: lines.length,
      spans: spans.join('\n'),
      spanCounts,
      droppedLines,
      droppedSpans,
    };
    core.runtime.recorded(batch);
  }

  /** The main thread has taken what it was given. */
  taken(): void {
    this.given = false;
  }
}

/** Bytes of a whole command: its arguments with the lines before them. */
function requestSize(frame: RequestFrame): number {
  const head = 3 + String(frame.count).length + 3 + String(frame.ends[0] - frame.starts[0]).length;
  return frame.end - frame.starts[0] + head;
}
