import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type ErrorKind, EXIT_CODES, ForgeError } from '../../../src/errors.js';

const page = readFileSync(new URL('../../../docs/exit-codes.md', import.meta.url), 'utf8');

function documented(): Record<string, number> {
  const rows = page.matchAll(/^\| (\d+) \| `([\w-]+)` \| (.+?) \|/gm);
  return Object.fromEntries([...rows].map(([, code, kind]) => [kind, Number(code)]));
}

describe('exit codes', () => {
  it('are documented in one table that equals the code', () => {
    expect(documented()).toEqual(EXIT_CODES);
  });

  it('differ from each other and fit into a byte', () => {
    const codes = Object.values(EXIT_CODES);
    expect(new Set(codes).size).toBe(codes.length);
    for (const code of codes) expect(code).toBeLessThan(256);
  });

  it('follow the shell for signals: 128 plus the number of the signal', () => {
    expect(EXIT_CODES['hung-up']).toBe(128 + 1);
    expect(EXIT_CODES.interrupted).toBe(128 + 2);
    expect(EXIT_CODES.terminated).toBe(128 + 15);
  });
});

describe('ForgeError', () => {
  it('has the exit code of its kind', () => {
    for (const [kind, code] of Object.entries(EXIT_CODES)) {
      if (kind !== 'done') expect(new ForgeError(kind as ErrorKind, 'x').exitCode).toBe(code);
    }
  });

  it('becomes JSON without empty members and without its cause', () => {
    const error = new ForgeError('unreachable', 'No answer.', {
      host: 'a:1',
      next: 'Start it.',
      cause: new Error('s'),
    });
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      kind: 'unreachable',
      exitCode: 4,
      message: 'No answer.',
      host: 'a:1',
      next: ['Start it.'],
    });
    expect(JSON.parse(JSON.stringify(new ForgeError('usage', 'Bad.')))).toEqual({
      kind: 'usage',
      exitCode: 2,
      message: 'Bad.',
    });
  });
});
