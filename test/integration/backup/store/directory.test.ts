/** Directories that are not as they should be: links, full disks, missing rights, others at work. */
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, lstat, mkdir, mkdtemp, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DirectoryStore } from '../../../../src/backup/store/directory.js';
import { poll } from '../../../support/redis.js';

const never = new AbortController().signal;
const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;
const STORE = pathToFileURL(path.resolve('src/backup/store/directory.ts')).href;

let folder: string;
let place: string;
let store: DirectoryStore;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'forge-directory-'));
  place = path.join(folder, 'backups');
  store = new DirectoryStore(place);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function keys(prefix = ''): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of store.list(prefix, never)) found.push(key);
  return found;
}
const put = (key: string, content: Buffer) => store.put(key, Readable.from([content]), { signal: never });

/** Does the work as somebody who may not do everything. */
async function asNobody<Result>(work: () => Promise<Result>): Promise<Result> {
  if (!isRoot) return work();
  process.seteuid?.(NOBODY);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
  }
}

describe('links', () => {
  it('are not followed below the place: to nothing that is read, written or removed', async () => {
    const elsewhere = path.join(folder, 'elsewhere');
    await mkdir(path.join(elsewhere, 'id'), { recursive: true });
    await writeFile(path.join(elsewhere, 'id', 'victim'), 'precious');
    await store.write('real/id/object', Buffer.from('a'), never);
    await symlink(elsewhere, path.join(place, 'orders'));
    await symlink(path.join(elsewhere, 'id', 'victim'), path.join(place, 'real', 'id', 'link'));
    expect(await keys()).toEqual(['real/id/object']);
    const refused = { kind: 'refused', message: expect.stringContaining('symbolic link') };
    for (const key of ['orders/id/victim', 'real/id/link']) {
      await expect(store.read(key, { maxBytes: 100 })).rejects.toMatchObject(refused);
      await expect(store.open(key, never)).rejects.toMatchObject(refused);
    }
    await expect(store.write('orders/id/new', Buffer.from('a'), never)).rejects.toMatchObject(refused);
    await expect(put('orders/id/new', Buffer.from('a'))).rejects.toMatchObject(refused);
    await expect(store.remove(['orders/id/victim'])).rejects.toMatchObject(refused);
    expect(await readdir(path.join(elsewhere, 'id'))).toEqual(['victim']);
    // A link in the place of an object is replaced, or removed, itself.
    await store.write('real/id/link', Buffer.from('b'), never);
    expect((await lstat(path.join(place, 'real', 'id', 'link'))).isFile()).toBe(true);
    expect(await readdir(path.join(elsewhere, 'id'))).toEqual(['victim']);
  });

  it('may lead to the place itself', async () => {
    const link = path.join(folder, 'link');
    await mkdir(place);
    await symlink(place, link);
    await new DirectoryStore(link).write('a/b/c', Buffer.from('a'), never);
    expect(await keys()).toEqual(['a/b/c']);
  });
});

describe('a place', () => {
  it('that is a file is no directory', async () => {
    await writeFile(place, 'a file');
    const wrong = { kind: 'configuration', message: expect.stringContaining(place) };
    await expect(keys()).rejects.toMatchObject(wrong);
    await expect(store.check(never)).rejects.toMatchObject(wrong);
    await expect(put('a/b', Buffer.from('a'))).rejects.toMatchObject(wrong);
  });

  it('has names that lead nowhere else, and files that only their owner reads', async () => {
    for (const key of ['../a', 'a/../../b', 'a/./b', 'a\0b']) {
      await expect(store.write(key, Buffer.from('a'), never)).rejects.toMatchObject({ kind: 'refused' });
    }
    await store.write('a/b/c', Buffer.from('a'), never);
    expect((await stat(path.join(place, 'a/b/c'))).mode & 0o777).toBe(0o600);
    expect((await stat(path.join(place, 'a'))).mode & 0o777).toBe(0o700);
  });

  it('may hold what is no file: nothing waits for it', async () => {
    await mkdir(path.join(place, 'a'), { recursive: true });
    execFileSync('mkfifo', [path.join(place, 'a', 'pipe')]);
    expect(await keys()).toEqual([]);
    expect(await store.read('a/pipe', { maxBytes: 10 })).toBeUndefined();
    await expect(store.open('a/pipe', never)).rejects.toMatchObject({ kind: 'verification' });
    await expect(put('a', Buffer.from('a'))).rejects.toMatchObject({ kind: 'configuration' });
  });

  it('that may not be written to, or read, is told', async () => {
    await store.write('orders/id/object', Buffer.from('a'), never);
    await chmod(folder, 0o755);
    await chmod(place, 0o755);
    await asNobody(async () => {
      const denied = { kind: 'denied', message: expect.stringContaining(place) };
      if (isRoot) {
        await expect(store.check(never)).rejects.toMatchObject(denied);
        await expect(put('a/b', Buffer.from('a'))).rejects.toMatchObject(denied);
        await expect(keys()).rejects.toMatchObject(denied);
        await expect(store.remove(['orders/id/object'])).rejects.toMatchObject(denied);
      }
    });
    await chmod(path.join(place, 'orders'), 0o000);
    await mkdir(path.join(place, 'lost+found'), { mode: 0o000 });
    await asNobody(async () => {
      await expect(keys()).rejects.toMatchObject({ kind: 'denied' });
      expect(await keys('other/')).toEqual([]);
    });
    await chmod(path.join(place, 'orders'), 0o755);
    await chmod(path.join(place, 'orders', 'id'), 0o755);
    // What root keeps on a disk of its own is nobody's backup.
    expect(await asNobody(() => keys())).toEqual(['orders/id/object']);
    await chmod(path.join(place, 'lost+found'), 0o700);
  });
});

