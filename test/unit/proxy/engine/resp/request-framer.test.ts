import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  DEFAULT_LIMITS,
  FRAME_COMPLETE,
  FRAME_EMPTY,
  FRAME_INCOMPLETE,
  FRAME_MALFORMED,
  frameRequest,
  INLINE_BYTES_MAX,
  PREAUTH_LIMITS,
  RequestFrame,
  resumeRequest,
} from '../../../../../src/proxy/engine/resp/request-framer.js';
import { encodeCommandText } from '../support/resp.js';

const argument = fc.oneof(
  { weight: 4, arbitrary: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)) },
  { weight: 1, arbitrary: fc.constantFrom('', '\r\n', '*1\r\n$1\r\na\r\n', '$5').map((text) => Buffer.from(text)) },
);
const command = fc.array(argument, { minLength: 1, maxLength: 6 });

function framed(bytes: Buffer, frame: RequestFrame): Buffer[] {
  return Array.from({ length: frame.count }, (_, i) => bytes.subarray(frame.starts[i], frame.ends[i]));
}

function verdict(text: string | Buffer, limits = DEFAULT_LIMITS): { verdict: number; error: string } {
  const bytes = Buffer.from(text);
  const frame = new RequestFrame();
  const found = frameRequest(bytes, 0, bytes.length, frame, limits);
  return { verdict: found, error: found === FRAME_MALFORMED ? frame.error : '' };
}

