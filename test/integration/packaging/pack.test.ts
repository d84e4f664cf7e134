import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT, readText } from '../../support/repository.js';

const PACK_MS = 120_000;
const INSTALL_MS = 240_000;

const { version } = JSON.parse(readText('package.json')) as { version: string };
const work = mkdtempSync(path.join(os.tmpdir(), 'redisforge-pack-'));
const home = path.join(work, 'home');

function run(command: string, args: string[], cwd: string, timeout = 30_000) {
  // Nothing of this checkout may help the installed program: npm's own variables would name its folder.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_(config_local|package)/.test(name)),
  );
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8', timeout, env });
  if (error) throw error;
  return { status, stdout, stderr };
}

let packed: string[];

beforeAll(() => {
  // Without scripts: the build is fresh, npm test has seen to it.
  const pack = run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', work], ROOT, PACK_MS);
  expect(pack.status, pack.stderr).toBe(0);
  const listing = JSON.parse(pack.stdout) as
    | { files: { path: string }[] }[]
    | Record<string, { files: { path: string }[] }>;
  packed = Object.values(listing).flatMap(({ files }) => files.map((file) => file.path));
  spawnSync('mkdir', ['-p', home]);
  const tarball = readdirSync(work).find((file) => file.endsWith('.tgz'));
  const args = ['install', '--prefer-offline', '--no-audit', '--no-fund', path.join(work, tarball as string)];
  const install = run('npm', args, home, INSTALL_MS);
  expect(install.status, install.stderr).toBe(0);
}, PACK_MS + INSTALL_MS);

afterAll(() => rmSync(work, { recursive: true, force: true }));

describe('the package', () => {
  it('holds the program, the proxy, the templates and the manifest', () => {
    expect(packed).toEqual(
      expect.arrayContaining([
        'bin/run.js',
        'bin/forge-proxy',
        'dist/main.js',
        'dist/commands/up.js',
        'oclif.manifest.json',
        'templates/redis.conf',
        'docs/exit-codes.md',
        'LICENSE',
        'README.md',
        'CHANGELOG.md',
      ]),
    );
  });

  it('holds no sources, tests or secrets of the checkout', () => {
    expect(
      packed.filter((file) => /^(src|test|scripts|\.ci|\.cache|node_modules)\/|\.env|\.tsbuildinfo/.test(file)),
    ).toEqual([]);
  });

  it('gives a working forge in an empty folder', () => {
    const { status, stdout } = run('npx', ['--no-install', 'forge', '--version'], home);
    expect(status).toBe(0);
    expect(stdout).toContain(`redisforge/${version}`);
    const help = run('npx', ['--no-install', 'forge', 'up', '--help'], home);
    expect(help.status).toBe(0);
    expect(help.stdout).toContain('--base-port');
  });

  it('brings the proxy’s executable for this platform', () => {
    const executable = path.join(home, 'node_modules', 'redisforge', 'bin', 'forge-proxy');
    const { status, stdout } = run(executable, ['--version'], home);
    expect(status).toBe(0);
    expect(stdout).toContain(version);
  });

  it('installs no development packages', () => {
    const installed = readdirSync(path.join(home, 'node_modules'));
    for (const name of ['typescript', 'vitest', 'bun', 'oclif']) expect(installed).not.toContain(name);
  });
});
