import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeInline, splitInline } from '../../../../../src/proxy/engine/resp/inline.js';
import { encodeCommandText } from '../support/resp.js';

function split(text: string): string[] | null {
  const bytes = Buffer.from(text, 'latin1');
  const args = splitInline(bytes, 0, bytes.length);
  return args === null ? null : args.map((arg) => Buffer.from(arg).toString('latin1'));
}

describe('inline commands', () => {
  it.each([
    ['', []],
    ['  \t ', []],
    ['PING', ['PING']],
    ['  SET  a\tb ', ['SET', 'a', 'b']],
    ['SET "a b" \'c d\'', ['SET', 'a b', 'c d']],
    ['"" \'\'', ['', '']],
    ['"\\n\\r\\t\\b\\a"', ['\n\r\t\b\x07']],
    ['"\\x41\\xff\\xG1"', ['A\xffxG1']],
    ['"\\"\\\\"', ['"\\']],
    ["'it\\'s \\n'", ["it's \\n"]],
    ['foo"bar"', ['foobar']],
  ])('splits %j', (text, args) => {
    expect(split(text)).toEqual(args);
  });

  it.each(['"a', "'a", '"a"b', "'a'b", '"a\\', "'a\\'", 'a "b'])('refuses the unbalanced quotes of %j', (text) => {
    expect(split(text)).toBeNull();
  });

  it('reads back whatever was quoted', () => {
    const quote = (bytes: Uint8Array) =>
      `"${[...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}"`;
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 10 }), { maxLength: 5 }), (args) => {
        expect(split(args.map(quote).join(' '))).toEqual(args.map((arg) => Buffer.from(arg).toString('latin1')));
      }),
    );
  });

  it('never throws, and makes a command of every line that it can split', () => {
    const hostile = fc.string({
      unit: fc.constantFrom('"', "'", '\\', 'x', '4', ' ', '\t', 'a', '\0', '\xff'),
      maxLength: 30,
    });
    fc.assert(
      fc.property(hostile, (text) => {
        const bytes = Buffer.from(text, 'latin1');
        const args = splitInline(bytes, 0, bytes.length);
        if (args === null || args.length === 0) return;
        const encoded = encodeInline(args, (size) => Buffer.alloc(size));
        expect(Buffer.from(encoded)).toEqual(encodeCommandText(args.map((arg) => Buffer.from(arg))));
      }),
      { numRuns: 2000 },
    );
  });
});
