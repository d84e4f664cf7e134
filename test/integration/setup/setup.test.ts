import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, cpSync, existsSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT, repositoryFiles } from '../../support/repository.js';
import { FULL } from '../../support/servers.js';

const LIMIT_MS = 120_000;
const COPIED = /^(src|bin|scripts|templates)\/|^(package(-lock)?|tsconfig(\.\w+)?)\.json$/;

/** A checkout that was never built. Its packages are this checkout's. */
const checkout = mkdtempSync(path.join(os.tmpdir(), 'redisforge-checkout-'));

beforeAll(() => {
  for (const file of repositoryFiles().filter((name) => COPIED.test(name) && existsSync(path.join(ROOT, name)))) {
    cpSync(path.join(ROOT, file), path.join(checkout, file));
  }
  symlinkSync(path.join(ROOT, 'node_modules'), path.join(checkout, 'node_modules'));
});

afterAll(() => rmSync(checkout, { recursive: true, force: true }));

interface Run {
  child: ChildProcess;
  ended: Promise<{ code: number | null; text: string; ms: number }>;
}

function start(args: string[]): Run {
  const started = performance.now();
  const child = spawn(process.execPath, [path.join(checkout, 'bin/setup.js'), ...args], {
    cwd: checkout,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LIMIT_MS,
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (more) => {
      text += more;
    });
  }
  const ended = new Promise<{ code: number | null; text: string; ms: number }>((resolve) => {
    child.once('close', (code) => resolve({ code, text, ms: performance.now() - started }));
  });
  return { child, ended };
}

const setup = (...args: string[]) => start(args).ended;
const edit = (file: string) => appendFileSync(path.join(checkout, file), '\n// edited\n');
const time = (file: string) => statSync(path.join(checkout, file)).mtimeMs;

/** Waits until a build is at work in the checkout: it holds the lock. */
async function buildStarted(): Promise<void> {
  for (let waited = 0; waited < 20_000; waited += 20) {
    if (existsSync(path.join(checkout, '.cache/build.lock'))) return;
    await sleep(20);
  }
  throw new Error('no build began within 20 s');
}

describe('bin/setup.js', () => {
  it('builds a checkout that was never built, once when two of them run at the same time', async () => {
    const [first, second] = await Promise.all([setup('--redis'), setup('--redis')]);
    expect([first.code, second.code], `${first.text}\n${second.text}`).toEqual([0, 0]);
    for (const file of ['dist/main.js', 'bin/forge-proxy', 'oclif.manifest.json']) {
      expect(existsSync(path.join(checkout, file)), file).toBe(true);
    }
    expect(`${first.text}${second.text}`.match(/the proxy built/g)).toHaveLength(1);
  });

  it('says one line and takes less than a second when there is nothing to do; nothing with --quiet', async () => {
    const runs = [await setup('--redis'), await setup('--redis'), await setup('--redis')];
    expect(runs.map(({ code, text }) => [code, text])).toEqual(runs.map(() => [0, 'setup: everything is in place\n']));
    expect(Math.min(...runs.map(({ ms }) => ms))).toBeLessThan(1_000);
    expect((await setup('--redis', '--quiet')).text).toBe('');
  });

  it('does not build the proxy again for an edit of the command line', async () => {
    const before = time('bin/forge-proxy');
    edit('src/main.ts');
    expect((await setup()).text).toContain('the command line built');
    expect(time('bin/forge-proxy')).toBe(before);
  });

  it('does not build the command line again for an edit of the proxy', async () => {
    const before = time('dist/main.js');
    edit('src/proxy/server/main.ts');
    expect((await setup()).text).toContain('the proxy built');
    expect(time('dist/main.js')).toBe(before);
  });

  it.each(FULL ? (['SIGKILL', 'SIGTERM'] as const) : (['SIGKILL'] as const))(
    'finishes the work when the run before was ended by %s',
    async (signal) => {
      edit('src/main.ts');
      edit('src/proxy/server/main.ts');
      const { child, ended } = start([]);
      await buildStarted();
      child.kill(signal);
      expect((await ended).code).toBe(signal === 'SIGTERM' ? 143 : null);
      const { code, text } = await setup();
      expect(code, text).toBe(0);
      expect((await setup()).text).toContain('everything is in place');
      // A lock that a killed run left behind holds nobody up.
      edit('src/main.ts');
      expect((await setup()).text).toContain('the command line built');
    },
  );

  it('refuses an unknown flag with exit code 2', async () => {
    expect(await setup('--nope')).toMatchObject({ code: 2, text: expect.stringContaining('Usage:') });
  });
});
