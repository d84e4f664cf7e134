/** A small OpenTelemetry collector for tests: takes spans by OTLP/HTTP in JSON, and refuses what is not well formed. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';

export interface CollectedSpan {
  traceId: string;
  spanId: string;
  parentSpanId: string;
  name: string;
  /** 2: server, 3: client. */
  kind: number;
  /** Nanoseconds since 1970. */
  start: bigint;
  end: bigint;
  attributes: Record<string, string | number>;
  events: { name: string; time: bigint; attributes: Record<string, string | number> }[];
  /** 0: unset, 2: error. */
  status: number;
  message: string;
  resource: Record<string, string | number>;
}

export interface Collector {
  readonly url: string;
  readonly spans: CollectedSpan[];
  /** What was wrong with what came. */
  readonly faults: string[];
  readonly requests: { headers: http.IncomingHttpHeaders; spans: number }[];
  /** Answers the next requests with these, before it takes any. */
  readonly refuseWith: number[];
  stop(): Promise<void>;
}

export async function startCollector(): Promise<Collector> {
  const spans: CollectedSpan[] = [];
  const faults: string[] = [];
  const requests: Collector['requests'] = [];
  const refuseWith: number[] = [];
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const status = refuseWith.shift();
      if (status !== undefined) {
        response.writeHead(status).end();
        return;
      }
      try {
        if (request.method !== 'POST' || request.url !== '/v1/traces')
          throw new Error(`${request.method} ${request.url}`);
        if (request.headers['content-type'] !== 'application/json') throw new Error('not JSON by its type');
        const found = readSpans(Buffer.concat(chunks).toString());
        spans.push(...found);
        requests.push({ headers: request.headers, spans: found.length });
        response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      } catch (error) {
        faults.push((error as Error).message);
        response.writeHead(400).end();
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`,
    spans,
    faults,
    requests,
    refuseWith,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

type Json = { [key: string]: unknown };

const check = (right: boolean, what: string) => {
  if (!right) throw new Error(what);
};

/** Fields that the protocol knows at a place; JSON of protobuf has no others. */
function only(object: Json, names: readonly string[], where: string): void {
  for (const key of Object.keys(object)) check(names.includes(key), `${where} has '${key}'`);
}

export function readSpans(body: string): CollectedSpan[] {
  const request = JSON.parse(body) as Json;
  only(request, ['resourceSpans'], 'the request');
  return (request['resourceSpans'] as Json[]).flatMap((resourceSpans) => {
    only(resourceSpans, ['resource', 'scopeSpans', 'schemaUrl'], 'resourceSpans');
    const resource = attributes((resourceSpans['resource'] as Json)['attributes'] as Json[]);
    check(typeof resource['service.name'] === 'string', 'no service.name');
    return (resourceSpans['scopeSpans'] as Json[]).flatMap((scopeSpans) => {
      only(scopeSpans, ['scope', 'spans', 'schemaUrl'], 'scopeSpans');
      return (scopeSpans['spans'] as Json[]).map((span) => ({ ...readSpan(span), resource }));
    });
  });
}

const SPAN = [
  ...[
    'traceId',
    'spanId',
    'parentSpanId',
    'traceState',
    'flags',
    'name',
    'kind',
    'startTimeUnixNano',
    'endTimeUnixNano',
  ],
  ...['attributes', 'events', 'links', 'status', 'droppedAttributesCount', 'droppedEventsCount', 'droppedLinksCount'],
];

function readSpan(span: Json): Omit<CollectedSpan, 'resource'> {
  only(span, SPAN, 'a span');
  const { traceId, spanId, parentSpanId = '', name, kind } = span as Record<string, string>;
  check(/^[0-9a-f]{32}$/.test(traceId ?? '') && /[^0]/.test(traceId as string), `traceId ${traceId}`);
  check(/^[0-9a-f]{16}$/.test(spanId ?? '') && /[^0]/.test(spanId as string), `spanId ${spanId}`);
  check(/^(?:[0-9a-f]{16})?$/.test(parentSpanId), `parentSpanId ${parentSpanId}`);
  check(typeof name === 'string' && name !== '', 'no name');
  check([1, 2, 3, 4, 5].includes(kind as unknown as number), `kind ${kind}`);
  const start = time(span['startTimeUnixNano']);
  const end = time(span['endTimeUnixNano']);
  check(end >= start, 'it ends before it starts');
  const status = (span['status'] ?? {}) as { code?: number; message?: string };
  return {
    traceId: traceId as string,
    spanId: spanId as string,
    parentSpanId,
    name: name as string,
    kind: kind as unknown as number,
    start,
    end,
    attributes: attributes((span['attributes'] ?? []) as Json[]),
    events: ((span['events'] ?? []) as Json[]).map((event) => ({
      name: event['name'] as string,
      time: time(event['timeUnixNano']),
      attributes: attributes((event['attributes'] ?? []) as Json[]),
    })),
    status: status.code ?? 0,
    message: status.message ?? '',
  };
}

function time(value: unknown): bigint {
  check(typeof value === 'string' && /^\d{19}$/.test(value), `time ${JSON.stringify(value)}`);
  return BigInt(value as string);
}

function attributes(list: Json[]): Record<string, string | number> {
  return Object.fromEntries(
    list.map(({ key, value }) => {
      const { stringValue, intValue, ...others } = value as Json;
      check(Object.keys(others).length === 0, `value of ${key}`);
      if (intValue === undefined) {
        check(typeof stringValue === 'string', `text of ${key}`);
        return [key as string, stringValue as string];
      }
      check(typeof intValue === 'string' && /^-?\d+$/.test(intValue), `number of ${key}`);
      return [key as string, Number(intValue)];
    }),
  );
}
