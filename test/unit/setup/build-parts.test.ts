import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { digest, isStale, markBuilt, markStale, PARTS, type PartName } from '../../../scripts/build/parts.js';

let root: string;

function write(file: string, content = ''): void {
  const full = path.join(root, file);
  mkdirSync(path.dirname(full), { recursive: true });
  writeFileSync(full, content);
}

function build(part: PartName): void {
  for (const output of PARTS[part].outputs) write(output, 'built');
  markBuilt(part, digest(part, root), root);
}

beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'redisforge-parts-'));
  for (const file of ['src/main.ts', 'src/proxy/server/main.ts', 'src/proxy/engine/a.ts', 'src/proxy/config/b.ts']) {
    write(file, file);
  }
  for (const file of ['package.json', 'package-lock.json', 'tsconfig.json']) write(file, '{}');
  build('cli');
  build('proxy');
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

const stale = () => ({ cli: isStale('cli', root), proxy: isStale('proxy', root) });

describe('what was built', () => {
  it('is fresh right after the build', () => {
    expect(stale()).toEqual({ cli: false, proxy: false });
  });

  it.each([
    ['src/main.ts', { cli: true, proxy: false }],
    ['src/cluster/new.ts', { cli: true, proxy: false }],
    ['src/proxy/control/new.ts', { cli: true, proxy: false }],
    ['package.json', { cli: true, proxy: false }],
    ['src/proxy/engine/a.ts', { cli: false, proxy: true }],
    ['src/proxy/server/main.ts', { cli: false, proxy: true }],
    ['package-lock.json', { cli: true, proxy: true }],
    ['src/proxy/config/b.ts', { cli: true, proxy: true }],
    ['tsconfig.json', { cli: true, proxy: true }],
    ['docs/page.md', { cli: false, proxy: false }],
  ])('is stale where it depends on %s, after an edit of that', (file, expected) => {
    write(file, 'edited');
    expect(stale()).toEqual(expected);
  });

  it('is stale after a file was deleted or renamed', () => {
    rmSync(path.join(root, 'src/main.ts'));
    write('src/renamed.ts', 'src/main.ts');
    expect(stale()).toEqual({ cli: true, proxy: false });
  });

  it('stays fresh when only times change, as in a new checkout', () => {
    utimesSync(path.join(root, 'src/main.ts'), new Date(), new Date());
    expect(stale()).toEqual({ cli: false, proxy: false });
  });

  it('is stale when an output is gone', () => {
    rmSync(path.join(root, 'dist'), { recursive: true });
    expect(stale()).toEqual({ cli: true, proxy: false });
  });

  it('is stale from the moment its outputs are touched until the build is complete', () => {
    markStale('proxy', root);
    expect(stale()).toEqual({ cli: false, proxy: true });
  });

  it('is stale when a source was edited during the build', () => {
    const madeFrom = digest('cli', root);
    write('src/main.ts', 'edited meanwhile');
    markBuilt('cli', madeFrom, root);
    expect(isStale('cli', root)).toBe(true);
  });
});
