/** RESP from clients and from upstreams, as the proxy and the command line read it. */
import fc from 'fast-check';
import { FrameError, RdbFrame } from '../../../../src/backup/source/rdb-frame.js';
import { ReplyReader } from '../../../../src/cluster/bulk/reply-reader.js';
import type { Bytes } from '../../../../src/proxy/engine/bytes.js';
import { readClusterSlots } from '../../../../src/proxy/engine/cluster/slots-reply.js';
import { MessageReader } from '../../../../src/proxy/engine/pubsub/message-reader.js';
import { decodeReply } from '../../../../src/proxy/engine/resp/decode.js';
import { encodeInline, splitInline } from '../../../../src/proxy/engine/resp/inline.js';
import {
  flatReplyEnd,
  REPLY_INCOMPLETE,
  REPLY_MALFORMED,
  ReplyFramer,
  shortReplyEnd,
} from '../../../../src/proxy/engine/resp/reply-framer.js';
import {
  DEFAULT_LIMITS,
  FRAME_COMPLETE,
  FRAME_EMPTY,
  FRAME_INCOMPLETE,
  FRAME_MALFORMED,
  frameRequest,
  PREAUTH_LIMITS,
  RequestFrame,
  type RequestLimits,
  resumeRequest,
} from '../../../../src/proxy/engine/resp/request-framer.js';
import { command } from '../../../support/resp.js';
import { bytesLike, cuts, piecesOf } from '../mutate.js';
import { must, mustEqual, resultOf, target } from '../target.js';

const COMMANDS = [
  command('GET', 'key'),
  command('SET', 'key', 'x'.repeat(200), 'PX', '100'),
  command('MSET', '{a}1', '1', '{a}2', ''),
  Buffer.concat([command('MULTI'), command('INCR', 'a'), command('EXEC')]),
  Buffer.concat([command('GET', 'a'), Buffer.from('PING\r\n'), command('GET', 'b'), Buffer.from('\r\n*0\r\n')]),
  command(...Array.from({ length: 40 }, (_, index) => `word${index}`)),
  Buffer.from('SET "a b" \'c\' "\\x41\\n"\r\nGET a\n'),
  Buffer.from('*-1\r\n*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\n'),
];

interface Framed {
  readonly commands: { start: number; end: number; inline: boolean; words: string[] }[];
  readonly verdict: number;
  readonly error: string;
}

/** As a connection does it: what is unfinished is gone on with when more has come. */
function framed(bytes: Buffer, pieces: readonly Buffer[], limits: RequestLimits): Framed {
  const frame = new RequestFrame();
  const commands: Framed['commands'] = [];
  let at = 0;
  let end = 0;
  let verdict = FRAME_EMPTY;
  for (const piece of pieces) {
    end += piece.length;
    while (at < end) {
      verdict =
        verdict === FRAME_INCOMPLETE
          ? resumeRequest(bytes, at, end, frame, limits)
          : frameRequest(bytes, at, end, frame, limits);
      if (verdict === FRAME_MALFORMED) return { commands, verdict, error: frame.error };
      if (verdict === FRAME_INCOMPLETE) {
        must(frame.bytesAtLeast > end - at, 'more bytes are needed than are there');
        break;
      }
      must(frame.end > at && frame.end <= end, 'a command ends within what has come');
      if (verdict === FRAME_COMPLETE) {
        const words = Array.from({ length: frame.count }, (_, index) =>
          bytes.toString('latin1', frame.starts[index], frame.ends[index]),
        );
        commands.push({ start: at, end: frame.end, inline: frame.inline, words });
      }
      at = frame.end;
    }
  }
  return { commands, verdict: at < end ? verdict : FRAME_EMPTY, error: '' };
}

function checkCommands({ commands }: Framed, bytes: Buffer, limits: RequestLimits): void {
  for (const { start, end, inline, words } of commands) {
    if (!inline) {
      const again = command(...words.map((word) => Buffer.from(word, 'latin1')));
      must(again.equals(bytes.subarray(start, end)), 'what goes upstream is the command, and nothing but it');
      continue;
    }
    const split = splitInline(bytes, start, end);
    if (split === null || split.length === 0) continue;
    const encoded = encodeInline(split, (size) => Buffer.alloc(size)) as Buffer;
    const frame = new RequestFrame();
    const verdict = frameRequest(encoded, 0, encoded.length, frame, limits);
    must(verdict === FRAME_COMPLETE || split.length > limits.argumentsMax, 'an inline command becomes a command');
    if (verdict === FRAME_COMPLETE) must(frame.end === encoded.length, 'and nothing is behind it');
  }
}

const REPLIES = [
  '+OK\r\n',
  '-ERR unknown command\r\n:12\r\n$-1\r\n',
  '$5\r\nhello\r\n$0\r\n\r\n',
  '*3\r\n$1\r\na\r\n:-7\r\n*2\r\n+x\r\n$-1\r\n',
  '%2\r\n+a\r\n:1\r\n+b\r\n~1\r\n,1.5\r\n|1\r\n+ttl\r\n:3600\r\n$1\r\nx\r\n',
  '>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n=7\r\ntxt:abc\r\n!5\r\nERR x\r\n(123456789012345678901234567890\r\n#t\r\n_\r\n',
  `*1\r\n${'*1\r\n'.repeat(20)}:1\r\n`,
  '*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:7001\r\n$4\r\nnode\r\n',
  '*2\r\n*4\r\n:0\r\n:1\r\n*4\r\n$1\r\n?\r\n:7001\r\n$1\r\na\r\n*2\r\n$8\r\nhostname\r\n$1\r\nh\r\n*3\r\n$0\r\n\r\n:1\r\n$1\r\nb\r\n*3\r\n:2\r\n:2\r\n*3\r\n$-1\r\n:7\r\n$1\r\nc\r\n',
];

