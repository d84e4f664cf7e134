import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeReply, type Reply, ReplyError } from '../../../../../src/proxy/engine/resp/decode.js';

const decode = (text: string) => decodeReply(Buffer.from(text));

describe('decoding a reply', () => {
  it.each<[string, Reply]>([
    ['+OK\r\n', 'OK'],
    [':-42\r\n', -42],
    ['$5\r\nhéll\r\n', 'héll'],
    ['$-1\r\n', null],
    ['*-1\r\n', null],
    ['_\r\n', null],
    ['#t\r\n', 't'],
    [',1.5\r\n', '1.5'],
    ['=7\r\ntxt:abc\r\n', 'txt:abc'],
    ['*2\r\n:1\r\n*1\r\n+a\r\n', [1, ['a']]],
    ['%1\r\n+a\r\n:1\r\n', ['a', 1]],
    ['~1\r\n:1\r\n', [1]],
  ])('reads %j', (text, value) => {
    expect(decode(text)).toEqual(value);
  });

  it('gives errors as values', () => {
    expect(decode('-ERR no\r\n')).toEqual(new ReplyError('ERR no'));
    expect(decode('!5\r\nERR x\r\n')).toEqual(new ReplyError('ERR x'));
    expect(decode('*1\r\n-LOADING\r\n')).toEqual([new ReplyError('LOADING')]);
  });

  it.each([
    '',
    '+OK',
    '$5\r\nab',
    '*2\r\n:1\r\n',
    '$-2\r\n',
    '*-2\r\n',
    '$x\r\n',
    'hello\r\n',
    '+OK\r\n+OK\r\n',
    '*99999999999\r\n',
  ])('throws on %j, which is not one whole reply', (text) => {
    expect(() => decode(text)).toThrow(Error);
  });

  it('refuses replies that are nested too deeply', () => {
    expect(decode(`${'*1\r\n'.repeat(30)}:1\r\n`)).toBeDefined();
    expect(() => decode(`${'*1\r\n'.repeat(100_000)}:1\r\n`)).toThrow('nested too deeply');
  });

  it('ends on arbitrary bytes, with a value or an error', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('*', '$', '%', '-', '+', ':', '1', '9', '\r\n', 'a'), maxLength: 60 }),
        (text) => {
          try {
            decode(text);
          } catch (error) {
            expect((error as Error).message).toMatch(/reply|length/);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});
