import { describe, expect, it } from 'vitest';
import { Output } from '../../../src/ui/output.js';
import { capture } from './capture.js';

function write(options: { json?: boolean; quiet?: boolean }) {
  const stdout = capture();
  const stderr = capture();
  const output = new Output({ ...options, stdout, stderr, environment: {} });
  output.data('data');
  output.message('message');
  output.warning('careful');
  return { stdout: stdout.text, stderr: stderr.text };
}

describe('output', () => {
  it('puts data on standard output and everything else on standard error', () => {
    expect(write({})).toEqual({ stdout: 'data\n', stderr: 'message\nWarning: careful\n' });
  });

  it('keeps data and warnings with --quiet', () => {
    expect(write({ quiet: true })).toEqual({ stdout: 'data\n', stderr: 'Warning: careful\n' });
  });

  it('leaves standard output to the document with --json', () => {
    expect(write({ json: true })).toEqual({ stdout: '', stderr: 'Warning: careful\n' });
  });

  it('draws only on a terminal that has columns, and neither with --json nor with --quiet', () => {
    const terminal = { ...capture(true), columns: 80 };
    expect(new Output({ stderr: terminal }).interactive).toBe(true);
    expect(new Output({ stderr: { ...terminal, columns: 0 } }).interactive).toBe(false);
    expect(new Output({ stderr: capture() }).interactive).toBe(false);
    expect(new Output({ stderr: terminal, json: true }).interactive).toBe(false);
    expect(new Output({ stderr: terminal, quiet: true }).interactive).toBe(false);
  });

  it('assumes 80 columns where there is no terminal', () => {
    expect(new Output({ stdout: capture() }).columns).toBe(80);
    expect(new Output({ stdout: { ...capture(true), columns: 120 } }).columns).toBe(120);
  });
});
