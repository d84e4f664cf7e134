import { spawnSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { type ArchiveEntry, archiveInput, packArchive, unpackArchive } from '../../../src/docker/archive.js';

const when = new Date('2026-01-02T03:04:05Z');
const owner = { uid: 999, gid: 998 };
const entries: ArchiveEntry[] = [
  { path: '.', mode: 0o700, ...owner },
  { path: 'redis.conf', content: 'port 6379\n', mode: 0o600, ...owner },
  { path: 'tls/key', content: Buffer.alloc(1025, 7), mode: 0o400, uid: 0, gid: 0 },
  { path: `${'long/'.repeat(40)}name`, content: 'ü', mode: 0o644, uid: 3_000_000, gid: 3_000_000 },
  { path: 'empty', content: '', mode: 0o600, ...owner },
];

describe('an archive for docker cp', () => {
  it('is listed by tar itself with the modes and owners', () => {
    const listed = spawnSync('tar', ['-tv', '--numeric-owner', '--utc', '--full-time', '-f', '-'], {
      input: packArchive(entries, when),
      encoding: 'utf8',
    });
    expect(listed.stderr).toBe('');
    const lines = listed.stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/\s+/g, ' '));
    expect(lines).toEqual([
      'drwx------ 999/998 0 2026-01-02 03:04:05 ./',
      '-rw------- 999/998 10 2026-01-02 03:04:05 redis.conf',
      '-r-------- 0/0 1025 2026-01-02 03:04:05 tls/key',
      `-rw-r--r-- 3000000/3000000 2 2026-01-02 03:04:05 ${'long/'.repeat(40)}name`,
      '-rw------- 999/998 0 2026-01-02 03:04:05 empty',
    ]);
  });

  it('is unpacked as it was packed, without the directories', async () => {
    const files = await unpackArchive(packArchive(entries, when));
    expect(files).toEqual(
      entries.flatMap(({ content, ...rest }) =>
        content === undefined ? [] : [{ ...rest, content: Buffer.from(content) }],
      ),
    );
  });

  it('is described without any content', () => {
    const { description, bytes } = archiveInput(entries.slice(0, 2), when);
    expect(description).toBe('a tar of directory . (0700, 999:998), redis.conf (0600, 999:998)');
    expect(bytes).toEqual(packArchive(entries.slice(0, 2), when));
    const many = Array.from({ length: 10 }, (_, index) => ({ path: `f${index}`, content: '', mode: 0o600, ...owner }));
    expect(archiveInput(many, when).description).toMatch(/f7 \(0600, 999:998\), 2 more$/);
  });

  it.each(['', '/etc/passwd', '../x', 'a/../b'])('refuses the path "%s"', (path) => {
    expect(() => packArchive([{ path, content: '', mode: 0o600, ...owner }], when)).toThrowError(/not a path inside/);
  });

  it('refuses what is no archive, is cut off, or unpacks to too much', async () => {
    await expect(unpackArchive(Buffer.alloc(1024, 1))).rejects.toThrow();
    for (const length of [1600, 2560])
      await expect(unpackArchive(packArchive(entries, when).subarray(0, length))).rejects.toThrow();
    const bomb = packArchive([{ path: 'a', content: Buffer.alloc(17 * 1024 * 1024), mode: 0o600, ...owner }], when);
    await expect(unpackArchive(bomb)).rejects.toThrow();
    await expect(unpackArchive(gzipSync(Buffer.alloc(8)))).rejects.toThrow();
  });
});