/** Where replies end, as a connection finds it. */
function replyEnds(pieces: readonly Buffer[], isWhole: boolean): { ends: number[]; malformed: boolean } {
  const framer = new ReplyFramer();
  const ends: number[] = [];
  let before = 0;
  for (const piece of pieces) {
    let at = 0;
    while (at < piece.length) {
      const short = isWhole && framer.idle ? shortReplyEnd(piece, at, piece.length) : REPLY_INCOMPLETE;
      const end = framer.feed(piece, at, piece.length);
      if (end === REPLY_MALFORMED) return { ends, malformed: true };
      if (short > 0) must(short === end, 'both ways find the same end');
      if (end === REPLY_INCOMPLETE) {
        must(!framer.idle, 'it waits for the rest');
        break;
      }
      must(end > at && end <= piece.length && framer.idle, 'a reply ends within what has come');
      at = end;
      ends.push(before + at);
    }
    before += piece.length;
  }
  return { ends, malformed: false };
}

/** Errors of these are the text of a protocol error, never one of the language. */
function plainError(work: () => unknown): { result?: unknown; failed: boolean } {
  const { result, refusal } = { result: undefined, ...resultOf(work, Error) };
  if (refusal === undefined) return { result, failed: false };
  must(refusal.name === 'Error' && refusal.message !== '', `a refusal has words: ${refusal.name}`);
  return { failed: true };
}

const ITEMS = [
  '*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nhello\r\n',
  '*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\nc\r\n$0\r\n\r\n+PONG\r\n-ERR no\r\n',
  '*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n',
];

function items(pieces: readonly Buffer[]): { found: string[]; sane: boolean } {
  const found: string[] = [];
  const reader = new MessageReader((size) => Buffer.alloc(size), {
    item(bytes, start, end, { count, starts, ends }) {
      must(start < end && end <= bytes.length, 'a message is within what has come');
      const words = Array.from({ length: count }, (_, i) => (bytes as Buffer).toString('latin1', starts[i], ends[i]));
      found.push(JSON.stringify(words));
    },
    line: (bytes, start, end) => void found.push((bytes as Buffer).toString('latin1', start, end)),
    read() {},
  });
  return { sane: pieces.every((piece) => reader.read(piece as Bytes, 0, piece.length)), found };
}

const SNAPSHOTS = [
  `+OK\r\n\n\n+FULLRESYNC ${'a1'.repeat(20)} 1234\r\n\n$12\r\nREDIS0011abc`,
  `+FULLRESYNC ${'b2'.repeat(20)} 0\r\n$EOF:${'m'.repeat(40)}\r\nREDIS0012 the rest${'m'.repeat(40)}*1\r\n$4\r\nPING\r\n`,
  '-NOPERM this user has no permissions to run psync\r\n',
];

function snapshotOf(pieces: readonly Buffer[]) {
  const frame = new RdbFrame();
  const taken: Buffer[] = [];
  const { refusal } = resultOf(() => {
    for (const piece of pieces) taken.push(...frame.push(piece));
  }, FrameError);
  const { start, ended } = frame;
  return { start, ended, bytes: Buffer.concat(taken).toString('latin1'), refused: refusal !== undefined };
}

function repliesOf(pieces: readonly Buffer[]) {
  const reader = new ReplyReader();
  const found: string[] = [];
  const { failed } = plainError(() => {
    for (const piece of pieces) {
      for (const reply of reader.push(piece)) found.push(JSON.stringify(reply, (_, value) => value?.message ?? value));
    }
  });
  return { found, failed };
}

export const resp = [
  target(
    'RESP: commands of clients',
    fc.tuple(bytesLike(COMMANDS), cuts, fc.constantFrom(DEFAULT_LIMITS, PREAUTH_LIMITS)),
    ([bytes, at, limits]) => {
      const whole = framed(bytes, [bytes], limits);
      mustEqual(framed(bytes, piecesOf(bytes, at), limits), whole, 'however it comes, it is the same');
      checkCommands(whole, bytes, limits);
    },
  ),
  target('RESP: replies of upstreams', fc.tuple(bytesLike(REPLIES), cuts), ([bytes, at]) => {
    const whole = replyEnds([bytes], true);
    mustEqual(replyEnds(piecesOf(bytes, at), false), whole, 'however it comes, it is the same');
    whole.ends.forEach((end, index) => {
      const start = whole.ends[index - 1] ?? 0;
      const flat = flatReplyEnd(bytes, start, bytes.length);
      must(flat === REPLY_INCOMPLETE || flat === end, 'a flat reply ends where it ends');
      plainError(() => readClusterSlots(decodeReply(bytes, start, end), '10.0.0.1'));
    });
    plainError(() => decodeReply(bytes));
  }),
  target('RESP: messages of subscribed connections', fc.tuple(bytesLike(ITEMS), cuts), ([bytes, at]) => {
    const [whole, cut] = [items([bytes]), items(piecesOf(bytes, at))];
    mustEqual(cut, whole, 'however it comes, it is the same');
  }),
  target('RESP: replies to the command line', fc.tuple(bytesLike(REPLIES), cuts), ([bytes, at]) => {
    const [whole, cut] = [repliesOf([bytes]), repliesOf(piecesOf(bytes, at))];
    must(cut.failed === whole.failed, 'however it comes, it is as wrong');
    if (!whole.failed) mustEqual(cut.found, whole.found, 'however it comes, it is the same');
  }),
  target('RESP: a snapshot from a master', fc.tuple(bytesLike(SNAPSHOTS), cuts), ([bytes, at]) => {
    mustEqual(snapshotOf(piecesOf(bytes, at)), snapshotOf([bytes]), 'however it comes, it is the same');
  }),
];
