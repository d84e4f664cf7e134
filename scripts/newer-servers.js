#!/usr/bin/env node
// Brings Redis 8 and Valkey 9 next to the installed redis-server, from Debian's suite sid, into .cache/ (not committed):
// a minimal root made by debootstrap (about 25 s, once) and one small starter per server. A starter runs the server's
// own dynamic loader and libraries from that root, so it works beside any host libraries and without chroot, and its
// files and ports are the host's.
//
//   node scripts/newer-servers.js        fetch when missing; print where the servers are as JSON
//
// The mirror and its proxy are the ones that this machine's apt uses.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const repository = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const CACHE = path.join(repository, '.cache', 'servers');
const BOOTSTRAP_TIMEOUT_MS = 10 * 60_000;
const SUITE = 'sid';

/**
 * Paths of the newer servers' executables, fetched first when they are missing.
 * Each behaves like an installed `redis-server` (same arguments, its process id is the server's).
 * Throws an Error that says why not: no root and no sudo, no network, no Debian mirror in apt's sources.
 */
export function newerServers({ cache = CACHE, log = () => {} } = {}) {
  const root = path.join(cache, SUITE);
  if (!existsSync(path.join(root, 'usr', 'bin', 'valkey-server'))) bootstrap(cache, root, log);
  return {
    root,
    redis8: starter(cache, root, 'redis-server'),
    redis8Cli: starter(cache, root, 'redis-cli'),
    valkey9: starter(cache, root, 'valkey-server'),
    valkey9Cli: starter(cache, root, 'valkey-cli'),
  };
}

/** Whether `newerServers` can work here: they are fetched already, or this is root on a Debian or a relative of it. */
export function canHaveNewerServers({ cache = CACHE } = {}) {
  if (existsSync(path.join(cache, SUITE, 'usr', 'bin', 'valkey-server'))) return true;
  return process.getuid?.() === 0 && spawnSync('apt-get', ['--version'], { stdio: 'ignore' }).status === 0;
}

function bootstrap(cache, root, log) {
  if (spawnSync('debootstrap', ['--version'], { stdio: 'ignore' }).error) {
    log('installing debootstrap');
    const install = ['apt-get', 'install', '-y', '--no-install-recommends', 'debootstrap'];
    asRoot(['env', 'DEBIAN_FRONTEND=noninteractive', ...install]);
  }
  const mirror = debianMirror();
  // Made under a name of its own and moved into place: two callers at once waste time but never see half a root.
  const building = `${root}.building-${process.pid}`;
  mkdirSync(cache, { recursive: true });
  log(`fetching Redis 8 and Valkey 9 from Debian ${SUITE} (about half a minute, once)`);
  const include = '--include=redis-server,valkey-server';
  const result = asRoot(['debootstrap', '--variant=minbase', include, SUITE, building, mirror]);
  if (result.error || result.status !== 0) {
    asRoot(['rm', '-rf', building]);
    const tail = `${result.stdout ?? ''}${result.stderr ?? ''}`.trim().split('\n').slice(-5).join('\n');
    throw new Error(`debootstrap of ${SUITE} (it needs root or sudo) failed: ${result.error?.message ?? tail}`);
  }
  if (existsSync(root)) asRoot(['rm', '-rf', building]);
  else renameSync(building, root);
}

/** Runs a command as root: at once, or through a sudo that asks no password. */
function asRoot(words) {
  const sudo = ['sudo', '-n', '--preserve-env=http_proxy'];
  const [command, ...args] = process.getuid?.() === 0 ? words : [...sudo, ...words];
  // Through the environment: the address of a proxy may hold a password.
  const proxy = aptSetting('Acquire::http::Proxy');
  return spawnSync(command, args, {
    env: { ...process.env, ...(proxy ? { http_proxy: proxy } : {}) },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: BOOTSTRAP_TIMEOUT_MS,
    encoding: 'utf8',
  });
}

/** The Debian archive that apt is set to use, without naming a host here. */
function debianMirror() {
  const result = spawnSync(
    'apt-get',
    ['indextargets', '--format', '$(REPO_URI)|$(ORIGIN)|$(SUITE)|$(COMPONENT)', 'Created-By: Packages'],
    { encoding: 'utf8' },
  );
  for (const line of (result.stdout ?? '').split('\n')) {
    const [uri = '', origin, suite = '', component] = line.split('|');
    // The origin is known once apt-get update has run; until then the archive's usual path tells it.
    const isDebian = origin ? origin === 'Debian' : /\/debian\/?$/.test(uri);
    if (isDebian && component === 'main' && !/security|updates|backports/.test(suite)) return uri;
  }
  throw new Error("no Debian archive among this machine's apt sources (run apt-get update first)");
}

function aptSetting(name) {
  const result = spawnSync('apt-config', ['dump', '--format', '%v', name], { encoding: 'utf8' });
  return (result.stdout ?? '').trim();
}

function starter(cache, root, program) {
  const file = path.join(cache, `${SUITE}-${program}`);
  const libraries = readdirSync(path.join(root, 'usr', 'lib')).filter((name) => /-linux-gnu/.test(name));
  const loaders = ['usr/lib64', ...libraries.map((name) => `usr/lib/${name}`), 'usr/lib']
    .map((folder) => path.join(root, folder))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((name) => path.join(folder, name)))
    .filter((name) => /\/ld-linux[^/]*\.so\.\d+$/.test(name));
  if (loaders.length === 0) throw new Error(`no dynamic loader under ${root}`);
  const libraryPath = libraries.map((name) => path.join(root, 'usr', 'lib', name)).join(':');
  const words = [loaders[0], '--library-path', libraryPath, path.join(root, 'usr', 'bin', program)];
  const text = `#!/bin/sh\nexec ${words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')} "$@"\n`;
  if (existsSync(file) && readFileSync(file, 'utf8') === text) return file;
  const temporary = `${file}.${process.pid}`;
  writeFileSync(temporary, text);
  chmodSync(temporary, 0o755);
  renameSync(temporary, file);
  return file;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    console.log(JSON.stringify(newerServers({ log: (line) => console.error(line) }), null, 2));
  } catch (error) {
    console.error(`newer-servers: ${error.message}`);
    process.exit(1);
  }
}
