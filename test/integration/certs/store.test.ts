import { execFile, spawn } from 'node:child_process';
import { chmod, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import type { FileChange } from '../../../src/certs/store.js';
import { ROOT } from '../../support/repository.js';
import { contents, genCerts, removeScratchAfterAll, request, scratch } from './folder.js';

removeScratchAfterAll();

/** After how many calls to the disk the process is dead: no later call does anything, not even those that clean up. */
const death = vi.hoisted(() => ({ after: Number.POSITIVE_INFINITY, calls: 0 }));

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const mortal = Object.fromEntries(
    (['mkdir', 'open', 'rename', 'rm', 'rmdir', 'link', 'readdir', 'readFile'] as const).map((name) => [
      name,
      (...args: unknown[]) => {
        if (++death.calls > death.after) return Promise.reject(new Error('dead'));
        return (real[name] as (...all: unknown[]) => Promise<unknown>)(...args);
      },
    ]),
  );
  return { ...real, ...mortal, default: { ...real, ...mortal } };
});

// Anew, with the disk above: another test file of this worker may have read them before.
vi.resetModules();
const { checkCertificates } = await import('../../../src/certs/check.js');
const { createCertificates, renewCertificates } = await import('../../../src/certs/generate.js');
const { rotateAuthority } = await import('../../../src/certs/rotate.js');
const { createFolder, STAGING, withFolder } = await import('../../../src/certs/store.js');

const run = promisify(execFile);
const STEPS_MAX = 200;

/** Runs `work` once for each call to the disk after which it dies, until it lives. */
async function dieEverywhere(
  work: (step: number) => Promise<() => Promise<void>>,
  after: (died: boolean, step: number) => Promise<void>,
) {
  for (let step = 0; step < STEPS_MAX; step++) {
    const attempt = await work(step);
    death.calls = 0;
    death.after = step;
    const died = await attempt().then(
      () => false,
      () => true,
    );
    death.after = Number.POSITIVE_INFINITY;
    await after(died, step);
    if (!died && death.calls <= step) return step;
  }
  throw new Error('it never lived');
}

const file = (name: string, content: string): FileChange => ({ file: name, content, mode: 0o600 });
const OLD = { 'ca.crt': 'old', 'nodes/a/server.key': 'old key', 'nodes/b/server.key': 'goes away' };
const NEW = { 'ca.crt': 'new', 'nodes/a/server.key': 'new key', 'nodes/c/server.key': 'comes' };
const CHANGES = [
  ...Object.entries(NEW).map(([name, content]) => file(name, content)),
  { file: 'nodes/b/server.key', mode: 0 },
];

async function visible(directory: string): Promise<Record<string, string>> {
  const all = await contents(directory);
  return Object.fromEntries(Object.entries(all).filter(([name]) => !name.startsWith('.')));
}

