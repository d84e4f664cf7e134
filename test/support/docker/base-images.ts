/**
 * Base images without a registry: programs of a Debian root, the libraries they need, and a shell with a few tools.
 * `installed` has the Redis of this machine (Debian stable: 7.0), `newer` Redis 8 and Valkey 9 from Debian sid, which other
 * tests fetch as well; the others have one program of monitoring each. Each is tens of megabytes, imported in seconds.
 */
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { constants, existsSync, realpathSync, statSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { newerServers } from '../../../scripts/newer-servers.js';
import type { DockerClient } from './client.js';

const run = promisify(execFile);
const LIST_MS = 30_000;

export type BaseName = 'installed' | 'newer' | 'prometheus' | 'alertmanager' | 'redis-exporter' | 'node-exporter';

const TOOLS =
  'sh cat chmod chown cp date dd df echo env grep head id ln ls mkdir mv rm sed sleep stat sync tail test touch tr true wc';
const SHELL = TOOLS.split(' ').map((name) => `usr/bin/${name}`);

/** Of the C library itself, as every Debian image has them: what is added to an image may name them. */
const GLIBC_PARTS = ['libpthread.so.0', 'libdl.so.2', 'librt.so.1', 'libm.so.6', 'libresolv.so.2', 'libnss_dns.so.2'];

interface Base {
  root: () => string;
  /** Paths below the root; those that are not there are left out, but for the first. */
  programs: readonly string[];
  /** What a program reads when it starts. */
  files?: readonly string[];
}

const BASES: Record<BaseName, Base> = {
  installed: { root: () => '/', programs: servers('redis') },
  newer: { root: () => newerServers().root, programs: [...servers('redis'), ...servers('valkey')] },
  prometheus: installed('prometheus', 'promtool'),
  alertmanager: {
    ...installed('prometheus-alertmanager', 'amtool'),
    files: ['default', 'email'].map((name) => `usr/share/prometheus/alertmanager/${name}.tmpl`),
  },
  'redis-exporter': installed('prometheus-redis-exporter'),
  'node-exporter': installed('prometheus-node-exporter'),
};

/** Programs of this machine alone, with the shell that asks them how they are. */
function installed(...programs: string[]): Base {
  return { root: () => '/', programs: [...programs, 'bash'].map((program) => `usr/bin/${program}`) };
}

function servers(name: string): string[] {
  return ['server', 'cli', 'benchmark', 'check-aof', 'check-rdb'].map((part) => `usr/bin/${name}-${part}`);
}

/** The base image's tag in this engine, imported first when it is not there. The tag tells the contents. */
export async function baseImage(docker: DockerClient, name: BaseName): Promise<string> {
  const { root: find, programs, files: more = [] } = BASES[name];
  const root = find();
  const there = programs.filter((program, index) => index === 0 || existsSync(path.join(root, program)));
  const read = more.filter((file) => existsSync(path.join(root, file)));
  const files = [...(await withLibraries(root, [...SHELL, ...there])), ...read];
  const image = `forge-test-base:${name}-${fingerprint(root, files)}`;
  if (!(await docker.try(['image', 'inspect', image]))) await importImage(docker, root, files, image);
  return image;
}

/** The programs, and the libraries with the loader that each of them names, as paths below the root. */
async function withLibraries(root: string, programs: readonly string[]): Promise<string[]> {
  const found = new Set(programs);
  const { stdout } = await run('chroot', [root, '/usr/bin/ldd', ...programs.map((program) => `/${program}`)], {
    timeout: LIST_MS,
  });
  for (const [, file = ''] of stdout.matchAll(/(?:=> |^\s+)(\/\S+) \(/gm)) found.add(file.slice(1));
  const folder = path.dirname([...found].find((file) => file.endsWith('/libc.so.6')) ?? '');
  for (const part of GLIBC_PARTS) if (existsSync(path.join(root, folder, part))) found.add(path.join(folder, part));
  return [...found].sort();
}

function fingerprint(root: string, files: readonly string[]): string {
  const hash = createHash('sha256');
  for (const file of files) {
    const { size, mtimeMs } = statSync(path.join(root, file));
    hash.update(`${file} ${size} ${Math.round(mtimeMs)}\n`);
  }
  return hash.digest('hex').slice(0, 12);
}

async function importImage(docker: DockerClient, root: string, files: readonly string[], image: string): Promise<void> {
  const stage = await mkdtemp(path.join(os.tmpdir(), 'forge-base-'));
  try {
    await layOut(stage, root, files);
    const tar = spawn('tar', ['-C', stage, '--owner=0', '--group=0', '--numeric-owner', '-c', '.'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await docker.run(['import', '--change', 'CMD ["/bin/sh"]', '-', image], tar.stdout);
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

/** Files keep one copy each: whatever is a link in the root is the file itself here, under the folders' merged names. */
async function layOut(stage: string, root: string, files: readonly string[]): Promise<void> {
  for (const folder of ['usr/bin', 'usr/sbin', 'usr/lib', 'usr/lib64', 'usr/local/bin', 'etc', 'run', 'var', 'root']) {
    await mkdir(path.join(stage, folder), { recursive: true });
  }
  for (const folder of ['bin', 'sbin', 'lib', 'lib64']) await symlink(`usr/${folder}`, path.join(stage, folder));
  await mkdir(path.join(stage, 'tmp'));
  await chmod(path.join(stage, 'tmp'), 0o1777);
  for (const file of files) {
    const merged = /^(bin|sbin|lib|lib64)\//.test(file) ? `usr/${file}` : file;
    const target = path.join(stage, merged);
    await mkdir(path.dirname(target), { recursive: true });
    const source = realpathSync(path.join(root, file));
    await cp(source, target, { mode: constants.COPYFILE_FICLONE });
  }
  await writeFile(path.join(stage, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  await writeFile(path.join(stage, 'etc/group'), 'root:x:0:\n');
  await writeFile(path.join(stage, 'etc/nsswitch.conf'), 'passwd: files\ngroup: files\nhosts: files dns\n');
}
