import { Errors } from '@oclif/core';
import { describe, expect, it } from 'vitest';
import { ForgeError } from '../../../src/errors.js';
import { createColors } from '../../../src/ui/colors.js';
import { asksForJson, formatFailure, reportFailure, toForgeError, wantsDebug } from '../../../src/ui/failure.js';
import { capture } from './capture.js';

const plain = createColors(false);

describe('a failure', () => {
  it('says what failed, where, and what to do next, without a stack', () => {
    const error = new ForgeError('unreachable', 'No answer in 5 s.', {
      host: '10.0.0.7:6379',
      next: ['Start it.', 'Or wait.'],
    });
    expect(formatFailure(error, plain)).toBe(
      'Error: No answer in 5 s.\n  at 10.0.0.7:6379\n  → Start it.\n  → Or wait.',
    );
  });

  it('does not repeat a host that the message names', () => {
    const error = new ForgeError('unreachable', 'No answer from a:1.', { host: 'a:1' });
    expect(formatFailure(error, plain)).toBe('Error: No answer from a:1.');
  });

  it('shows stacks and causes to whoever debugs, and survives a circle of causes', () => {
    const cause: Error & { cause?: unknown } = new Error('below');
    cause.cause = cause;
    const text = formatFailure(new ForgeError('timeout', 'Too slow.', { cause }), plain, true);
    expect(text).toContain('Caused by: Error: below');
    expect(wantsDebug({ DEBUG: 'forge' })).toBe(true);
    expect(wantsDebug({ DEBUG: 'other,*' })).toBe(true);
    expect(wantsDebug({ DEBUG: 'forgery' })).toBe(false);
  });

  it('of the command line is of the kind usage', () => {
    expect(toForgeError(new Errors.CLIError('Nonexistent flag: --nope'))).toMatchObject({ kind: 'usage', exitCode: 2 });
    expect(toForgeError(new Errors.CLIError('command proxy:nope not found')).message).toBe(
      'Unknown command: proxy nope',
    );
  });

  it('that nobody foresaw is of the kind unexpected, whatever was thrown', () => {
    for (const thrown of [new TypeError('x'), 'text', undefined, null, 7]) {
      expect(toForgeError(thrown)).toMatchObject({ kind: 'unexpected', exitCode: 1 });
    }
  });

  it('is one document with --json, and nothing on standard error', () => {
    const stdout = capture();
    const stderr = capture();
    const exitCode = reportFailure(new ForgeError('locked', 'Held.'), { json: true, stdout, stderr, environment: {} });
    expect(exitCode).toBe(6);
    expect(JSON.parse(stdout.text)).toEqual({ error: { kind: 'locked', exitCode: 6, message: 'Held.' } });
    expect(stderr.text).toBe('');
  });

  it('of a flag with a wrong value is one line that names the flag', () => {
    const thrown = new Errors.CLIError(
      'Parsing --slots \n\tExpected an integer but received: x\nSee more help with --help',
    );
    expect(toForgeError(thrown)).toMatchObject({
      kind: 'usage',
      message: '--slots: expected an integer but received: x',
    });
  });

  it('is not reported when oclif only leaves', () => {
    const stderr = capture();
    expect(reportFailure(new Errors.ExitError(0), { json: false, stderr })).toBe(0);
    expect(stderr.text).toBe('');
  });

  it('is JSON when --json comes before any --', () => {
    expect(asksForJson(['up', '--json'])).toBe(true);
    expect(asksForJson(['up', '--', '--json'])).toBe(false);
  });
});