describe('a run that is killed at any call to the disk', () => {
  it('leaves no folder or a whole one where there was none, and the next one works', async () => {
    const parent = await scratch();
    const directory = path.join(parent, 'certs');
    const steps = await dieEverywhere(
      async () => {
        await rm(directory, { recursive: true, force: true });
        return () => createFolder(directory, CHANGES.slice(0, 3));
      },
      async () => {
        const there = await stat(directory).catch(() => undefined);
        if (there !== undefined) return expect(await contents(directory)).toEqual(NEW);
        // What it left beside is its own, and this process lives: as if another had died, it is renamed to a dead one's.
        for (const name of await readdir(parent)) {
          const { rename } = await vi.importActual<typeof import('node:fs/promises')>('node:fs/promises');
          await rename(path.join(parent, name), path.join(parent, name.replace(/\.\d+\.[^.]*$/, '.4194304.gone')));
        }
        await createFolder(directory, [file('ca.crt', 'next')]);
        expect(await readdir(parent)).toEqual(['certs']);
      },
    );
    expect(steps).toBeGreaterThan(10);
  });

  it('leaves the old files or, after the next run, the new ones; never some of both', async () => {
    const directory = path.join(await scratch(), 'certs');
    const outcomes = new Set<string>();
    const steps = await dieEverywhere(
      async () => {
        await rm(directory, { recursive: true, force: true });
        await createFolder(
          directory,
          Object.entries(OLD).map(([name, content]) => file(name, content)),
        );
        return () => withFolder(directory, (folder) => folder.apply('test', CHANGES));
      },
      async () => {
        // Its lock names this process, which lives on.
        await rm(path.join(directory, '.gen-certs.lock'), { force: true });
        let finished: string | undefined;
        const before = await visible(directory);
        await withFolder(directory, async (folder) => {
          finished = folder.finished;
        });
        const now = await visible(directory);
        if (finished === undefined) {
          expect(now).toEqual(before);
          expect([OLD, NEW]).toContainEqual(now);
        } else expect(now).toEqual(NEW);
        outcomes.add(`${finished ?? 'nothing to finish'}: ${now['ca.crt']}`);
        expect((await readdir(directory)).filter((name) => name === STAGING || name === '.gen-certs.lock')).toEqual([]);
      },
    );
    expect(steps).toBeGreaterThan(20);
    expect([...outcomes].sort()).toEqual(['nothing to finish: new', 'nothing to finish: old', 'test: new']);
  });

  it('between two steps of a changed CA finishes its own step, and goes no further', async () => {
    const directory = path.join(await scratch(), 'certs');
    const options = request(directory, { clients: ['app'] });
    await createCertificates(options);
    const step = (name: 'rotate' | 'switch') => rotateAuthority({ ...options, step: name, newKeys: false });
    // It dies when it has decided, and before it has put anything in its place.
    await withFolder(directory, async (folder) => {
      death.calls = 0;
      death.after = 6;
      await folder.apply('rotate', [file('ca-next.crt', 'x')]).catch(() => {});
      death.after = Number.POSITIVE_INFINITY;
    });
    await rm(path.join(directory, 'ca-next.crt'), { force: true });
    await rm(path.join(directory, STAGING), { recursive: true, force: true });
    await step('rotate');
    // A decision that was not carried out: the files are moved back to where the next run looks for them.
    const fs = await vi.importActual<typeof import('node:fs/promises')>('node:fs/promises');
    await fs.mkdir(path.join(directory, STAGING, 'files'), { recursive: true });
    for (const name of ['ca-next.crt', 'ca-next.key']) {
      await fs.rename(path.join(directory, name), path.join(directory, STAGING, 'files', name));
    }
    const decision = { purpose: 'rotate', files: ['ca-next.crt', 'ca-next.key'], removed: [] };
    await fs.writeFile(path.join(directory, STAGING, 'decision.json'), JSON.stringify(decision));
    const look = await checkCertificates(directory, { nodes: [], warnDays: 0, failDays: 0 });
    expect(look.findings[0]?.reasons[0]?.text).toContain('a run was interrupted');
    expect((await genCerts(directory, ['--switch-ca', '--yes'])).code).toBe(5);
    const finished = await step('rotate');
    expect(finished.outcome).toBe('finished');
    expect(Object.keys(await contents(directory))).toContain('ca-next.key');
    expect(await step('rotate')).toMatchObject({ outcome: 'unchanged' });
    expect(await step('switch')).toMatchObject({ outcome: 'switched' });
  });
});

describe('a list of what to do', () => {
  it.each([
    ['leads out of the folder', JSON.stringify({ purpose: 'x', files: [], removed: ['../victim'] })],
    ['names a whole path', JSON.stringify({ purpose: 'x', files: ['/etc/passwd'], removed: [] })],
    ['is no list', '{'],
  ])('that %s is refused, and nothing is removed', async (_, text) => {
    const parent = await scratch();
    const directory = path.join(parent, 'certs');
    await mkdir(path.join(directory, STAGING), { recursive: true });
    await writeFile(path.join(parent, 'victim'), 'stays');
    await writeFile(path.join(directory, STAGING, 'decision.json'), text);
    await expect(withFolder(directory, async () => {})).rejects.toMatchObject({ kind: 'refused' });
    expect((await contents(parent))['victim']).toBe('stays');
  });
});

describe('two runs at a time', () => {
  it('are refused', async () => {
    const directory = path.join(await scratch(), 'certs');
    await createCertificates(request(directory, { clients: ['app'] }));
    await withFolder(directory, async () => {
      const { code, stderr } = await genCerts(directory, ['--renew']);
      expect([code, stderr]).toEqual([6, expect.stringMatching(/forge gen-certs \(process \d+\) is at work on /)]);
    });
    expect((await genCerts(directory, ['--renew'])).code).toBe(0);
  });

  it('that make the same folder come out with one whole set', async () => {
    const directory = path.join(await scratch(), 'certs');
    const codes = (await Promise.all([1, 2].map(() => genCerts(directory, ['--client', 'app'])))).map(
      ({ code }) => code,
    );
    expect(codes.sort()).toEqual([0, 5]);
    expect((await genCerts(directory, ['--check'])).code).toBe(0);
    expect(await readdir(path.dirname(directory))).toEqual(['certs']);
  });
});

