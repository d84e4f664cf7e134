import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readText } from '../../../../src/proxy/server/read-file.js';

let dir: string;
const at = (name: string) => path.join(dir, name);

beforeAll(() => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'forge-read-'));
  writeFileSync(at('whole'), 'é'.repeat(50_000));
  writeFileSync(at('large'), '');
  truncateSync(at('large'), 1024 ** 3);
  execFileSync('mkfifo', [at('pipe')]);
  symlinkSync('loop', at('loop'));
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('a file that an operator names', () => {
  it('is read as a whole, up to its bound', () => {
    expect(readText(at('whole'), 100_000)).toBe('é'.repeat(50_000));
    expect(readText(at('whole'), 99_999)).toBeNull();
    expect(readText(at('large'), 100_000)).toBeNull();
    // It has no size of its own.
    expect(readText('/proc/self/status', 100_000)).toContain('VmRSS');
    expect(readText('/dev/zero', 100_000)).toBeNull();
  });

  it('is waited for in no case', () => {
    expect(() => readText(at('pipe'), 100)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    expect(() => readText(dir, 100)).toThrow(expect.objectContaining({ code: 'EISDIR' }));
    expect(() => readText(at('loop'), 100)).toThrow(expect.objectContaining({ code: 'ELOOP' }));
    expect(() => readText(at('none'), 100)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  });
});
