import { spawn } from 'node:child_process';
import { once } from 'node:events';
import os from 'node:os';
import { afterAll, describe, expect, it } from 'vitest';
import { isAtWork } from '../../../src/operations/unfinished.js';

const HOUR_MS = 3_600_000;

describe('whether an operation is still at work', () => {
  // A real process: what is asked is the kernel.
  const sleeper = spawn('sleep', ['60']);
  afterAll(async () => {
    if (sleeper.exitCode !== null || sleeper.signalCode !== null) return;
    sleeper.kill('SIGKILL');
    await once(sleeper, 'exit');
  });

  const of = (changes: { pid?: number; host?: string; startedAtMs?: number; failed?: boolean } = {}) => ({
    lastRun: {
      operator: { user: 'ops', host: changes.host ?? os.hostname(), pid: changes.pid ?? (sleeper.pid as number) },
      startedAt: new Date(changes.startedAtMs ?? Date.now()).toISOString(),
    },
    ...(changes.failed ? { failure: { kind: 'refused', message: 'the target is full' } } : {}),
  });

  it('is when its process is there', async () => {
    expect(await isAtWork(of())).toBe(true);
  });

  it('is not when its process has given up', async () => {
    expect(await isAtWork(of({ failed: true }))).toBe(false);
  });

  it('is not when another process has got its number since', async () => {
    expect(await isAtWork(of({ startedAtMs: Date.now() - HOUR_MS }))).toBe(false);
  });

  it('is not known of another host', async () => {
    expect(await isAtWork(of({ host: 'elsewhere.example' }))).toBe(false);
  });

  it('is not when it was this very process, which goes on with it', async () => {
    expect(await isAtWork(of({ pid: process.pid }))).toBe(false);
  });

  it('is not when its process has ended', async () => {
    sleeper.kill('SIGKILL');
    await once(sleeper, 'exit');
    expect(await isAtWork(of())).toBe(false);
  });
});
