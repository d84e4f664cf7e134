import { describe, expect, it } from 'vitest';
import { readText, repositoryFiles } from '../../support/repository.js';

const BINARY = /\.(png|ico|gz|tgz|rdb|bin)$/;
const texts = repositoryFiles()
  .filter((file) => !BINARY.test(file))
  .flatMap((file) => {
    try {
      return [[file, readText(file)] as const];
    } catch {
      // Listed in the index, deleted on disk.
      return [];
    }
  });

/** Written so that this file does not match itself. */
const FORBIDDEN: [string, RegExp][] = [
  [
    'a package registry or mirror',
    /\b(registry|mirror|artifactory|nexus|verdaccio)\.[a-z0-9-]+\.[a-z]{2,}|npm[j]s\.org/i,
  ],
  ['a package mirror of a distribution', /\b(deb|ftp|archive|security)\.(debian|ubuntu)\.(org|com)\b/i],
  ['a home directory', /(?<![\w.])\/(home|Users)\/(?!you\b)[a-z][\w-]+|(?<![\w.])\/roo[t]\/\w/],
  ['a path of a developer’s machine', /(?<![\w.])\/wor[k]\/\w/],
  ['a private key', /-----BEGIN (RSA |EC )?PRIVATE KE[Y]-----/],
];

describe('the repository', () => {
  it.each(FORBIDDEN)('holds no %s', (_, pattern) => {
    const found = texts.flatMap(([file, text]) =>
      text.split('\n').flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [])),
    );
    expect(found).toEqual([]);
  });

  it('has a lock file that names no download address, so that it serves every registry', () => {
    const lock = JSON.parse(readText('package-lock.json')) as { packages: Record<string, { resolved?: string }> };
    expect(Object.entries(lock.packages).filter(([, entry]) => entry.resolved !== undefined)).toEqual([]);
  });

  it('has a lock file in which every optional package of another platform has an entry, or npm ci would refuse it', () => {
    const { packages } = JSON.parse(readText('package-lock.json')) as {
      packages: Record<string, { optionalDependencies?: Record<string, string> }>;
    };
    const there = new Set(Object.keys(packages).map((folder) => folder.split('node_modules/').at(-1)));
    const absent = Object.values(packages).flatMap((entry) =>
      Object.keys(entry.optionalDependencies ?? {}).filter((name) => !there.has(name)),
    );
    expect(absent).toEqual([]);
  });

  it('ends every text file with one line end and uses no carriage returns', () => {
    const wrong = texts.filter(
      ([file, text]) => text.length > 0 && !file.endsWith('.json') && (!text.endsWith('\n') || text.includes('\r\n')),
    );
    expect(wrong.map(([file]) => file)).toEqual([]);
  });
});