describe.runIf(isRoot || process.env['CI'])('a disk', () => {
  it('that is full, or read-only, is told, and has nothing of what did not fit', async () => {
    await mkdir(place);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', place]);
    try {
      await put('a/fits', randomBytes(400_000));
      const full = { kind: 'partial', message: expect.stringContaining('full') };
      const endless = Readable.from(
        (function* () {
          for (;;) yield Buffer.alloc(50_000);
        })(),
      );
      await expect(store.put('b/c/endless', endless, { signal: never })).rejects.toMatchObject(full);
      expect(endless.destroyed).toBe(true);
      await expect(store.write('b/large', randomBytes(900_000), never)).rejects.toMatchObject(full);
      expect(await readdir(place)).toEqual(['a']);
      await put('a/more', randomBytes(400_000));
      execFileSync('mount', ['-o', 'remount,ro', place]);
      expect(await keys()).toEqual(['a/fits', 'a/more']);
      const denied = { kind: 'denied' };
      await expect(store.check(never)).rejects.toMatchObject(denied);
      await expect(store.remove(['a/fits'])).rejects.toMatchObject(denied);
    } finally {
      execFileSync('umount', [place]);
    }
  });
});

describe('others', () => {
  it('may be killed: what they wrote is no object, and is swept when it is old', async () => {
    const script = `
      import { DirectoryStore } from ${JSON.stringify(STORE)};
      import { Readable } from 'node:stream';
      async function* endless() { for (;;) { yield Buffer.alloc(100_000); await new Promise((resolve) => setTimeout(resolve, 5)); } }
      await new DirectoryStore(${JSON.stringify(place)}).put('orders/id/shard', Readable.from(endless()), { signal: new AbortController().signal });`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      stdio: 'inherit',
    });
    const ended = new Promise((resolve) => child.once('close', resolve));
    const scratch = await poll('it writes', 30_000, async () => {
      const [name] = await readdir(path.join(place, 'orders', 'id')).catch(() => []);
      const file = name === undefined ? undefined : path.join(place, 'orders', 'id', name);
      return file !== undefined && (await stat(file)).size > 200_000 ? file : undefined;
    });
    expect(await store.sweep('', { beforeMs: Date.now() - 3_600_000, signal: never })).toBe(0);
    child.kill('SIGKILL');
    await ended;
    expect(await keys()).toEqual([]);
    await utimes(scratch, 1_000, 1_000);
    expect(await store.sweep('other/', { beforeMs: Date.now(), signal: never })).toBe(0);
    expect(await store.sweep('orders/', { beforeMs: Date.now() - 3_600_000, signal: never })).toBe(1);
    expect(await readdir(place)).toEqual([]);
  });

  it('may put, replace and remove at the same time', async () => {
    const contents = ['a', 'b'].map((letter) => Buffer.alloc(200_000, letter));
    const rounds = Array.from({ length: 40 }, (_, round) => round);
    const writers = contents.map(async (content) => {
      for (const round of rounds) await put(`orders/${round % 3}/one`, content);
    });
    const remover = (async () => {
      for (const round of rounds) await store.remove([`orders/${round % 3}/one`, `orders/${round % 3}/none`]);
    })();
    await Promise.all([...writers, remover]);
    await put('orders/0/one', contents[0] as Buffer);
    for (const key of await keys()) {
      const found = await store.read(key, { maxBytes: 1_000_000 });
      expect(contents.some((content) => found?.equals(content))).toBe(true);
    }
    expect((await keys()).includes('orders/0/one')).toBe(true);
    expect(await store.sweep('', { beforeMs: Date.now() + 60_000, signal: never })).toBe(0);
  });
});
