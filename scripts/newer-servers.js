#!/usr/bin/env node
// Brings Redis 8 and Valkey 9 next to the installed redis-server, from Debian's suite sid, into .cache/ (not committed):
// a minimal root of unpacked packages (some ten seconds, once) and one small starter per server. A starter runs the server's
// own dynamic loader and libraries from that root, so it works beside any host libraries and without chroot, and its
// files and ports are the host's.
//
// Redis with atomic slot migration (8.4 or newer) is taken from there once sid has it, and from the suite experimental
// until then: one package, which runs with the libraries of that root.
//
//   node scripts/newer-servers.js        fetch when missing; print where the servers are as JSON
//
// The mirror, and the way there, are the ones that this machine's apt uses.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const repository = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const CACHE = path.join(repository, '.cache', 'servers');
const FETCH_TIMEOUT_MS = 10 * 60_000;
const WAIT_MS = 250;
/** base-files has the links `/bin`, `/lib`; base images for Docker are made of the shell and its tools. */
const PACKAGES = [
  'redis-server',
  'valkey-server',
  'base-files',
  'bash',
  'coreutils',
  'dash',
  'grep',
  'libc-bin',
  'sed',
];
const SUITE = 'sid';
const NEXT_SUITE = 'experimental';
/** CLUSTER MIGRATION came with this version. */
const ATOMIC_SINCE = [8, 4];

/**
 * Paths of the newer servers' executables, fetched first when they are missing.
 * Each behaves like an installed `redis-server` (same arguments, its process id is the server's).
 * Throws an Error that says why not: no network, no Debian mirror in apt's sources.
 */
export function newerServers({ cache = CACHE, log = () => {} } = {}) {
  const root = path.join(cache, SUITE);
  const there = () => existsSync(path.join(root, 'usr', 'bin', 'valkey-server'));
  alone(cache, there, () => fetchRoot(root, log));
  return {
    root,
    redis8: starter(cache, root, 'redis-server'),
    redis8Cli: starter(cache, root, 'redis-cli'),
    valkey9: starter(cache, root, 'valkey-server'),
    valkey9Cli: starter(cache, root, 'valkey-cli'),
  };
}

/**
 * Path of a redis-server with CLUSTER MIGRATION (8.4 or newer), fetched first when it is missing.
 * Throws an Error like `newerServers`, and when neither suite has it.
 */
export function redisWithAtomicMigration({ cache = CACHE, log = () => {} } = {}) {
  const { root, redis8 } = newerServers({ cache, log });
  if (isAtomic(redis8)) return redis8;
  const place = path.join(cache, NEXT_SUITE);
  const there = () => existsSync(path.join(place, 'usr', 'bin', 'redis-server'));
  alone(cache, there, () => fetchNext(cache, place, log));
  const next = starter(cache, root, 'redis-server', { suite: NEXT_SUITE, place });
  if (isAtomic(next)) return next;
  throw new Error(`neither ${SUITE} nor ${NEXT_SUITE} has Redis ${ATOMIC_SINCE.join('.')}`);
}

function isAtomic(executable) {
  const { stdout } = spawnSync(executable, ['--version'], { encoding: 'utf8' });
  const [major = 0, minor = 0] = (/v=(\d+)\.(\d+)/.exec(stdout ?? '') ?? []).slice(1).map(Number);
  return major > ATOMIC_SINCE[0] || (major === ATOMIC_SINCE[0] && minor >= ATOMIC_SINCE[1]);
}

/** The executable is in redis-tools; redis-server is a link to it. It runs with the libraries of the other root. */
function fetchNext(cache, place, log) {
  log(`fetching Redis from Debian ${NEXT_SUITE}`);
  const work = path.join(cache, `${NEXT_SUITE}.building-${process.pid}`);
  const apt = aptOf(work, NEXT_SUITE);
  apt('update');
  apt('download', `redis-tools/${NEXT_SUITE}`);
  extract(work, work);
  const bin = path.join(work, 'root', 'usr', 'bin');
  if (!existsSync(path.join(bin, 'redis-server')))
    renameSync(path.join(bin, 'redis-check-rdb'), path.join(bin, 'redis-server'));
  if (!existsSync(place)) renameSync(path.join(work, 'root'), place);
  rmSync(work, { recursive: true, force: true });
}