describe('framing commands', () => {
  it('finds every argument of every command in a pipeline, whatever bytes they hold', () => {
    fc.assert(
      fc.property(fc.array(command, { minLength: 1, maxLength: 8 }), fc.nat({ max: 5 }), (commands, offset) => {
        const bytes = Buffer.concat([Buffer.alloc(offset), ...commands.map(encodeCommandText)]);
        const frame = new RequestFrame();
        let at = offset;
        for (const args of commands) {
          expect(frameRequest(bytes, at, bytes.length, frame, DEFAULT_LIMITS)).toBe(FRAME_COMPLETE);
          expect(frame.inline).toBe(false);
          expect(framed(bytes, frame)).toEqual(args);
          at = frame.end;
        }
        expect(at).toBe(bytes.length);
      }),
    );
  });

  it('waits for more at every cut, says how much at least, and goes on from there', () => {
    fc.assert(
      fc.property(command, (args) => {
        const bytes = encodeCommandText(args);
        for (let cut = 1; cut < bytes.length; cut++) {
          const frame = new RequestFrame();
          expect(frameRequest(bytes, 0, cut, frame, DEFAULT_LIMITS)).toBe(FRAME_INCOMPLETE);
          expect(frame.bytesAtLeast).toBeGreaterThan(cut);
          expect(frame.bytesAtLeast).toBeLessThanOrEqual(bytes.length);
          expect(resumeRequest(bytes, 0, bytes.length, frame, DEFAULT_LIMITS)).toBe(FRAME_COMPLETE);
          expect(framed(bytes, frame)).toEqual(args);
          expect(frame.end).toBe(bytes.length);
        }
      }),
      { numRuns: 80 },
    );
  });

  it('does not look beyond the end that it is given', () => {
    const bytes = encodeCommandText(['SET', 'key', 'value']);
    for (let cut = 1; cut < bytes.length; cut++) {
      const poisoned = Buffer.concat([bytes.subarray(0, cut), Buffer.from('\r\n$*-x0\r\n\r\n')]);
      expect(frameRequest(poisoned, 0, cut, new RequestFrame(), DEFAULT_LIMITS)).toBe(FRAME_INCOMPLETE);
    }
  });

  it('resumes byte by byte', () => {
    const args = Array.from({ length: 100 }, (_, i) => `argument ${i}`);
    const bytes = encodeCommandText(args);
    const frame = new RequestFrame();
    let found = frameRequest(bytes, 0, 1, frame, DEFAULT_LIMITS);
    for (let end = 2; end <= bytes.length; end++) {
      expect(found).toBe(FRAME_INCOMPLETE);
      found = resumeRequest(bytes, 0, end, frame, DEFAULT_LIMITS);
    }
    expect(found).toBe(FRAME_COMPLETE);
    expect(framed(bytes, frame).map(String)).toEqual(args);
  });

  it('makes room for many arguments', () => {
    const args = Array.from({ length: 10_000 }, (_, i) => String(i));
    const bytes = encodeCommandText(args);
    const frame = new RequestFrame();
    expect(frameRequest(bytes, 0, bytes.length, frame, DEFAULT_LIMITS)).toBe(FRAME_COMPLETE);
    expect(framed(bytes, frame).map(String)).toEqual(args);
  });

  it.each(['*0\r\n', '*-1\r\n', '*-10\r\n', '\r\n', '\n'])('skips %j, as Redis does', (text) => {
    const bytes = Buffer.from(text);
    const frame = new RequestFrame();
    expect(frameRequest(bytes, 0, bytes.length, frame, DEFAULT_LIMITS)).toBe(FRAME_EMPTY);
    expect(frame.end).toBe(bytes.length);
  });

  const COUNT = 'Protocol error: invalid multibulk length';
  const BULK = 'Protocol error: invalid bulk length';
  it.each([
    ['*x\r\n', COUNT],
    ['*\r\n', COUNT],
    ['*--1\r\n', COUNT],
    ['*-\r\n', COUNT],
    ['*1x\r\n', COUNT],
    ['*1\r\r', COUNT],
    ['*1048577\r\n', COUNT],
    ['*99999999999999999999999', COUNT],
    ['*-99999999999999999999999', COUNT],
    ['*01\r\n', COUNT],
    [`*${'0'.repeat(100_000)}`, COUNT],
    ['*1\r\n:1\r\n', "Protocol error: expected '$', got ':'"],
    ['*1\r\n\x01', "Protocol error: expected '$', got '\\x01'"],
    ['*1\r\n$\r\n', BULK],
    ['*1\r\n$-1\r\n', BULK],
    ['*1\r\n$x\r\n', BULK],
    ['*1\r\n$1x', BULK],
    ['*1\r\n$1\rx', BULK],
    ['*1\r\n$01\r\na\r\n', BULK],
    [`*1\r\n$${'0'.repeat(100_000)}`, BULK],
    ['*1\r\n$536870913\r\n', BULK],
    ['*1\r\n$3\r\nabcd\r\n', BULK],
  ])('refuses %j', (text, error) => {
    expect(verdict(text)).toEqual({ verdict: FRAME_MALFORMED, error });
  });

  it('takes the largest that Redis takes', () => {
    expect(verdict('*1048576\r\n').verdict).toBe(FRAME_INCOMPLETE);
    expect(verdict('*1\r\n$536870912\r\n').verdict).toBe(FRAME_INCOMPLETE);
  });

  it('takes little from a client that has not logged in', () => {
    const early = (text: string) => verdict(text, PREAUTH_LIMITS);
    expect(early('*10\r\n').verdict).toBe(FRAME_INCOMPLETE);
    expect(early('*11\r\n')).toEqual({
      verdict: FRAME_MALFORMED,
      error: 'Protocol error: unauthenticated multibulk length',
    });
    expect(early('*1\r\n$16384\r\n').verdict).toBe(FRAME_INCOMPLETE);
    expect(early('*1\r\n$16385\r\n')).toEqual({
      verdict: FRAME_MALFORMED,
      error: 'Protocol error: unauthenticated bulk length',
    });
  });

  it('finds inline commands, and refuses those without an end', () => {
    const bytes = Buffer.from('SET a b\r\nGET a\n');
    const frame = new RequestFrame();
    expect(frameRequest(bytes, 0, bytes.length, frame, DEFAULT_LIMITS)).toBe(FRAME_COMPLETE);
    expect(frame.inline).toBe(true);
    expect(framed(bytes, frame).map(String)).toEqual(['SET a b']);
    expect(frameRequest(bytes, frame.end, bytes.length, frame, DEFAULT_LIMITS)).toBe(FRAME_COMPLETE);
    expect(framed(bytes, frame).map(String)).toEqual(['GET a']);
    expect(verdict('x'.repeat(INLINE_BYTES_MAX - 1)).verdict).toBe(FRAME_INCOMPLETE);
    expect(verdict('x'.repeat(INLINE_BYTES_MAX))).toEqual({
      verdict: FRAME_MALFORMED,
      error: 'Protocol error: too big inline request',
    });
  });

  it('neither throws nor stands still on arbitrary bytes', () => {
    const hostile = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 80 }),
      fc
        .string({
          unit: fc.constantFrom('*', '$', '-', '1', '2', '0', '9', '\r', '\n', '\r\n', 'a'),
          minLength: 1,
          maxLength: 40,
        })
        .map((text) => new Uint8Array(Buffer.from(text))),
    );
    fc.assert(
      fc.property(hostile, (bytes) => {
        const frame = new RequestFrame();
        let at = 0;
        while (at < bytes.length) {
          const found = frameRequest(bytes, at, bytes.length, frame, DEFAULT_LIMITS);
          if (found === FRAME_MALFORMED) {
            expect(frame.error).toMatch(/^Protocol error: [ -~]+$/);
            return;
          }
          if (found === FRAME_INCOMPLETE) {
            expect(frame.bytesAtLeast).toBeGreaterThan(bytes.length - at);
            return;
          }
          expect(frame.end).toBeGreaterThan(at);
          expect(frame.end).toBeLessThanOrEqual(bytes.length);
          at = frame.end;
        }
      }),
      { numRuns: 3000 },
    );
  });
});
