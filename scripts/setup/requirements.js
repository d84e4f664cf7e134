// @ts-check
// The programs that npm cannot bring, how to see whether they are there, and what they are called elsewhere.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { run } from '../support/run.js';

/** The oldest server whose commands the local cluster uses, as [major, minor]. */
export const OLDEST_REDIS = [7, 0];
const PROBE_MS = 5_000;
/** Folders that a login shell has and a cron job or a service may not. */
const USUAL_FOLDERS = ['/usr/bin', '/usr/local/bin', '/usr/sbin', '/usr/local/sbin', '/opt/homebrew/bin'];

/**
 * @typedef {object} Requirement
 * @property {string} what in words
 * @property {() => Promise<boolean>} isThere
 * @property {Record<string, string>} packages the package by package manager
 * @property {string} [service] what Debian's package starts by itself on systemd, unasked
 */

/** @type {Record<'redis' | 'redisCli' | 'pythonClient' | 'rubyClient' | 'haproxy' | 'openssl' | 'prometheus' | 'alertmanager' | 'redisExporter' | 'nodeExporter' | 'sshd' | 'registry' | 'swift' | 'nutcracker', Requirement>} */
export const REQUIREMENTS = {
  redis: {
    what: `redis-server ${OLDEST_REDIS.join('.')} or newer`,
    isThere: async () => (await findRedis()) !== undefined,
    packages: { 'apt-get': 'redis-server', dnf: 'redis', brew: 'redis' },
    service: 'redis-server',
  },
  redisCli: {
    what: 'redis-cli',
    isThere: async () => which('redis-cli') !== undefined,
    packages: { 'apt-get': 'redis-tools', dnf: 'redis', brew: 'redis' },
  },
  pythonClient: {
    what: 'Python’s Redis client (python3-redis)',
    isThere: async () => (await pythonWithRedis()) !== undefined,
    packages: { 'apt-get': 'python3-redis', dnf: 'python3-redis' },
  },
  rubyClient: {
    what: 'Ruby’s Redis client (ruby-redis)',
    isThere: rubyHasRedis,
    packages: { 'apt-get': 'ruby-redis', dnf: 'rubygem-redis' },
  },
  haproxy: {
    what: 'HAProxy, the load balancer in front of several proxies',
    isThere: async () => which('haproxy') !== undefined,
    packages: { 'apt-get': 'haproxy', dnf: 'haproxy', brew: 'haproxy' },
    service: 'haproxy',
  },
  openssl: {
    what: 'openssl, which makes the tests’ certificates',
    isThere: async () => which('openssl') !== undefined,
    packages: { 'apt-get': 'openssl', dnf: 'openssl', brew: 'openssl' },
  },
  prometheus: {
    what: 'Prometheus and promtool',
    isThere: async () => which('prometheus') !== undefined && which('promtool') !== undefined,
    packages: { 'apt-get': 'prometheus', brew: 'prometheus' },
    service: 'prometheus',
  },
  alertmanager: {
    what: 'Alertmanager and amtool',
    isThere: async () => which('prometheus-alertmanager') !== undefined && which('amtool') !== undefined,
    packages: { 'apt-get': 'prometheus-alertmanager' },
    service: 'prometheus-alertmanager',
  },
  redisExporter: {
    what: 'redis_exporter, which tells Prometheus of Redis',
    isThere: async () => which('prometheus-redis-exporter') !== undefined,
    packages: { 'apt-get': 'prometheus-redis-exporter' },
    service: 'prometheus-redis-exporter',
  },
  nodeExporter: {
    what: 'node_exporter, which tells Prometheus of hosts',
    isThere: async () => which('prometheus-node-exporter') !== undefined,
    packages: { 'apt-get': 'prometheus-node-exporter' },
    service: 'prometheus-node-exporter',
  },
  registry: {
    what: 'docker-registry, from which a test takes images',
    isThere: async () => which('docker-registry') !== undefined,
    packages: { 'apt-get': 'docker-registry' },
    service: 'docker-registry',
  },
  swift: {
    what: 'Swift, a store that speaks S3 (python3-swift)',
    isThere: async () => existsSync('/usr/lib/python3/dist-packages/swift/common/middleware/s3api'),
    packages: { 'apt-get': 'python3-swift' },
  },
  sshd: {
    what: 'sshd, a host over SSH on loopback',
    // It starts as root only: the tests of others go without.
    isThere: async () => process.getuid?.() !== 0 || which('sshd') !== undefined,
    packages: { 'apt-get': 'openssh-server', dnf: 'openssh-server' },
    service: 'ssh',
  },
  nutcracker: {
    what: 'nutcracker (twemproxy), the proxy to compare with',
    isThere: async () => which('nutcracker') !== undefined,
    packages: { 'apt-get': 'nutcracker', brew: 'twemproxy' },
    service: 'nutcracker',
  },
};

/**
 * The first file of that name on the path or in the usual folders.
 * @param {string} name
 */
export function which(name) {
  const folders = [...(process.env.PATH ?? '').split(path.delimiter), ...USUAL_FOLDERS].filter(Boolean);
  return folders.map((folder) => path.join(folder, name)).find((file) => existsSync(file));
}

/**
 * The version in the words of `redis-server --version`, or of Valkey's.
 * @param {string} text
 * @returns {[number, number] | undefined} major and minor
 */
export function parseVersion(text) {
  const match = /\bv=(\d+)\.(\d+)/.exec(text);
  return match === null ? undefined : [Number(match[1]), Number(match[2])];
}

/** @param {[number, number]} version */
export function isRecentEnough([major, minor]) {
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST_REDIS;
  return major > oldestMajor || (major === oldestMajor && minor >= oldestMinor);
}

/**
 * The redis-server, or Valkey's, to use; undefined when there is none or it is too old.
 * @returns {Promise<string | undefined>}
 */
async function findRedis() {
  const file = which('redis-server') ?? which('valkey-server');
  if (file === undefined) return undefined;
  const { code, output } = await run(file, ['--version'], { timeoutMs: PROBE_MS, capture: true });
  const version = parseVersion(output);
  return code === 0 && version !== undefined && isRecentEnough(version) ? file : undefined;
}

/**
 * A Python that has the Redis client. The system's comes first: packages install into it, whatever a version manager
 * puts on the path.
 * @returns {Promise<string | undefined>}
 */
async function pythonWithRedis() {
  const find = 'import sys, importlib.util; sys.exit(importlib.util.find_spec("redis") is None)';
  for (const python of ['/usr/bin/python3', 'python3']) {
    const { code } = await run(python, ['-c', find], { timeoutMs: PROBE_MS, capture: true });
    if (code === 0) return python;
  }
  return undefined;
}

/** Whether the system's Ruby, into which packages install, has the Redis client. */
async function rubyHasRedis() {
  const { code } = await run('/usr/bin/ruby', ['-e', "gem 'redis'"], { timeoutMs: PROBE_MS, capture: true });
  return code === 0;
}

/** The version of a Docker engine that answers, or undefined. */
export async function dockerVersion() {
  if (which('docker') === undefined) return undefined;
  const format = ['info', '--format', '{{.ServerVersion}}'];
  const { code, output } = await run('docker', format, { timeoutMs: PROBE_MS, capture: true });
  return code === 0 ? output.trim() : undefined;
}