/** The servers with all that they need, and a shell with its tools; nothing of it is set up, which is what takes long. */
function fetchRoot(root, log) {
  log(`fetching Redis 8 and Valkey 9 from Debian ${SUITE} (some ten seconds, once)`);
  const work = `${root}.building-${process.pid}`;
  const apt = aptOf(work, SUITE);
  apt('update');
  apt('install', '--yes', '--download-only', '--no-install-recommends', ...PACKAGES);
  extract(work, path.join(work, 'cache', 'archives'));
  if (!existsSync(root)) renameSync(path.join(work, 'root'), root);
  rmSync(work, { recursive: true, force: true });
}

/**
 * An apt of its own, which checks signatures: the machine's lists and packages are left as they are, and it takes nothing for
 * installed.
 */
function aptOf(work, suite) {
  for (const folder of ['state/lists/partial', 'cache/archives/partial', 'sources']) {
    mkdirSync(path.join(work, folder), { recursive: true });
  }
  writeFileSync(path.join(work, 'status'), '');
  const source = [
    'Types: deb',
    `URIs: ${debianMirror()}`,
    `Suites: ${suite}`,
    'Components: main',
    'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg',
  ];
  writeFileSync(path.join(work, 'sources', 'only.sources'), `${source.join('\n')}\n`);
  const settings = {
    'Dir::Etc::sourcelist': '/dev/null',
    'Dir::Etc::sourceparts': path.join(work, 'sources'),
    'Dir::State': path.join(work, 'state'),
    'Dir::State::status': path.join(work, 'status'),
    'Dir::Cache': path.join(work, 'cache'),
    'Acquire::Languages': 'none',
    'APT::Sandbox::User': 'root',
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  return (...words) => run(work, suite, ['apt-get', ...options, ...words]);
}

/** The packages of a folder, into `root` below the work folder; the one with the folders' links first. */
function extract(work, folder) {
  const rank = (name) => (name.startsWith('base-files_') ? 0 : 1);
  const packages = readdirSync(folder).filter((name) => name.endsWith('.deb'));
  for (const name of packages.sort((a, b) => rank(a) - rank(b))) {
    run(work, name, ['dpkg-deb', '--extract', path.join(folder, name), path.join(work, 'root')]);
  }
}

function run(cwd, what, [command, ...args]) {
  const result = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: FETCH_TIMEOUT_MS });
  if (result.status === 0) return;
  rmSync(cwd, { recursive: true, force: true });
  const tail = `${result.stdout ?? ''}${result.stderr ?? ''}`.trim().split('\n').slice(-5).join('\n');
  throw new Error(`${command} for ${what} failed: ${result.error?.message ?? tail}`);
}

/** One process fetches; others that want the same wait for it, since it takes all of a core, or two. */
function alone(cache, there, fetch) {
  if (there()) return;
  mkdirSync(cache, { recursive: true });
  const lock = path.join(cache, 'fetching');
  const until = Date.now() + FETCH_TIMEOUT_MS;
  while (!claims(lock)) {
    if (there()) return;
    // What holds it for longer has its own bound; then this one fetches beside it.
    if (Date.now() > until) break;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WAIT_MS);
  }
  try {
    if (!there()) fetch();
  } finally {
    rmSync(lock, { force: true });
  }
}

/** Takes the lock; that of a process that has died is taken over. */
function claims(lock) {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  try {
    process.kill(Number(readFileSync(lock, 'utf8')) || process.pid, 0);
  } catch (error) {
    if (error.code === 'ESRCH') rmSync(lock, { force: true });
  }
  return false;
}

/** Whether `newerServers` can work here: they are fetched already, or this is root on a Debian or a relative of it. */
export function canHaveNewerServers({ cache = CACHE } = {}) {
  if (existsSync(path.join(cache, SUITE, 'usr', 'bin', 'valkey-server'))) return true;
  return process.getuid?.() === 0 && spawnSync('apt-get', ['--version'], { stdio: 'ignore' }).status === 0;
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

/** `root` has the libraries; `place` has the program. */
function starter(cache, root, program, { suite = SUITE, place = root } = {}) {
  const file = path.join(cache, `${suite}-${program}`);
  const libraries = readdirSync(path.join(root, 'usr', 'lib')).filter((name) => /-linux-gnu/.test(name));
  const loaders = ['usr/lib64', ...libraries.map((name) => `usr/lib/${name}`), 'usr/lib']
    .map((folder) => path.join(root, folder))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((name) => path.join(folder, name)))
    .filter((name) => /\/ld-linux[^/]*\.so\.\d+$/.test(name));
  if (loaders.length === 0) throw new Error(`no dynamic loader under ${root}`);
  const libraryPath = libraries.map((name) => path.join(root, 'usr', 'lib', name)).join(':');
  const words = [loaders[0], '--library-path', libraryPath, path.join(place, 'usr', 'bin', program)];
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
