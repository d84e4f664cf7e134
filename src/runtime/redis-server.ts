/** Which Redis server this host has, and how one node of it is described to a runtime. */
import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { ForgeError } from '../errors.js';
import { type RedisConfOptions, renderRedisConf } from '../redis-config/render.js';
import { type AclUser, renderAcl } from './acl.js';
import type { InstanceFile, InstanceSpec } from './runtime.js';
import { readTemplate, redisConfQuote, renderTemplate } from './template.js';

const run = promisify(execFile);
const VERSION_TIMEOUT_MS = 5_000;
/** templates/redis.conf uses settings that came with this version. */
const OLDEST_MAJOR = 7;
/** What a node's bus port is above its port, as Redis itself has it. */
export const BUS_PORT_OFFSET = 10_000;

export interface RedisServer {
  /** Absolute path. */
  program: string;
  version: string;
}

/**
 * The server to use: FORGE_REDIS_SERVER, else `redis-server` or `valkey-server` on the PATH.
 * @throws ForgeError `missing` when there is none or it is older than Redis 7
 */
export async function findRedisServer(environment: NodeJS.ProcessEnv = process.env): Promise<RedisServer> {
  const given = environment['FORGE_REDIS_SERVER'];
  const names = given ? [given] : ['redis-server', 'valkey-server'];
  const program = names.map((name) => findProgram(name, environment['PATH'])).find((found) => found !== undefined);
  if (program === undefined) {
    throw new ForgeError(
      'missing',
      given ? `FORGE_REDIS_SERVER: ${given} is no program.` : 'There is no redis-server.',
      {
        next: 'Install it (Debian, Ubuntu: apt install redis-server; Fedora: dnf install redis; macOS: brew install redis), or set FORGE_REDIS_SERVER to its path.',
      },
    );
  }
  const output = await run(program, ['--version'], { timeout: VERSION_TIMEOUT_MS }).catch((cause) => {
    throw new ForgeError('missing', `${program} does not run.`, { next: `Try: ${program} --version`, cause });
  });
  const version = /\bv=(\d+)(\S*)/.exec(output.stdout);
  if (version?.[1] === undefined || Number(version[1]) < OLDEST_MAJOR) {
    throw new ForgeError(
      'missing',
      `${program} is version ${version?.[0]?.slice(2) ?? 'unknown'}; Redis 7 is needed.`,
      {
        next: 'Install Redis 7 or newer, or set FORGE_REDIS_SERVER to one.',
      },
    );
  }
  return { program, version: `${version[1]}${version[2] ?? ''}` };
}

/** The absolute path of a program, looked up as a shell would. */
export function findProgram(name: string, searchPath = ''): string | undefined {
  const candidates = name.includes('/')
    ? [path.resolve(name)]
    : searchPath.split(path.delimiter).map((folder) => path.join(folder || '.', name));
  return candidates.find((candidate) => {
    try {
      accessSync(candidate, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export interface RedisNodeOptions {
  /** Absolute path of the server. */
  program: string;
  port: number;
  /** The address to listen on and to announce to the cluster. */
  host: string;
  /** The node's own folder, absolute: configuration, append-only file, nodes.conf, log. */
  directory: string;
  users: readonly AclUser[];
  /** The one of `users` that replicas log in with at their master. */
  replicationUser: string;
  /** After which silence another node is held to be down, milliseconds. */
  nodeTimeoutMs: number;
  /** Whether replicas exist that can take over; decides how soon a crashed node is restarted. */
  hasReplicas: boolean;
  /** False for a server that belongs to no cluster; true when not given. */
  clustered?: boolean;
}

/** The files of a node inside its folder. */
export const NODE_FILES = {
  config: 'redis.conf',
  auth: 'replication-auth.conf',
  acl: 'users.acl',
  log: 'redis.log',
  pid: 'redis.pid',
  /** Tells the parts of the append-only file (`appenddirname`, `appendfilename`). */
  manifest: 'appendonlydir/appendonly.aof.manifest',
} as const;

/** The instance that runs this node. Pure but for reading the templates. */
export async function redisInstance(options: RedisNodeOptions): Promise<InstanceSpec> {
  const file = (name: keyof typeof NODE_FILES) => path.join(options.directory, NODE_FILES[name]);
  const files = await redisFiles({
    config: file('config'),
    users: options.users,
    replicationUser: options.replicationUser,
    conf: {
      bind: options.host,
      port: options.port,
      busPort: options.port + BUS_PORT_OFFSET,
      files: {
        directory: options.directory,
        auth: file('auth'),
        acl: file('acl'),
        log: file('log'),
        pid: file('pid'),
      },
      announce: { ip: options.host },
      nodeTimeoutMs: options.nodeTimeoutMs,
    },
  });
  return {
    name: 'redis',
    directory: options.directory,
    program: options.program,
    // The command line wins over the file.
    args: [file('config'), ...(options.clustered === false ? ['--cluster-enabled', 'no'] : [])],
    env: { ...plainEnvironment(), SUPERVISE_MANIFEST: file('manifest') },
    files,
    restart: { delayS: restartDelayS(options), delayMaxS: 60, budget: 5, windowS: 120 },
  };
}

export interface RedisFilesOptions {
  /** Absolute path of redis.conf as the node sees it. */
  readonly config: string;
  readonly conf: RedisConfOptions;
  readonly users: readonly AclUser[];
  /** The one of `users` that replicas log in with at their master. */
  readonly replicationUser: string;
}

/** redis.conf, what it includes, and the users: for a process and for a container alike. Pure but for reading the templates. */
export async function redisFiles({ config, conf, users, replicationUser }: RedisFilesOptions): Promise<InstanceFile[]> {
  const replication = users.find((user) => user.name === replicationUser);
  if (replication === undefined) throw new Error(`redis: no user ${replicationUser}`);
  const auth = renderTemplate(await readTemplate('replication-auth.conf'), {
    user: replication.name,
    password: redisConfQuote(replication.password),
  });
  return [
    { path: config, content: renderRedisConf(await readTemplate('redis.conf'), conf), mode: 0o600 },
    { path: conf.files.auth, content: auth, mode: 0o600 },
    { path: conf.files.acl, content: renderAcl(users), mode: 0o600 },
  ];
}

/** What any program may need of the caller's environment, and none of the secrets that can be in it. */
export function plainEnvironment(environment: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const names = ['PATH', 'HOME', 'TMPDIR', 'TZ', 'LD_LIBRARY_PATH'];
  return Object.fromEntries(names.flatMap((name) => (environment[name] ? [[name, environment[name]]] : [])));
}

/**
 * How long a crashed node stays away. With replicas, long enough for one of them to be elected: it has every write that
 * was acknowledged a moment ago, and serves while this node still loads its file. The others notice after at most one
 * and a half node timeouts and elect within a second (redis: cluster.c, clusterCron and clusterHandleSlaveFailover).
 * Without replicas nobody can take over, so at once.
 */
function restartDelayS({ nodeTimeoutMs, hasReplicas }: RedisNodeOptions): number {
  return hasReplicas ? Math.ceil((2 * nodeTimeoutMs) / 1000) + 1 : 1;
}
