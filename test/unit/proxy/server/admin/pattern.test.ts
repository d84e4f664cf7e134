import { describe, expect, it } from 'vitest';
import { Pattern } from '../../../../../src/proxy/server/admin/pattern.js';
import { seeded } from '../../../../support/resp.js';

const TEXTS = [
  ...['', 'a', 'b', 'ab', 'aab', 'abc', 'abab', 'a.b', 'aXb', 'a b', 'server.live', 'a{2}', 'a]b', 'A-1'],
  'cluster.main.upstream_rq_total',
  'redis.front.command.get.latency',
  'redis.front.downstream_cx_total',
];

const EXPRESSIONS = [
  ...['', 'a', '^a', 'b$', '^$', '^ab$', 'a|b', '^(a|b)$', '^(?:ab)*$', '(a|ab)(c|bcd)?', 'a*b', 'a+b', 'a?b', 'a.b'],
  ...[
    'a\\.b',
    '[a-c]+',
    '^[^a]',
    '[]a]',
    '[^]',
    '\\w+\\.\\w+',
    '\\d',
    '\\D$',
    '\\s',
    '\\bfront\\b',
    '\\Bront',
    '^a{2}b',
  ],
  ...[
    'a{2,}',
    '^a{0,1}b',
    '^(ab){2}$',
    'a{2',
    'a{,3}',
    '\\x61b',
    '\\u0061$',
    '(?<name>a)b',
    'a*?b',
    '(a*)*b',
    '(a*)+$',
  ],
  ...[
    'upstream_rq|downstream_cx',
    '^cluster\\.[^.]+\\.upstream_rq_',
    '(latency|total)$',
    '((a)|(b)|)c',
    '()',
    '[\\]]',
    '-',
  ],
];

describe('a filter of statistics', () => {
  it.each(EXPRESSIONS)('%s finds what JavaScript finds', (expression) => {
    const [ours, theirs] = [new Pattern(expression), new RegExp(expression)];
    for (const text of TEXTS) expect([text, ours.test(text)]).toEqual([text, theirs.test(text)]);
  });

  it('agrees with JavaScript about expressions put together by chance', () => {
    const random = seeded(7);
    const pick = (from: readonly string[]) => from[Math.floor(random() * from.length)]!;
    const make = (depth: number): string => {
      const inner = () => (depth === 0 ? pick(['a', 'b', '.', '[ab]', '[^a]', '^', '$']) : make(depth - 1));
      const form = pick(['one', 'two', 'or', 'group', 'star']);
      if (form === 'two') return inner() + inner();
      if (form === 'or') return `(?:${inner()}|${inner()})`;
      if (form === 'group') return `(${inner()})${pick(['*', '+', '?', '{2}', '{0,2}', '{1,}', ''])}`;
      return form === 'star' ? `(${inner()})*` : inner();
    };
    for (let round = 0; round < 2000; round++) {
      const expression = make(3);
      const text = Array.from({ length: Math.floor(random() * 6) }, () => pick(['a', 'b', 'c'])).join('');
      const [ours, theirs] = [new Pattern(expression).test(text), new RegExp(expression).test(text)];
      expect([expression, text, ours]).toEqual([expression, text, theirs]);
    }
  });

  it.each(['(\\w+\\w+)+!', '(a|a)*$x', '(.*)*(.*)*(.*)*!', '.*.*.*.*.*.*.*.*!', '(\\w|_)*(\\w|_)*(\\w|_)*!'])(
    '%s does not take long',
    (expression) => {
      const pattern = new Pattern(expression);
      const begun = performance.now();
      for (let i = 0; i < 20; i++) expect(pattern.test('aaaaaaaaaaaaaaaa_'.repeat(10))).toBe(false);
      expect(performance.now() - begun).toBeLessThan(2000);
    },
  );

  it.each([
    ['(', /Invalid regular expression/],
    ['(a)\\1', /references to groups are not served/],
    ['(?=a)', /looks ahead and behind are not served/],
    ['(?<!a)b', /looks ahead and behind are not served/],
    ['(a{1000}){1000}', /too long/],
    ['(((((){1000}){1000}){1000}){1000}){1000}', /too long/],
  ])('%s is refused', (expression, message) => {
    expect(() => new Pattern(expression)).toThrow(message);
  });
});
