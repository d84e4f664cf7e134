/**
 * Scripts of Redis commands, written one a line:
 *
 *     SET s "a value\r\n"          one command, one reply; on connection `a` where none is named
 *     @unordered SMEMBERS s        marks say how the reply is compared (see `compare.ts`)
 *     b: GET s                     on connection `b`
 *     a:2 SUBSCRIBE one two        two replies (0: none)
 *     a! BLPOP l 0                 sent, and waits until the server holds the client back
 *     a< 1                         one more reply arrives
 *     ax                           the server closes the connection
 *
 * Words are quoted as in redis-cli. `$name` is what `@keep:name` kept of an earlier reply.
 */

/** How a reply is compared, by mark: the words after the mark's colon, none when it has none. */
export type Marks = ReadonlyMap<string, readonly string[]>;

export interface Step {
  readonly kind: 'ask' | 'block' | 'read' | 'closed';
  readonly on: string;
  readonly words: readonly Buffer[];
  /** Replies that must arrive before the next step. */
  readonly replies: number;
  readonly marks: Marks;
  /** As it is written, for reports. */
  readonly text: string;
}

export interface Script {
  readonly title: string;
  readonly steps: readonly Step[];
}

const MARKS = new Set([
  'unordered',
  'deep',
  'pairs',
  'shape',
  'kind',
  'mask',
  'fields',
  'monitor',
  'info',
  'class',
  'scan',
  'keep',
  'allowed',
  'sample',
  'alone',
]);

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', a: '\x07', b: '\b' };

/** Splits a line into words, with redis-cli's quotes and escapes. Throws for an open quote. */
export function words(line: string): Buffer[] {
  const found: Buffer[] = [];
  let at = 0;
  while (at < line.length) {
    if (line[at] === ' ') {
      at++;
      continue;
    }
    const quote = line[at] === '"' || line[at] === "'" ? line[at]! : '';
    if (quote === '') {
      const end = line.indexOf(' ', at) < 0 ? line.length : line.indexOf(' ', at);
      found.push(Buffer.from(line.slice(at, end)));
      at = end;
      continue;
    }
    const bytes: Buffer[] = [];
    for (at++; line[at] !== quote; at++) {
      if (at >= line.length) throw new Error(`open quote: ${line}`);
      if (quote === '"' && line[at] === '\\') {
        at++;
        if (line[at] === 'x') {
          bytes.push(Buffer.from(line.slice(at + 1, at + 3), 'hex'));
          at += 2;
        } else bytes.push(Buffer.from(ESCAPES[line[at]!] ?? line[at]!));
      } else bytes.push(Buffer.from(line[at]!));
    }
    found.push(Buffer.concat(bytes));
    at++;
  }
  return found;
}

function parseMarks(text: string): Marks {
  const marks = new Map<string, readonly string[]>();
  for (const word of text.split(' ').filter(Boolean)) {
    const [name, values] = word.slice(1).split(':', 2) as [string, string?];
    if (!MARKS.has(name)) throw new Error(`unknown mark ${word}`);
    marks.set(name, values?.split(',') ?? []);
  }
  return marks;
}

export function parseStep(line: string): Step {
  const text = line.trim();
  const [, on = 'a', sign = ':', count, rest = ''] = /^(?:([a-z])([:!<x])(\d*)(?: |$))?(.*)$/.exec(text)!;
  if (sign === 'x') return { kind: 'closed', on, words: [], replies: 0, marks: new Map(), text };
  const [, markText = '', commandText = ''] = /^((?:@\S+ )*)(.*)$/.exec(rest)!;
  const marks = parseMarks(markText);
  if (sign === '<') return { kind: 'read', on, words: [], replies: Number(commandText), marks, text };
  const kind = sign === '!' ? 'block' : 'ask';
  const replies = kind === 'block' ? 0 : count === '' || count === undefined ? 1 : Number(count);
  return { kind, on, words: words(commandText), replies, marks, text };
}

/** A script from its text; empty lines and lines that begin with # say nothing. */
export function script(title: string, text: string): Script {
  const lines = text.split('\n').map((line) => line.trim());
  return { title, steps: lines.filter((line) => line !== '' && !line.startsWith('#')).map(parseStep) };
}

/** A step made by a program rather than written. */
export function stepOf(command: readonly Buffer[], marks: Marks = new Map()): Step {
  const text = command.map((word) => JSON.stringify(word.toString('latin1'))).join(' ');
  return { kind: 'ask', on: 'a', words: command, replies: 1, marks, text };
}
