import { escaped } from './escaped.js';
import { quoted, quotedHost } from './fragments.js';
import { type CommandSpan, errorClass } from './span.js';

/** Text that may be written bare in a line of text. */
const BARE = /^[\w.:@/|[\]+-]+$/;

/** The last time that was written: many commands end in one millisecond. */
let lastMs = 0;
let lastTime = '';

function timeOf(ms: number): string {
  const whole = Math.floor(ms);
  if (whole !== lastMs) {
    lastMs = whole;
    lastTime = new Date(whole).toISOString();
  }
  return lastTime;
}

/** One line of the access log, with its end. Times are microseconds. */
export function accessLine(span: CommandSpan, format: 'json' | 'text', epochMs: number): string {
  const time = timeOf(epochMs + span.endedMs);
  const duration = Math.round((span.endedMs - span.startedMs) * 1000);
  const upstream = Math.round(span.upstreamMs * 1000);
  const requests = span.children.length + span.childrenDropped;
  const error = span.error === '' ? '' : errorClass(span.error);
  const result = resultOf(span);
  if (format === 'json') {
    return (
      `{"time":"${time}",${span.who.json},"command":${quoted(span.command)},` +
      `${span.key === '' ? '' : `"key":${quoted(span.key)},`}` +
      `"request_bytes":${span.requestBytes},"response_bytes":${span.responseBytes},"upstream":${quotedHost(span.host)},` +
      `"duration_us":${duration},"upstream_us":${upstream},"upstream_requests":${requests},"result":"${result}"` +
      `${error === '' ? '' : `,"error":${quoted(error)}`}${span.traced ? `,"trace_id":"${span.trace}"` : ''}}\n`
    );
  }
  const { address, id, user } = span.who;
  return (
    `${time} client=${bare(address)} client_id=${id} user=${bare(user)} command=${bare(span.command)}` +
    `${span.key === '' ? '' : ` key=${bare(span.key)}`} request_bytes=${span.requestBytes}` +
    ` response_bytes=${span.responseBytes} upstream=${bare(span.host)} duration_us=${duration} upstream_us=${upstream}` +
    ` upstream_requests=${requests} result=${result}${error === '' ? '' : ` error=${bare(error)}`}` +
    `${span.traced ? ` trace_id=${span.trace}` : ''}\n`
  );
}

const bare = (text: string): string => (BARE.test(text) ? text : `"${escaped(text)}"`);

function resultOf({ abandoned, deferred, error }: CommandSpan): string {
  if (abandoned) return 'client_gone';
  if (error !== '') return 'error';
  return deferred ? 'deferred' : 'ok';
}
