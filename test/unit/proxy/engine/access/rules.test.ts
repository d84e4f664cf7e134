import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeyAccess, parseRules, RuleError } from '../../../../../src/proxy/engine/access/rules.js';
import { Catalog } from '../../../../../src/proxy/engine/commands/catalog.js';
import { COMMANDS } from '../../../../../src/proxy/engine/commands/table.generated.js';

const catalog = new Catalog(COMMANDS);

const problem = (text: string): RuleError => {
  try {
    parseRules(text, catalog);
  } catch (error) {
    if (error instanceof RuleError) return error;
    throw error;
  }
  throw new Error(`${text} is right`);
};

describe('rules', () => {
  it('are read as Redis reads them, in any case of letters', () => {
    const rules = parseRules('ON NoPass +@Read -GET +Config|Get ~app:* %R~r:* %rw~both &news', catalog);
    expect(rules).toEqual({
      on: true,
      nopass: true,
      selectors: [
        {
          commands: [
            { allow: true, kind: 'category', name: 'read' },
            { allow: false, kind: 'command', name: 'get' },
            { allow: true, kind: 'command', name: 'config|get' },
          ],
          keys: [
            { access: KeyAccess.both, pattern: 'app:*' },
            { access: KeyAccess.read, pattern: 'r:*' },
            { access: KeyAccess.both, pattern: 'both' },
          ],
          channels: ['news'],
        },
      ],
    });
  });

  it('have selectors with permissions of their own', () => {
    const { selectors } = parseRules('+get ~a ( +set ~b* ) (+@all ~c %W~d)', catalog);
    expect(selectors.map(({ keys }) => keys.map(({ pattern }) => pattern))).toEqual([['a'], ['b*'], ['c', 'd']]);
    expect(parseRules('+get (+set) clearselectors', catalog).selectors).toHaveLength(1);
  });

  it('begin anew with words that reset', () => {
    expect(parseRules('+get ~a &c +@all allkeys allchannels -@all resetkeys resetchannels', catalog).selectors).toEqual(
      [{ commands: [{ allow: false, kind: 'all', name: 'all' }], keys: [], channels: [] }],
    );
    expect(parseRules('on nopass +@all (+get) reset', catalog)).toEqual({
      on: false,
      nopass: false,
      selectors: [{ commands: [], keys: [], channels: [] }],
    });
  });

  it('may name commands of modules that are not known yet, and the categories of modules', () => {
    expect(parseRules('+ft.search -json.del +@search', catalog).selectors[0]?.commands).toHaveLength(3);
  });

  it.each([
    ['+gett', 'there is no such command', 'get'],
    ['-flushal', 'there is no such command', 'flushall'],
    ['+config|gett', 'there is no such subcommand', 'config|get'],
    ['+@reed', 'there is no such category', 'read'],
    ['allkey', 'no rule begins like this', 'allkeys'],
  ])('%s is told with the words that there are', (word, message, known) => {
    const error = problem(`on ${word} ~*`);
    expect(error).toMatchObject({ word, message });
    expect(error.known).toContain(known);
  });

  it.each([
    ['~* ~a', '~a', /resetkeys/],
    ['&* &a', '&a', /resetchannels/],
    ['%Z~a', '%Z~a', /%R~pattern/],
    ['(+get ~a', '(+get', /not closed/],
    ['-select|0', '-select|0', /not forbidden/],
    ['+select|', '+select|', /missing/],
    ['+config|get|x', '+config|get|x', /at most/],
  ])('%s is refused', (text, word, message) => {
    const error = problem(text);
    expect(error.word).toBe(word);
    expect(error.message).toMatch(message);
  });

  it.each(['>secret', '<secret', '#cb70579ea4e58bf75d5382bbd72a6ab2bb51d8f12915dc5af415b75e0dca8563', '!5e88'])(
    'with a password are refused without showing it: %s',
    (word) => {
      const error = problem(`on ${word} ~*`);
      expect(`${error.word} ${error.message}`).not.toContain(word.slice(1));
      expect(error.message).toMatch(/'passwords'/);
    },
  );

  it('that make no sense never end in anything but a RuleError', () => {
    const piece = fc.constantFrom(
      '+',
      '-',
      '@',
      '~',
      '%',
      'R',
      '&',
      '(',
      ')',
      ' ',
      '|',
      'get',
      'all',
      'on',
      '*',
      '>',
      'x',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 15 }), (pieces) => {
        try {
          parseRules(pieces.join(''), catalog);
        } catch (error) {
          expect(error).toBeInstanceOf(RuleError);
        }
      }),
      { numRuns: 3000 },
    );
  });
});
