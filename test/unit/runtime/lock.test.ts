import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ClusterPaths, clusterPaths } from '../../../src/local/paths.js';
import { withLock } from '../../../src/runtime/lock.js';

let home: string;
let paths: ClusterPaths;
beforeEach(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), 'forge-lock-'));
  paths = clusterPaths(home, 'local');
});
afterEach(async () => {
  await rm(home, { recursive: true });
});

describe('the lock of a cluster', () => {
  it('lets one in and tells the others who it is', async () => {
    await withLock(paths, 'forge up', async () => {
      await expect(withLock(paths, 'forge down', async () => {})).rejects.toMatchObject({
        kind: 'locked',
        exitCode: 6,
        message: `forge up (process ${process.pid}) is at work on this cluster.`,
      });
    });
    expect(await withLock(paths, 'forge up', async () => 'in')).toBe('in');
  });

  it('says in the words of its holder what is worked on', async () => {
    await withLock(paths, 'forge backup', async () => {
      await expect(withLock(paths, 'forge backup', async () => {}, { what: '/var/backups' })).rejects.toMatchObject({
        message: `forge backup (process ${process.pid}) is at work on /var/backups.`,
      });
    });
  });

  it('is given back when the work fails, and leaves nothing behind', async () => {
    await expect(
      withLock(paths, 'forge up', async () => {
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect(await readdir(paths.directory)).toEqual([]);
  });

  it.each([
    ['a process that has died', JSON.stringify({ pid: 2 ** 22 + 1, start: '0:1', purpose: 'forge up' })],
    ['a process whose number another has now', JSON.stringify({ pid: process.pid, start: '0:1', purpose: 'x' })],
    ['something that is no lock', 'junk'],
    ['nothing', ''],
  ])('is taken over from %s', async (_, content) => {
    await mkdir(paths.directory, { recursive: true });
    await writeFile(paths.lock, content);
    expect(await withLock(paths, 'forge up', async () => 'in')).toBe('in');
    expect(await readdir(paths.directory)).toEqual([]);
  });

  it('is held by one at a time, however many come at once over a dead one', async () => {
    await mkdir(paths.directory, { recursive: true });
    await writeFile(paths.lock, JSON.stringify({ pid: 2 ** 22 + 1, start: '0:1' }));
    let inside = 0;
    let most = 0;
    const work = async () => {
      inside += 1;
      most = Math.max(most, inside);
      await new Promise((resolve) => setTimeout(resolve, 20));
      inside -= 1;
    };
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => withLock(paths, 'forge up', work)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThan(0);
    expect(most).toBe(1);
  });

  it('clears away what processes have left that died on their way to it, and nothing else', async () => {
    await mkdir(paths.directory, { recursive: true });
    const dead = { pid: 2 ** 22 + 1, start: '0:1' };
    const name = (rest: string) => path.join(paths.directory, `${path.basename(paths.lock)}.${rest}`);
    await writeFile(name(`${dead.pid}-0123456789abcdef`), '');
    await writeFile(name('0123456789abcdef'), JSON.stringify(dead));
    // Of one that lives, and of others.
    const kept = [`${process.pid}-0123456789abcdef`, 'bak', '0123456789abcdef0'];
    for (const rest of kept) await writeFile(name(rest), '');
    await withLock(paths, 'forge up', async () => undefined);
    const left = kept.map((rest) => path.basename(name(rest))).sort();
    expect((await readdir(paths.directory)).sort()).toEqual(left);
  });

  it('may be deleted together with the cluster by the work', async () => {
    await withLock(paths, 'forge down', async () => {
      await rm(paths.directory, { recursive: true });
    });
  });
});