describe('forge gen-certs that is killed', () => {
  it('leaves a whole folder or none, and the next run works', async () => {
    for (const afterMs of [400, 800, 1_300]) {
      const parent = await scratch();
      const directory = path.join(parent, 'certs');
      const child = spawn(
        process.execPath,
        [path.join(ROOT, 'bin/run.js'), 'gen-certs', directory, '--client', 'app'],
        {
          cwd: parent,
          stdio: 'ignore',
        },
      );
      const ended = new Promise((resolve) => child.once('close', resolve));
      await sleep(afterMs);
      child.kill('SIGKILL');
      await ended;
      const there = await stat(directory).catch(() => undefined);
      const next = await genCerts(directory, there === undefined ? ['--client', 'app'] : ['--renew']);
      expect([afterMs, next.code, next.stderr]).toEqual([afterMs, 0, '']);
      const check = await checkCertificates(directory, { nodes: [], warnDays: 0, failDays: 0 });
      expect(check.verdict).toBe('PASS');
      expect(await readdir(parent)).toEqual(['certs']);
    }
  });

  it('by Ctrl-C leaves nothing', async () => {
    const parent = await scratch();
    const clients = ['a', 'b', 'c', 'd', 'e', 'f'].flatMap((name) => ['--client', name]);
    const args = [path.join(ROOT, 'bin/run.js'), 'gen-certs', 'certs', '--bits', '4096', ...clients];
    for (const afterMs of [1_000, 2_000, 4_000, 8_000]) {
      const child = spawn(process.execPath, args, { cwd: parent, stdio: 'ignore' });
      const ended = new Promise((resolve) => child.once('close', resolve));
      await sleep(afterMs);
      child.kill('SIGINT');
      const code = await ended;
      expect(await readdir(parent)).toEqual([]);
      // Before the program listens, the signal ends it by itself.
      if (code === 130) return;
      expect(code).toBe(null);
    }
    throw new Error('it was never interrupted');
  });
});

describe('a disk that does not take it', () => {
  const renewAll = (directory: string) =>
    renewCertificates({ ...request(directory, {}), withinDays: 0, newKeys: true });

  it('because it is full changes nothing and says so', async () => {
    const directory = path.join(await scratch(), 'certs');
    const parent = path.dirname(directory);
    // A disk of 12 KB that only these processes see; where that is not allowed, a bound for each file does the same.
    const forge = `${process.execPath} ${path.join(ROOT, 'bin/run.js')} gen-certs`;
    const script = `mount -t tmpfs -o size=12k none ${parent} && ${forge} ${directory} --client app; code=$?; find ${parent} -mindepth 1; exit $code`;
    const mounted = await run('unshare', ['-rm', 'true']).then(
      () => true,
      () => false,
    );
    const full = mounted
      ? run('unshare', ['-rm', 'sh', '-c', script])
      : run('bash', [
          '-c',
          `ulimit -f 1; ${forge} ${directory} --client app; code=$?; find ${parent} -mindepth 1; exit $code`,
        ]);
    const { code, stdout, stderr } = await full.then(
      () => ({ code: 0, stdout: '', stderr: '' }),
      (error: { code: number; stdout: string; stderr: string }) => error,
    );
    expect(stderr).toContain('there is no space left');
    expect([code, stdout]).toEqual([5, '']);
  });

  it('because a file may not be as large keeps what was there before', async () => {
    const directory = path.join(await scratch(), 'certs');
    await createCertificates(request(directory, { clients: ['app'] }));
    const before = await contents(directory);
    const forge = `${process.execPath} ${path.join(ROOT, 'bin/run.js')} gen-certs ${directory} --renew --new-keys`;
    const failure = await run('bash', ['-c', `ulimit -f 1; ${forge}`]).catch(
      (error: { code: number; stderr: string }) => error,
    );
    expect(failure).toMatchObject({ code: 5, stderr: expect.stringContaining('there is no space left') });
    expect(await contents(directory)).toEqual(before);
    expect(await renewAll(directory)).toMatchObject({ outcome: 'renewed' });
  });

  it('because this user may not says so', async () => {
    const directory = path.join(await scratch(), 'certs');
    await createCertificates(request(directory, { clients: ['app'] }));
    const parent = path.dirname(directory);
    await chmod(parent, 0o755);
    await chmod(directory, 0o755);
    const before = await contents(directory);
    // Root may everything, so somebody else tries.
    const other = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
    if (process.getuid?.() !== 0) await chmod(directory, 0o555);
    const attempt = (...args: string[]) =>
      run(process.execPath, [path.join(ROOT, 'bin/run.js'), 'gen-certs', ...args], {
        cwd: '/',
        ...other,
        env: { ...process.env, HOME: '/nonexistent' },
      }).catch((error: { code: number; stderr: string }) => error);
    expect(await attempt(directory, '--renew', '--new-keys')).toMatchObject({
      code: 11,
      stderr: expect.stringContaining('this user may not'),
    });
    if (process.getuid?.() === 0) {
      expect(await attempt(path.join(parent, 'new'), '--client', 'app')).toMatchObject({ code: 11 });
      await chmod(directory, 0o700);
      expect(await attempt(directory, '--check')).toMatchObject({ code: 11 });
    }
    await chmod(directory, 0o700);
    expect(await contents(directory)).toEqual(before);
  });
});
