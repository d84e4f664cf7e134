import { type CommandSpan, errorClass, type SpanEvent, type UpstreamSpan } from './span.js';

/** Numbers of OTLP: https://github.com/open-telemetry/opentelemetry-proto (trace.proto). */
const KIND_SERVER = 2;
const KIND_CLIENT = 3;
const STATUS_ERROR = 2;
/** The span was sampled (W3C trace context); the parent, when there is one, is in this process. */
const FLAGS_SAMPLED = 1;

/** Trace and span identifiers, in hexadecimal; never all zero. */
export class Ids {
  private readonly traces = new WeakMap<CommandSpan, { readonly trace: string; readonly span: string }>();

  /** @param random in [0, 1) */
  constructor(private readonly random: () => number) {}

  /** The same ones each time. */
  of(span: CommandSpan): { readonly trace: string; readonly span: string } {
    let ids = this.traces.get(span);
    if (ids === undefined) {
      ids = { trace: this.next(4), span: this.next(2) };
      this.traces.set(span, ids);
    }
    return ids;
  }

  private next(words: number): string {
    let text = '';
    for (let i = 0; i < words; i++)
      text += Math.floor(this.random() * 2 ** 32)
        .toString(16)
        .padStart(8, '0');
    return /[1-9a-f]/.test(text) ? text : `${text.slice(1)}1`;
  }
}

type Value = string | number;

/**
 * A command as spans in OTLP's JSON: one for the command, and one for each of its upstream requests. Names are those of
 * OpenTelemetry's semantic conventions for databases and Redis.
 */
export function otlpSpans(
  span: CommandSpan,
  { trace, span: id }: { readonly trace: string; readonly span: string },
  epochMs: number,
): string[] {
  const operation = span.command.toUpperCase().replace('|', ' ');
  const spans = [
    one({
      trace,
      id,
      parent: '',
      name: operation,
      kind: KIND_SERVER,
      from: span.startedMs,
      to: span.endedMs,
      epochMs,
      error: span.abandoned ? 'client_gone' : span.error,
      events: [],
      attributes: {
        'db.system.name': 'redis',
        'db.operation.name': operation,
        ...peer('client', span.address),
        ...place('server', span.localAddress),
        'enduser.id': span.user,
        'redisforge.client.id': span.clientId,
        'redisforge.request.size': span.requestBytes,
        'redisforge.response.size': span.responseBytes,
        ...(span.childrenDropped > 0 ? { 'redisforge.upstream.dropped': span.childrenDropped } : {}),
      },
    }),
  ];
  span.children.forEach((child, index) => {
    spans.push(upstream(child, index, span, { trace, span: id }, operation, epochMs));
  });
  return spans;
}

function upstream(
  child: UpstreamSpan,
  index: number,
  span: CommandSpan,
  ids: { readonly trace: string; readonly span: string },
  operation: string,
  epochMs: number,
): string {
  // Half of the parent's identifier and a number are as good as chance: they are unique in the trace.
  const id = ids.span.slice(0, 8) + (0x1000_0000 + index).toString(16);
  return one({
    trace: ids.trace,
    id,
    parent: ids.span,
    name: operation,
    kind: KIND_CLIENT,
    from: child.startedMs,
    // What was not answered ends with its command.
    to: child.endedMs === 0 ? span.endedMs : child.endedMs,
    epochMs,
    error: child.endedMs === 0 ? 'unanswered' : child.error,
    events: child.events,
    attributes: {
      'db.system.name': 'redis',
      'db.operation.name': operation,
      ...place('server', child.host),
      ...peer('network', child.host),
      'redisforge.response.size': child.bytes,
    },
  });
}

interface SpanText {
  readonly trace: string;
  readonly id: string;
  readonly parent: string;
  readonly name: string;
  readonly kind: number;
  readonly from: number;
  readonly to: number;
  readonly epochMs: number;
  readonly error: string;
  readonly events: readonly SpanEvent[];
  readonly attributes: Readonly<Record<string, Value>>;
}

function one({ trace, id, parent, name, kind, from, to, epochMs, error, events, attributes }: SpanText): string {
  const kindOfError = error === '' ? '' : errorClass(error);
  const failed: Record<string, Value> = error === '' ? {} : { 'error.type': kindOfError };
  // Only what Redis's servers say has a code.
  const coded: Record<string, Value> = /^[A-Z]/.test(kindOfError) ? { 'db.response.status_code': kindOfError } : {};
  return JSON.stringify({
    traceId: trace,
    spanId: id,
    ...(parent === '' ? {} : { parentSpanId: parent }),
    flags: FLAGS_SAMPLED,
    name,
    kind,
    startTimeUnixNano: nanoseconds(epochMs + from),
    endTimeUnixNano: nanoseconds(epochMs + to),
    attributes: keyValues({ ...attributes, ...failed, ...coded }),
    ...(events.length === 0
      ? {}
      : {
          events: events.map((event) => ({
            timeUnixNano: nanoseconds(epochMs + event.atMs),
            name: event.name,
            attributes: keyValues(event.attributes),
          })),
        }),
    ...(error === '' ? {} : { status: { code: STATUS_ERROR, message: error } }),
  });
}

/** OTLP's list of attributes; whole numbers are decimal strings there. */
export function keyValues(attributes: Readonly<Record<string, Value>>) {
  return Object.entries(attributes).map(([key, value]) => ({
    key,
    value: typeof value === 'number' ? { intValue: String(value) } : { stringValue: value },
  }));
}

/** Milliseconds since 1970 as nanoseconds, decimal. */
export function nanoseconds(ms: number): string {
  const whole = Math.floor(ms);
  const micros = Math.floor((ms - whole) * 1000);
  return `${whole}${String(micros).padStart(3, '0')}000`;
}

/** `host:port` as `<side>.address` and `<side>.port`. */
function place(side: string, address: string): Record<string, Value> {
  const colon = address.lastIndexOf(':');
  if (address === '') return {};
  const port = Number(address.slice(colon + 1));
  if (colon < 0 || !Number.isInteger(port)) return { [`${side}.address`]: address };
  return { [`${side}.address`]: address.slice(0, colon).replace(/^\[|\]$/g, ''), [`${side}.port`]: port };
}

/** The other end of the connection: of a client by both of its names. */
function peer(of: 'client' | 'network', address: string): Record<string, Value> {
  const network = place('network.peer', address);
  return of === 'client' ? { ...place('client', address), ...network } : network;
}
