import type { TracingConfig } from '../../config/recording.js';
import { attributes } from '../../engine/trace/fragments.js';

/** Spans wait this long for others. */
const BATCH_MS = 1000;
/** Waits before a batch is sent again, from the first to the largest, doubling, with jitter. */
const RETRY_MS = 500;
const RETRY_MAX_MS = 30_000;
/** A batch is sent so often at most. */
const ATTEMPTS_MAX = 6;
/** Bytes of one request at most, before the last span of it. */
const BATCH_BYTES_MAX = 4 * 1024 * 1024;
/** Of an answer; what is longer is nothing that OTLP knows, and is not read. */
const ANSWER_BYTES_MAX = 64 * 1024;
/** What OTLP says may be tried again. */
const RETRIED: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** What goes out, by fetch(). */
export type Post = (
  url: string,
  init: { method: 'POST'; headers: Record<string, string>; body: string; signal: AbortSignal; redirect: 'manual' },
) => Promise<Response>;

/** Who is told of failures. */
export interface Complaints {
  warn(message: string, fields?: Record<string, unknown>): void;
  info(message: string): void;
}

/** Sends spans to a collector in batches, by OTLP/HTTP in JSON. Spans that it cannot get rid of are dropped and counted. */
export class SpanExporter {
  sent = 0;
  dropped = 0;
  /** Requests that failed; those that are tried again count each time. */
  failures = 0;
  /** Those of one command each, and how many they are. */
  private queue: { readonly text: string; readonly count: number }[] = [];
  private queued = 0;
  private config: TracingConfig | null = null;
  private headers: Readonly<Record<string, string>> = {};
  private timer: ReturnType<typeof setTimeout> | null = null;
  private sending = false;
  private stopped = false;
  private complained = false;

  constructor(
    private readonly logger: Complaints,
    private readonly resource: Readonly<Record<string, string | number>>,
    private readonly post: Post = fetch,
  ) {}

  configure(config: TracingConfig | undefined, headers: Readonly<Record<string, string>>): void {
    this.config = config ?? null;
    this.headers = headers;
    if (config === undefined) {
      this.dropped += this.queued;
      this.queue = [];
      this.queued = 0;
    }
  }

  /**
   * @param spans those of one command each
   * @param counts how many each of them has
   * @param lost spans that the worker had no room for
   */
  take(spans: readonly string[], counts: readonly number[], lost: number): void {
    this.dropped += lost;
    if (spans.length === 0) return;
    const room = this.config?.max_queue ?? 0;
    for (const [index, text] of spans.entries()) {
      const count = counts[index] as number;
      if (this.queued + count > room) this.dropped += count;
      else {
        this.queue.push({ text, count });
        this.queued += count;
      }
    }
    if (this.queued >= (this.config?.max_batch ?? 0)) void this.send();
    else this.wait(BATCH_MS);
  }

  private wait(ms: number): void {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      void this.send();
    }, ms);
    this.timer.unref?.();
  }

  /** Sends all there is, one batch after the other. */
  private async send(): Promise<void> {
    if (this.sending) return;
    this.sending = true;
    while (this.queue.length > 0 && this.config !== null && !this.stopped) await this.sendBatch(this.config);
    this.sending = false;
  }

  private async sendBatch(config: TracingConfig): Promise<void> {
    let commands = 0;
    let spans = 0;
    let bytes = 0;
    for (const { text, count } of this.queue) {
      // At least one command, whatever it takes.
      if (commands > 0 && (spans + count > config.max_batch || bytes + text.length > BATCH_BYTES_MAX)) break;
      commands++;
      spans += count;
      bytes += text.length;
    }
    this.queued -= spans;
    const texts = this.queue.splice(0, commands).map(({ text }) => text);
    const body = this.body(texts, config.service_name);
    for (let attempt = 1; ; attempt++) {
      const { outcome, reason, waitMs } = await this.attempt(config, body);
      if (outcome === 'sent') {
        this.sent += spans;
        if (this.complained) this.logger.info('spans are exported again');
        this.complained = false;
        return;
      }
      this.failures++;
      if (!this.complained) this.logger.warn('spans cannot be exported', { endpoint: config.otlp_endpoint, reason });
      this.complained = true;
      if (outcome === 'refused' || attempt >= ATTEMPTS_MAX || this.stopped || this.config === null) {
        this.dropped += spans;
        return;
      }
      const delay = Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** (attempt - 1)) * (0.5 + Math.random());
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        setTimeout(resolve, Math.max(waitMs, delay)).unref?.();
      });
    }
  }

  private wake: () => void = () => {};

  private async attempt(
    { otlp_endpoint: url, timeout }: TracingConfig,
    body: string,
  ): Promise<{ outcome: 'sent' | 'retry' | 'refused'; reason: string; waitMs: number }> {
    try {
      const response = await this.post(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...this.headers },
        body,
        signal: AbortSignal.timeout(timeout),
        // The headers hold secrets: they are for this collector, and nobody else.
        redirect: 'manual',
      });
      const answer = await beginning(response);
      const { status } = response;
      if (status >= 200 && status < 300) {
        this.note(answer);
        return { outcome: 'sent', reason: '', waitMs: 0 };
      }
      const seconds = Number(response.headers.get('retry-after') ?? 0);
      const waitMs = Number.isFinite(seconds) ? Math.min(RETRY_MAX_MS, Math.max(0, seconds * 1000)) : 0;
      return { outcome: RETRIED.has(status) ? 'retry' : 'refused', reason: `HTTP ${status}`, waitMs };
    } catch (error) {
      const { name, code } = error as Error & { code?: string | number };
      // A time that is over has a number there.
      return { outcome: 'retry', reason: typeof code === 'string' ? code : name, waitMs: 0 };
    }
  }

  /** A collector may have taken only some. */
  private note(answer: string): void {
    if (!answer.includes('rejectedSpans')) return;
    try {
      const { partialSuccess } = JSON.parse(answer) as { partialSuccess?: { rejectedSpans?: string | number } };
      const rejected = Number(partialSuccess?.rejectedSpans ?? 0);
      if (rejected > 0) {
        this.dropped += rejected;
        this.sent -= rejected;
      }
    } catch {
      // It is for people then.
    }
  }

  private body(spans: readonly string[], service: string): string {
    const resource = attributes({ 'service.name': service, ...this.resource });
    const scope = { name: 'forge-proxy', version: String(this.resource['service.version'] ?? '') };
    return `{"resourceSpans":[{"resource":{"attributes":[${resource}]},"scopeSpans":[{"scope":${JSON.stringify(scope)},"spans":[${spans.join(',')}]}]}]}`;
  }

  /** Sends what there is once more, for as long as it may take. */
  async stop(timeoutMs: number): Promise<void> {
    if (this.timer !== null) clearTimeout(this.timer);
    const end = performance.now() + timeoutMs;
    void this.send();
    while ((this.sending || this.queue.length > 0) && this.config !== null && performance.now() < end)
      await new Promise((resolve) => setTimeout(resolve, 10));
    this.stopped = true;
    this.wake();
  }
}

/** The text of an answer. A connection is used again only when its answer has been read; one that is too long is left. */
async function beginning({ body }: Response): Promise<string> {
  if (body === null) return '';
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  for (let length = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) return text;
    length += value.length;
    if (length > ANSWER_BYTES_MAX) {
      await reader.cancel();
      return '';
    }
    text += decoder.decode(value, { stream: true });
  }
}
