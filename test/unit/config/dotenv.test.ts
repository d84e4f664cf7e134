// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are variables of a shell.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDotenv } from '../../../src/config/dotenv.js';

const ENVIRONMENT = { HOME: '/home/you', GIVEN: 'from outside', EMPTY: '' };

/** What a shell makes of the file, variable by variable. */
function sourced(text: string): Map<string, string> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'forge-dotenv-'));
  try {
    const file = path.join(folder, '.env');
    writeFileSync(file, text);
    const script = 'set -aeu; source "$1"; set +a; env -0';
    const output = execFileSync('bash', ['--norc', '-c', script, 'bash', file], {
      env: { ...ENVIRONMENT, PATH: process.env['PATH'] },
      encoding: 'utf8',
      timeout: 10_000,
    });
    const entries = output.split('\0').map((line) => line.split('=') as [string, ...string[]]);
    const own = entries.filter(([name]) => /^V\d+$/.test(name));
    return new Map(own.map(([name, ...rest]) => [name, rest.join('=')]));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const SAME_AS_SHELL = [
  'V0=plain',
  'V1=',
  'V2="with blanks"',
  "V3='single $GIVEN \\ \"'",
  'V4="a \\" b \\$ c \\\\ d \\n \\` e"',
  'export V5=exported',
  '  V6=indented   # a comment',
  'V7=no#comment',
  'V8="#no comment" # but this',
  'V9=$GIVEN',
  'V10="${GIVEN}/x"',
  'V11=${MISSING:-default}',
  'V12=${EMPTY:-default}',
  'V13=${EMPTY-default}',
  'V14=two\' parts\'" of one"',
  'V15=a\\ b\\#c',
  'V16="over\ntwo lines"',
  "V17='over\ntwo lines'",
  'V18=cut\\\noff',
  'V19="cut\\\noff"',
  'V20=first',
  'V20=second',
  'V21=~/folder',
  'V22="~/folder"',
  'V23=s3://bucket/path?x=1',
  'V24="0 * * * *"',
  'V25=$V2-$V23',
  'V26=p@ss!w%rd*[x]{y}',
  'V27="ends with $"',
  'V28=$',
  'V29=a$/b',
  '',
  '# a comment with " and `',
  'V30=ümlaut→',
];

describe('a .env file', () => {
  it('is read as a shell reads it', () => {
    const text = `${SAME_AS_SHELL.join('\n')}\n`;
    const { values, problems } = parseDotenv(text, ENVIRONMENT);
    expect(problems).toEqual([]);
    expect(Object.fromEntries(values)).toEqual(Object.fromEntries(sourced(text)));
    expect(values.size).toBe(31);
  });

  it('is read as a shell reads it, whatever the passwords in quotes are', () => {
    const values = fc.array(
      fc.string({ unit: 'grapheme', maxLength: 12 }).filter((text) => !text.includes('\0')),
      {
        minLength: 40,
        maxLength: 40,
      },
    );
    fc.assert(
      fc.property(values, (texts) => {
        const text = texts
          .map((value, index) =>
            index % 2 === 0
              ? `V${index}='${value.replaceAll("'", `'"'"'`)}'`
              : `V${index}="${value.replaceAll(/["$`\\]/g, '\\$&')}"`,
          )
          .join('\n');
        const parsed = parseDotenv(text);
        // A line end of another system is not part of a value here.
        const expected = Object.fromEntries(
          texts.map((value, index) => [`V${index}`, value.replaceAll('\r\n', '\n').replace(/^\ufeff/, '\ufeff')]),
        );
        expect(parsed.problems).toEqual([]);
        expect(Object.fromEntries(parsed.values)).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    ['V=$(cat /etc/passwd)', 'command'],
    ['V="`id`"', 'command'],
    ['V=one two', 'needs quotes'],
    ['V=one;rm', 'quote it'],
    ['V="never closed', 'not closed'],
    ["V='never closed", 'not closed'],
    ['V=abc$missing', '$missing is not set'],
    ['V=${missing}', '$missing is not set'],
    ['V=$1', 'only variables'],
    ['V = spaced', 'no assignment'],
    ['just words', 'no assignment'],
    ['1V=x', 'no assignment'],
  ])('is read but for the line %s, which is told without its value', (line, words) => {
    const { values, problems } = parseDotenv(`BEFORE=1\n${line}\nAFTER=2\n`);
    expect(Object.fromEntries(values)).toEqual({ BEFORE: '1', AFTER: '2' });
    expect(problems).toEqual([expect.objectContaining({ line: 2, message: expect.stringContaining(words) })]);
    expect(problems[0]?.message).not.toMatch(/one|abc|never|spaced/);
  });

  it('of another system is read the same, and an empty one too', () => {
    expect(Object.fromEntries(parseDotenv('\ufeffA=1\r\nB="2"\r\n').values)).toEqual({ A: '1', B: '2' });
    expect(parseDotenv('').values.size).toBe(0);
  });

  it('ends the reading, whatever it holds', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'A=\'"$\\`{}:-\n #~(x)'), maxLength: 60 }), (text) => {
        const { values, problems } = parseDotenv(text);
        expect(values.size + problems.length).toBeLessThanOrEqual(text.split('\n').length);
      }),
      { numRuns: 2_000 },
    );
  });
});
