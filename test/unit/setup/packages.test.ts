import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { packagesAreInstalled } from '../../../scripts/setup/packages.js';

let root: string;

const WANTED = {
  '': { version: '0.1.0' },
  'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
  'node_modules/a/node_modules/b': { version: '2.0.0', integrity: 'sha512-b' },
  'node_modules/for-another-platform': { version: '3.0.0', integrity: 'sha512-c', optional: true },
};

function write(file: string, content: unknown): void {
  const full = path.join(root, file);
  mkdirSync(path.dirname(full), { recursive: true });
  writeFileSync(full, JSON.stringify(content));
}

/** As after `npm ci` on a platform without the optional package. */
function install(): void {
  const { 'node_modules/for-another-platform': _, '': __, ...installed } = WANTED;
  write('node_modules/.package-lock.json', { packages: installed });
  for (const folder of Object.keys(installed)) write(`${folder}/package.json`, {});
}

beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'redisforge-setup-'));
  write('package-lock.json', { packages: WANTED });
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

describe('the packages', () => {
  it('are installed after npm ci, though optional ones of another platform are absent', () => {
    install();
    expect(packagesAreInstalled(root)).toBe(true);
  });

  it('are not installed in a fresh clone', () => {
    expect(packagesAreInstalled(root)).toBe(false);
  });

  it.each([
    ['a changed version', { 'node_modules/a': { version: '1.0.1', integrity: 'sha512-z' } }],
    ['a changed content', { 'node_modules/a': { version: '1.0.0', integrity: 'sha512-z' } }],
    ['a new package', { 'node_modules/new': { version: '1.0.0', integrity: 'sha512-n' } }],
  ])('are out of date with %s in the lock file', (_, change) => {
    install();
    write('package-lock.json', { packages: { ...WANTED, ...change } });
    expect(packagesAreInstalled(root)).toBe(false);
  });

  it('are not installed when a folder is gone', () => {
    install();
    rmSync(path.join(root, 'node_modules/a/node_modules/b'), { recursive: true });
    expect(packagesAreInstalled(root)).toBe(false);
  });

  it('are not installed when npm was stopped before it wrote its list', () => {
    install();
    writeFileSync(path.join(root, 'node_modules/.package-lock.json'), '{"packages": {');
    expect(packagesAreInstalled(root)).toBe(false);
  });
});
