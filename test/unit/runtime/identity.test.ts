import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import {
  identifyProcess,
  isAlive,
  parseStat,
  residentBytes,
  signalProcess,
  startedAtMs,
} from '../../../src/runtime/process/identity.js';

async function startSleeper() {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  await once(child, 'spawn');
  return child;
}

describe('parseStat', () => {
  const fields = 'S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21';

  it('finds the start time behind the name', () => {
    expect(parseStat(`17 (redis-server) ${fields}`)).toEqual({ state: 'S', startTicks: '4242' });
  });

  it('is not misled by a name with blanks and parentheses', () => {
    expect(parseStat(`17 (a) R 9 (b) ) ${fields}`)).toEqual({ state: 'S', startTicks: '4242' });
  });

  it.each(['', '17', '17 (x)', '17 (x) S 1 2'])('gives nothing for a text that is no stat: %j', (text) => {
    expect(parseStat(text)).toBeUndefined();
  });
});

describe('the identity of a process', () => {
  it('is the same at every look, and alive while the process is', async () => {
    const child = await startSleeper();
    try {
      const identity = await identifyProcess(child.pid as number);
      expect(identity).toEqual(await identifyProcess(child.pid as number));
      expect(await isAlive(identity!)).toBe(true);
      const ended = once(child, 'exit');
      expect(await signalProcess(identity!, 'SIGTERM')).toBe(true);
      await ended;
      expect(await isAlive(identity!)).toBe(false);
      expect(await identifyProcess(child.pid as number)).toBeUndefined();
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('does not fit another process that has the same number', async () => {
    const child = await startSleeper();
    try {
      const identity = await identifyProcess(child.pid as number);
      const earlier = {
        pid: identity!.pid,
        start: identity!.start.replace(/\d$/, (digit) => `${(Number(digit) + 1) % 10}`),
      };
      expect(await isAlive(earlier)).toBe(false);
      expect(await signalProcess(earlier, 'SIGKILL')).toBe(false);
      expect(child.exitCode ?? child.signalCode).toBeNull();
    } finally {
      child.kill('SIGKILL');
    }
  });

  it.each([0, -1, 1.5, Number.NaN, 2 ** 31])('does not exist for the number %s', async (pid) => {
    expect(await identifyProcess(pid)).toBeUndefined();
  });
});

describe('what the system tells about a process', () => {
  it('has its start within two seconds of the truth', async () => {
    const started = await startedAtMs(process.pid);
    expect(Math.abs(started! - (Date.now() - process.uptime() * 1000))).toBeLessThan(2_500);
  });

  it('has its resident memory', async () => {
    const bytes = await residentBytes(process.pid);
    expect(bytes).toBeGreaterThan(10_000_000);
    expect(bytes).toBeLessThan(10_000_000_000);
  });
});
