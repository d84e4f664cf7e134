import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withLock } from '../../../scripts/support/lock.js';

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'redisforge-lock-'));
  file = path.join(folder, 'below', 'work.lock');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('the lock', () => {
  it('lets one work at a time', async () => {
    let inside = 0;
    let most = 0;
    const work = async () => {
      inside += 1;
      most = Math.max(most, inside);
      await sleep(20);
      inside -= 1;
    };
    await Promise.all([withLock(file, work), withLock(file, work), withLock(file, work)]);
    expect(most).toBe(1);
  });

  it('is given back after the work, also when the work fails', async () => {
    await expect(withLock(file, () => Promise.reject(new Error('x')))).rejects.toThrow('x');
    expect(existsSync(file)).toBe(false);
    expect(await withLock(file, async () => 7)).toBe(7);
  });

  it('is taken from a process that is gone', async () => {
    const { pid } = spawnSync(process.execPath, ['-e', '0']);
    await withLock(file, async () => {});
    writeFileSync(file, String(pid));
    expect(await withLock(file, async () => 'mine', { waitMs: 2_000 })).toBe('mine');
  });

  it('is waited for only so long, and the failure names the process', async () => {
    await withLock(file, async () => {
      const second = withLock(file, async () => {}, { waitMs: 200 });
      await expect(second).rejects.toMatchObject({
        exitCode: 6,
        message: expect.stringContaining(String(process.pid)),
      });
    });
  });
});
