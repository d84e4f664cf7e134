import { escaped } from './escaped.js';
import { type CommandSpan, errorClass } from './span.js';

/** Text that may be written bare in a line of text. */
const BARE = /^[\w.:@/|[\]+-]+$/;

/** One line of the access log, with its end. Times are microseconds. */
export function accessLine(span: CommandSpan, format: 'json' | 'text', epochMs: number, trace: string): string {
  const error = span.error === '' ? '' : errorClass(span.error);
  const fields: [string, string | number][] = [
    ['client', span.address],
    ['client_id', span.clientId],
    ['user', span.user],
    ['command', span.command],
  ];
  if (span.key !== '') fields.push(['key', span.key]);
  fields.push(
    ['request_bytes', span.requestBytes],
    ['response_bytes', span.responseBytes],
    ['upstream', span.host],
    ['duration_us', Math.round((span.endedMs - span.startedMs) * 1000)],
    ['upstream_us', Math.round(span.upstreamMs * 1000)],
    ['upstream_requests', span.children.length + span.childrenDropped],
    ['result', resultOf(span)],
  );
  if (error !== '') fields.push(['error', error]);
  if (trace !== '') fields.push(['trace_id', trace]);
  const time = new Date(epochMs + span.endedMs).toISOString();
  if (format === 'json') return `${JSON.stringify({ time, ...Object.fromEntries(fields) })}\n`;
  let line = time;
  for (const [name, value] of fields) {
    const text = String(value);
    line += ` ${name}=${BARE.test(text) ? text : `"${escaped(text)}"`}`;
  }
  return `${line}\n`;
}

function resultOf({ abandoned, deferred, error }: CommandSpan): string {
  if (abandoned) return 'client_gone';
  if (error !== '') return 'error';
  return deferred ? 'deferred' : 'ok';
}
