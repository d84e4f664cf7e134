/** What of a reply is compared. Without a mark: every byte. */
import { CLIENT_FIELDS_OF_A_NODE, INFO_OF_ONE_NODE } from './allowed.js';
import type { Marks } from './script.js';

/** A reply with its types kept, so that RESP2 and RESP3 can be told apart. */
export interface Reply {
  readonly type: string;
  /** Content of a scalar, Latin-1; `null` for the null bulk string and the null array. */
  readonly text: string | null;
  /** Children of an aggregate. */
  readonly items?: readonly Reply[];
}

export function parseReply(raw: Buffer): Reply {
  const [reply, end] = parseAt(raw, 0);
  if (end !== raw.length) throw new Error('bytes after the reply');
  return reply;
}

function parseAt(raw: Buffer, at: number): [Reply, number] {
  const type = String.fromCharCode(raw[at]!);
  const newline = raw.indexOf(10, at);
  const line = raw.toString('latin1', at + 1, newline - 1);
  let next = newline + 1;
  if ('$=!'.includes(type)) {
    if (line === '-1') return [{ type, text: null }, next];
    const end = next + Number(line);
    return [{ type, text: raw.toString('latin1', next, end) }, end + 2];
  }
  if (!'*~>%'.includes(type)) return [{ type, text: line }, next];
  if (line === '-1') return [{ type, text: null }, next];
  const items: Reply[] = [];
  for (let left = type === '%' ? 2 * Number(line) : Number(line); left > 0; left--) {
    const [item, end] = parseAt(raw, next);
    items.push(item);
    next = end;
  }
  return [{ type, text: null, items }, next];
}

const print = (reply: Reply): string => JSON.stringify(reply);
const compareText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
const byText = (a: Reply, b: Reply) => compareText(print(a), print(b));

function sorted(reply: Reply, deep: boolean): Reply {
  if (reply.items === undefined) return reply;
  const items = deep ? reply.items.map((item) => sorted(item, true)) : reply.items;
  return { ...reply, items: [...items].sort(byText) };
}

/** Sorted by pairs: a map, or the flat array that RESP2 has in its place. */
function sortedPairs(reply: Reply): Reply {
  if (reply.items === undefined) return reply;
  const pairs: Reply[][] = [];
  for (let i = 0; i < reply.items.length; i += 2) pairs.push(reply.items.slice(i, i + 2));
  pairs.sort((a, b) => byText(a[0]!, b[0]!));
  return { ...reply, items: pairs.flat() };
}

/** Types and lengths only. Errors are kept. */
function shape(reply: Reply): Reply {
  if (reply.items !== undefined) return { ...reply, items: reply.items.map(shape) };
  return reply.type === '-' || reply.text === null ? reply : { type: reply.type, text: '…' };
}

/** The values that stand behind these names, at any depth, lose their content. */
function masked(reply: Reply, names: ReadonlySet<string>): Reply {
  if (reply.items === undefined) return reply;
  const items = reply.items.map((item, i) => {
    const name = i > 0 ? reply.items![i - 1]! : undefined;
    return i % 2 === 1 && name?.text && names.has(name.text) ? shape(item) : masked(item, names);
  });
  return { ...reply, items };
}

/** Sections of INFO whose fields are what happened to happen. */
const OF_THE_MOMENT = new Set(['Commandstats', 'Errorstats', 'Latencystats', 'Keyspace', 'Modules', 'Debug']);

function infoFields(raw: Buffer): string[] {
  let section = '';
  return (parseReply(raw).text ?? '')
    .replace(/^txt:/, '')
    .split('\r\n')
    .flatMap((line) => {
      if (line.startsWith('# ')) section = line.slice(2);
      if (INFO_OF_ONE_NODE.has(line.split(':', 1)[0]!)) return [];
      if (line === '' || (OF_THE_MOMENT.has(section) && !line.startsWith('#'))) return [];
      return [line.startsWith('#') ? line : `${section}.${line.split(':', 1)[0]}`];
    });
}

/** The sections and fields of the server's INFO that the proxy's does not have. It may have more. */
export function missingInfo(server: Buffer, proxy: Buffer): string {
  const there = new Set(infoFields(proxy));
  return infoFields(server)
    .filter((field) => !there.has(field))
    .join(' ');
}

/** Fields of CLIENT LIST that are a moment's, an address or an amount. */
const OF_A_CLIENT = new Set(
  'id addr laddr fd age idle events qbuf qbuf-free argv-mem multi-mem rbs rbp obl oll omem tot-mem'.split(' '),
);

function clientFields(raw: Buffer): Map<string, string> {
  const fields = (parseReply(raw).text ?? '').replace(/^txt:/, '').trim().split(' ');
  return new Map(fields.map((field) => field.split('=', 2) as [string, string]));
}

/** What of the server's CLIENT LIST line the proxy's says otherwise, or not at all. It may say more. */
export function otherClientFields(server: Buffer, proxy: Buffer): string {
  const found = clientFields(proxy);
  return [...clientFields(server)]
    .filter(([name]) => !CLIENT_FIELDS_OF_A_NODE.has(name))
    .filter(([name, value]) => (OF_A_CLIENT.has(name) ? !found.has(name) : found.get(name) !== value))
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}

const COMPARING = ['kind', 'unordered', 'deep', 'pairs', 'shape', 'mask', 'monitor', 'class'];

/** The part of a raw reply that is compared under these marks, as text. */
export function compared(raw: Buffer, marks: Marks): string {
  if (!COMPARING.some((mark) => marks.has(mark))) return raw.toString('latin1');
  if (marks.has('kind')) return raw.toString('latin1', 0, 1);
  // A moment and a connection: `+1700000000.123456 [0 127.0.0.1:50000] "GET" "key"`.
  if (marks.has('monitor')) return raw.toString('latin1').replace(/^\+[\d.]+ \[0 [^\]]+\]/, '');
  let reply = parseReply(raw);
  if (marks.has('class') && reply.type === '-') return `-${(reply.text ?? '').split(' ', 1)[0]}`;
  if (marks.has('mask')) reply = masked(reply, new Set(marks.get('mask')));
  if (marks.has('pairs')) reply = sortedPairs(reply);
  if (marks.has('deep')) reply = sorted(reply, true);
  if (marks.has('unordered')) reply = sorted(reply, false);
  if (marks.has('shape')) reply = shape(reply);
  return print(reply);
}
