import { spawn } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  linkSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RotateRequest, rotateLogs } from '../../../src/logs/rotate.js';
import { forge, startForge } from '../../support/forge.js';
import { startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, startRedis } from '../../support/redis.js';

const WAIT_MS = 20_000;
const MANY = 99;

let directory: string;
let cleanUp: (() => unknown)[];

beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-logs-'));
  cleanUp = [() => rm(directory, { recursive: true, force: true })];
});
afterEach(async () => {
  for (const clean of cleanUp.reverse()) await clean();
});

const file = (name: string) => path.join(directory, name);
const rotate = (more: Partial<RotateRequest> = {}) =>
  rotateLogs(
    { directory, bytes: 1, count: MANY, patterns: ['*.log'], dryRun: false, ...more },
    new AbortController().signal,
  );

/** All that a log and the logs that it was hold, oldest first. */
function wholeLog(base: string): string {
  const rotated = readdirSync(directory)
    .flatMap((name) => {
      const match = /^(.+)\.([0-9]+)(\.gz)?$/.exec(name);
      return match?.[1] === base ? [{ name, number: Number(match[2]) }] : [];
    })
    .sort((one, other) => other.number - one.number);
  const texts = rotated.map(({ name }) => {
    const bytes = readFileSync(file(name));
    return (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  });
  return [...texts, readFileSync(file(base), 'utf8')].join('');
}

const numbersIn = (base: string) => [...wholeLog(base).matchAll(/line (\d+)\b/g)].map(([, number]) => Number(number));
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

describe('logs that are rotated', () => {
  it('of Redis lose no line while it writes', async () => {
    const redis = await startRedis({ args: ['--logfile', file('redis.log')] });
    cleanUp.push(() => redis.stop());
    let written = 0;
    for (let round = 0; round < 8; round++) {
      const writing = (async () => {
        for (let i = 0; i < 50; i++) {
          await redis.call('EVAL', `redis.log(redis.LOG_WARNING, 'line ${written++}')`, 0);
        }
      })();
      const [{ logs }] = await Promise.all([rotate(), writing]);
      expect(logs.map(({ left }) => left)).toEqual([undefined]);
    }
    expect(numbersIn('redis.log')).toEqual(upTo(written));
    expect(readdirSync(directory).filter((name) => !/^redis\.log(\.\d+\.gz)?$/.test(name))).toEqual([]);
  });

  it('of the proxy lose no line: it opens its log anew', async () => {
    const redis = await startRedis();
    cleanUp.push(() => redis.stop());
    const proxy = await startProxy({
      config: {
        clusters: [{ name: 'one', type: 'sharded', endpoints: [redis.address] }],
        listeners: [{ name: 'redis', cluster: 'one' }],
        access_log: { path: file('access.log'), include_keys: true, format: 'text' },
      },
      until: 'listening',
    });
    cleanUp.push(() => proxy.stop());
    const client = await RawClient.connect({ port: proxy.port });
    let written = 0;
    for (let round = 0; round < 5; round++) {
      const asking = (async () => {
        for (let i = 0; i < 100; i++) await client.call('SET', `line ${written++} `, 'x');
      })();
      await Promise.all([rotate(), asking]);
    }
    await poll('all is written', WAIT_MS, async () => numbersIn('access.log').length === written);
    expect(numbersIn('access.log')).toEqual(upTo(written));
    await client.call('GET', 'of the last log');
    expect((await rotate()).logs.map(({ left }) => left)).toEqual([undefined]);
    client.close();
  });

  it('are copied and emptied where a program goes on in the same file', async () => {
    const script = 'i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done; echo done; read forever';
    const writer = spawn('/bin/sh', ['-c', `exec >> "$0"; ${script}`, file('other.log')], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    cleanUp.push(() => writer.kill('SIGKILL'));
    await poll(
      'it writes',
      WAIT_MS,
      async () => (statSync(file('other.log'), { throwIfNoEntry: false })?.size ?? 0) > 0,
    );
    const { ino } = statSync(file('other.log'));
    const [first] = (await rotate()).logs;
    expect(first?.left).toBeUndefined();
    await poll('it is done', WAIT_MS, async () => wholeLog('other.log').includes('done'));
    expect(statSync(file('other.log')).ino).toBe(ino);
    // Whole lines, in their order, none twice; the microseconds before it was emptied may have cost some.
    const numbers = numbersIn('other.log');
    expect(numbers).toEqual([...new Set(numbers)].sort((one, next) => one - next));
    expect(numbers.length).toBeGreaterThan(2_500);
  });

  it('stay as they are where emptying them would tear a hole', async () => {
    const writer = spawn('/bin/sh', ['-c', 'exec > "$0"; echo "line 0"; read forever', file('placed.log')], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    cleanUp.push(() => writer.kill('SIGKILL'));
    writeFileSync(file('free.log'), 'line 0\n');
    await poll(
      'it writes',
      WAIT_MS,
      async () => (statSync(file('placed.log'), { throwIfNoEntry: false })?.size ?? 0) > 0,
    );
    const { code, stdout, stderr } = await forge(['rotate-logs', directory, '0.000001', '3']);
    expect(code, stderr).toBe(8);
    expect(stderr).toContain(`(process ${writer.pid}) writes to its own place in placed.log`);
    expect(stdout).toContain('1 of 2 logs rotated');
    expect(readdirSync(directory).sort()).toEqual(['free.log', 'free.log.1.gz', 'placed.log']);
    writeFileSync(file('placed.log.1'), 'an older one');
    expect((await rotate()).logs.at(-1)?.steps).toEqual(['compress placed.log.1 to placed.log.1.gz']);
  });

  it('keep mode and time, and stay so many', async () => {
    for (let round = 0; round < 5; round++) {
      appendFileSync(file('a.log'), `line ${round}\n`);
      chmodSync(file('a.log'), 0o640);
      expect((await rotate({ count: 3 })).logs[0]?.rotated).toBe(true);
    }
    expect(readdirSync(directory).sort()).toEqual(['a.log', 'a.log.1.gz', 'a.log.2.gz', 'a.log.3.gz']);
    for (const name of readdirSync(directory)) expect(statSync(file(name)).mode & 0o777, name).toBe(0o640);
    expect(numbersIn('a.log')).toEqual([2, 3, 4]);
    const now = statSync(file('a.log.1.gz')).mtimeMs + 3_600_000;
    appendFileSync(file('a.log'), 'line 5\n');
    const late = { bytes: 1_000_000, ageMs: 3_600_000 };
    expect((await rotate({ ...late, now: () => now - 1 })).logs[0]?.rotated).toBe(false);
    expect((await rotate({ ...late, now: () => now })).logs[0]?.rotated).toBe(true);
  });

  it('are regular files of the names that were asked for: links and others are not touched', async () => {
    for (const name of ['real.log', 'notes.txt', 'elsewhere']) writeFileSync(file(name), 'line 0\n');
    symlinkSync(file('elsewhere'), file('link.log'));
    linkSync(file('notes.txt'), file('hard.log'));
    const before = readdirSync(directory).sort();
    const planned = await forge(['rotate-logs', directory, '0.000001', '3', '--dry-run']);
    expect(planned.code, planned.stderr).toBe(0);
    expect(planned.stdout).toContain('rotate real.log to real.log.1');
    expect(readdirSync(directory).sort()).toEqual(before);
    const { logs } = await rotate();
    expect(logs.map(({ log }) => log)).toEqual(['real.log']);
    expect(readdirSync(directory).sort()).toEqual([...before, 'real.log.1.gz'].sort());
    expect(readFileSync(file('elsewhere'), 'utf8')).toBe('line 0\n');
    expect(statSync(file('hard.log')).nlink).toBe(2);
  });

  it('lose nothing when the run is killed, again and again', { timeout: 120_000 }, async () => {
    let written = 0;
    const write = () => {
      let text = '';
      for (let i = 0; i < 40_000; i++) text += `line ${written++} of something that is said often\n`;
      appendFileSync(file('a.log'), text);
    };
    write();
    const begun = performance.now();
    const argv = ['rotate-logs', directory, '1', String(MANY)];
    expect((await forge(argv)).code).toBe(0);
    const wholeMs = performance.now() - begun;
    let killed = 0;
    for (let round = 0; round < 8; round++) {
      write();
      const { child, ended } = startForge(argv);
      // From the moment on in which a program of this size has begun its work.
      const timer = setTimeout(() => child.kill('SIGKILL'), wholeMs * (0.4 + 0.07 * round));
      if ((await ended).signal === 'SIGKILL') killed++;
      clearTimeout(timer);
      expect(readdirSync(directory)).toContain('a.log');
    }
    const last = await forge(argv);
    expect(last.code, last.stderr).toBe(0);
    expect(killed).toBeGreaterThan(2);
    const numbers = numbersIn('a.log');
    expect(numbers.length).toBe(written);
    expect(numbers.every((number, index) => number === index)).toBe(true);
    expect(readdirSync(directory).filter((name) => !/^a\.log(\.\d+\.gz)?$/.test(name))).toEqual([]);
  });

  it('finish what a killed run has left between two steps', async () => {
    writeFileSync(file('a.log'), 'line 3\n');
    writeFileSync(file('a.log.1.gz.forge-part'), 'torn');
    // Emptied, and not named yet: the only copy.
    writeFileSync(file('a.log.1.forge-part'), 'line 2\n');
    expect((await rotate({ bytes: 1_000 })).logs[0]?.left).toBeUndefined();
    expect(numbersIn('a.log')).toEqual([2, 3]);
    // Compressed, and the plain one not removed yet; and one that is torn.
    writeFileSync(file('a.log.1'), 'line 2\n');
    writeFileSync(file('a.log.2'), 'line 1\n');
    writeFileSync(file('a.log.2.gz'), readFileSync(file('a.log.1.gz')).subarray(0, 12));
    // Copied, and not emptied yet.
    writeFileSync(file('b.log'), 'line 0\nline 1\n');
    writeFileSync(file('b.log.1.forge-part'), 'line 0\n');
    await rotate({ bytes: 1_000 });
    expect(numbersIn('a.log')).toEqual([1, 2, 3]);
    expect(numbersIn('b.log')).toEqual([0, 1]);
    expect(readdirSync(directory).sort()).toEqual(['a.log', 'a.log.1.gz', 'a.log.2.gz', 'b.log']);
  });

  it('are rotated by one run at a time, with words for what is wrong', async () => {
    writeFileSync(file('a.log'), 'line 0\n');
    const outcomes = await Promise.allSettled([rotate(), rotate(), rotate()]);
    const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason.kind] : []));
    expect(refused).toEqual(refused.map(() => 'locked'));
    expect(numbersIn('a.log')).toEqual([0]);
    const codes = async (...argv: string[]) => (await forge(['rotate-logs', ...argv])).code;
    expect(await codes(file('nothing'), '1', '3')).toBe(2);
    expect(await codes(file('a.log'), '1', '3')).toBe(2);
    expect(await codes(directory, 'much', '3')).toBe(2);
    expect(await codes(directory, '1', '0')).toBe(2);
  });
});
