import { attribute, nodeAttributes, operationAttributes, quoted } from './fragments.js';
import { type CommandSpan, errorClass, type SpanEvent, type UpstreamSpan } from './span.js';

/** Of OTLP (https://github.com/open-telemetry/opentelemetry-proto, trace.proto): the span was sampled; its kinds. */
const SERVER = '"flags":1,"kind":2,';
const CLIENT = '"flags":1,"kind":3,';
const STATUS_ERROR = 2;

/** A digit 1, and seven more below it. */
const EIGHT_DIGITS = 2 ** 28;
const TRACE_DIGITS = 32;
const SPAN_DIGITS = 16;

/**
 * Identifiers in hexadecimal. What is the same in all of a worker's is drawn once; of a trace, the last 14 digits are
 * random each time, as whoever samples by them expects.
 */
export class Ids {
  private readonly tracePrefix: string;
  private readonly spanPrefix: string;
  private spans = 0;

  /** @param random in [0, 1) */
  constructor(private readonly random: () => number) {
    const draw = (digits: number) =>
      Array.from({ length: digits }, () => Math.floor(random() * 16).toString(16)).join('');
    this.tracePrefix = draw(TRACE_DIGITS - 15);
    this.spanPrefix = draw(SPAN_DIGITS - 8);
  }

  trace(): string {
    return this.tracePrefix + this.eight() + this.eight().slice(1);
  }

  /** Unique in the worker for 268 million spans, which is more than one trace can have. */
  span(): string {
    this.spans = (this.spans + 1) % EIGHT_DIGITS;
    return this.spanPrefix + (EIGHT_DIGITS + this.spans).toString(16);
  }

  private eight(): string {
    return (EIGHT_DIGITS + Math.floor(this.random() * EIGHT_DIGITS)).toString(16);
  }
}

/**
 * A command as spans in OTLP's JSON, one behind the other with commas: one for the command, and one for each of its
 * upstream requests. Names are those of OpenTelemetry's semantic conventions for databases and Redis.
 */
export function otlpSpans(span: CommandSpan, ids: Ids, epochMs: number): string {
  const { trace, children } = span;
  const id = ids.span();
  const operation = operationAttributes(span.command);
  const error = span.abandoned ? 'client_gone' : span.error;
  let text =
    `{"traceId":"${trace}","spanId":"${id}",${SERVER}` +
    `"startTimeUnixNano":"${nanoseconds(epochMs + span.startedMs)}","endTimeUnixNano":"${nanoseconds(epochMs + span.endedMs)}",` +
    `${operation},${span.who.attributes},` +
    `{"key":"redisforge.request.size","value":{"intValue":"${span.requestBytes}"}},` +
    `{"key":"redisforge.response.size","value":{"intValue":"${span.responseBytes}"}}`;
  if (span.childrenDropped > 0) text += `,${attribute('redisforge.upstream.dropped', span.childrenDropped)}`;
  text += error === '' ? ']}' : failure(error);
  for (const child of children) {
    // What was not answered ends with its command.
    const answered = child.endedMs !== 0;
    text +=
      `,{"traceId":"${trace}","spanId":"${ids.span()}","parentSpanId":"${id}",${CLIENT}` +
      `"startTimeUnixNano":"${nanoseconds(epochMs + child.startedMs)}",` +
      `"endTimeUnixNano":"${nanoseconds(epochMs + (answered ? child.endedMs : span.endedMs))}",${eventsOf(child, epochMs)}` +
      `${operation},{"key":"redisforge.response.size","value":{"intValue":"${child.bytes}"}}`;
    if (child.host !== '') text += `,${nodeAttributes(child.host)}`;
    const wrong = answered ? child.error : 'unanswered';
    text += wrong === '' ? ']}' : failure(wrong);
  }
  return text;
}

/** The last attributes of a span, and its status. An error's whole text may show what a client has said, so only its class is told. */
function failure(error: string): string {
  const kind = errorClass(error);
  // Only what Redis's servers say has a code.
  const code = /^[A-Z]/.test(kind) ? `,${attribute('db.response.status_code', kind)}` : '';
  return `,${attribute('error.type', kind)}${code}],"status":{"code":${STATUS_ERROR}}}`;
}

function eventsOf({ events }: UpstreamSpan, epochMs: number): string {
  if (events.length === 0) return '';
  const one = ({ name, atMs, attributes }: SpanEvent) =>
    `{"timeUnixNano":"${nanoseconds(epochMs + atMs)}","name":${quoted(name)},"attributes":[${Object.entries(attributes)
      .map(([key, value]) => attribute(key, value))
      .join(',')}]}`;
  return `"events":[${events.map(one).join(',')}],`;
}

/** Milliseconds since 1970 as nanoseconds, decimal. */
export function nanoseconds(ms: number): string {
  const whole = Math.floor(ms);
  // 1 in front keeps the zeros of the three digits.
  return `${whole}${String(1000 + Math.floor((ms - whole) * 1000)).slice(1)}000`;
}
