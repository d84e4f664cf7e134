/**
 * npm run bench:backup: forge backup beside `redis-cli --rdb - | gzip | rclone rcat`, to the same S3 store in the same run, in
 * turns; then three shards one after the other and side by side. Needs the built command line (node scripts/build.js),
 * rclone, and nothing else on the machine. Linux only (/proc).
 *
 *   npm run bench:backup
 *     -- --megabytes N   1,000 when not given
 *        --rounds N      3 when not given; figures are medians
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { Command } from '../../src/cluster/node-connection.js';
import { type RedisCluster, type RedisServer, startCluster } from '../support/redis.js';
import { ROOT } from '../support/repository.js';
import { startS3, type TestS3 } from '../support/s3.js';
import { median } from './statistics.js';

const MIB = 1024 * 1024;
const VALUE_BYTES = 1_024;
const BATCH = 2_000;
/** Values are pieces of it: half of what they hold can be compressed away, as in records of an application. */
const POOL_BYTES = 4 * MIB;
const LOOK_MS = 50;

interface Figure {
  readonly seconds: number;
  /** The most that any of its processes had in memory, MiB. */
  readonly memory: number;
}

const { values } = parseArgs({
  options: {
    megabytes: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '3' },
  },
});
const megabytes = Number(values.megabytes);
const rounds = Number(values.rounds);

/** Fills every master with its part. */
async function fill(masters: readonly RedisServer[], total: number): Promise<void> {
  const pool = randomBytes(POOL_BYTES / 2).toString('hex');
  const each = Math.round((total * MIB) / VALUE_BYTES / masters.length);
  const tags = await Promise.all(masters.map(tagOf));
  await Promise.all(
    masters.map(async (master, index) => {
      const connection = await master.connect();
      for (let done = 0; done < each; done += BATCH) {
        const commands = Array.from({ length: Math.min(BATCH, each - done) }, (_, at): Command => {
          const start = Math.floor(Math.random() * (pool.length - VALUE_BYTES));
          return ['SET', `{${tags[index]}}:${done + at}`, pool.slice(start, start + VALUE_BYTES)];
        });
        const failed = (await connection.callAll(commands)).find(({ status }) => status === 'rejected');
        if (failed !== undefined) throw new Error(`it takes no keys: ${JSON.stringify(failed)}`);
      }
      connection.close();
    }),
  );
}

/** A word whose slot the master serves. */
async function tagOf(master: RedisServer): Promise<string> {
  const line = String(await master.call('CLUSTER', 'NODES'))
    .split('\n')
    .find((each) => each.includes('myself'));
  const [, first = '0', last = '16383'] = / (\d+)-(\d+)/.exec(line ?? '') ?? [];
  for (let word = 0; ; word++) {
    const slot = Number(await master.call('CLUSTER', 'KEYSLOT', `t${word}`));
    if (slot >= Number(first) && slot <= Number(last)) return `t${word}`;
  }
}

/** The process and all below it, by /proc. */
function family(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
    return [pid, ...children.flatMap((child) => family(Number(child)))];
  } catch {
    return [];
  }
}

function residentMib(pid: number): number {
  try {
    return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1_024;
  } catch {
    return 0;
  }
}

async function measured(words: readonly [string, ...string[]], env: NodeJS.ProcessEnv): Promise<Figure> {
  const began = performance.now();
  const child: ChildProcess = spawn(words[0], words.slice(1), {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  let memory = 0;
  const timer = setInterval(() => {
    for (const pid of family(child.pid ?? 0)) memory = Math.max(memory, residentMib(pid));
  }, LOOK_MS);
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  clearInterval(timer);
  if (code !== 0) throw new Error(`${words.join(' ')} ended with ${code}: ${said}`);
  return { seconds: (performance.now() - began) / 1_000, memory };
}

function forge(cluster: RedisCluster, s3: TestS3, home: string, more: readonly string[] = []): Promise<Figure> {
  const where = ['--seed', cluster.masters[0]?.address ?? '', '--to', `s3://${s3.bucket}/bench`, '--cluster', 'bench'];
  const none = ['--config', '/dev/null', '--env-file', '/dev/null', '--no-prune', '--quiet'];
  return measured([process.execPath, path.join(ROOT, 'bin/run.js'), 'backup', ...where, ...none, ...more], {
    ...s3.environment,
    FORGE_HOME: home,
  });
}

function pipeline({ port }: RedisServer, s3: TestS3, number: number): Promise<Figure> {
  const line = `set -o pipefail; redis-cli -p ${port} --rdb - 2>/dev/null | gzip | rclone rcat :s3:${s3.bucket}/pipe-${number}.rdb.gz`;
  return measured(['bash', '-c', line], {
    ...s3.environment,
    RCLONE_CONFIG: '/dev/null',
    // rclone cannot use it, and the store of tests has no TLS.
    AWS_CA_BUNDLE: undefined,
    RCLONE_S3_PROVIDER: 'Other',
    RCLONE_S3_ENV_AUTH: 'true',
    RCLONE_S3_ENDPOINT: s3.endpoint,
    RCLONE_S3_REGION: s3.region,
    RCLONE_S3_FORCE_PATH_STYLE: 'true',
    RCLONE_S3_NO_CHECK_BUCKET: 'true',
  });
}

const shown = (name: string, figures: readonly Figure[]) => {
  const seconds = median(figures.map((each) => each.seconds)) as number;
  const memory = Math.max(...figures.map((each) => each.memory));
  const rate = `${(megabytes / seconds).toFixed(0)} MB/s`;
  process.stdout.write(`| ${name} | ${seconds.toFixed(2)} s | ${rate} | ${memory.toFixed(0)} MiB |\n`);
  return seconds;
};

async function withCluster(masters: number, work: (cluster: RedisCluster) => Promise<void>): Promise<void> {
  // A server waits five seconds for a second replica unless it is told not to: nobody is measured by that.
  const cluster = await startCluster({ masters });
  try {
    await fill(cluster.masters, megabytes);
    await work(cluster);
  } finally {
    await cluster.stop();
  }
}

const home = await mkdtemp(path.join(os.tmpdir(), 'forge-bench-backup-'));
const s3 = await startS3();
try {
  process.stdout.write(`${megabytes} MB of values of ${VALUE_BYTES} bytes, ${rounds} rounds\n\n`);
  process.stdout.write('| | time | rate | most memory of a process |\n|---|---:|---:|---:|\n');
  await withCluster(1, async (cluster) => {
    const figures = { forge: [] as Figure[], pipe: [] as Figure[] };
    for (let round = 0; round < rounds; round++) {
      figures.forge.push(await forge(cluster, s3, home));
      figures.pipe.push(await pipeline(cluster.masters[0] as RedisServer, s3, round));
    }
    const one = shown('forge backup, one shard', figures.forge);
    const other = shown('redis-cli --rdb - \\| gzip \\| rclone rcat', figures.pipe);
    process.stdout.write(`| | ${((100 * one) / other).toFixed(0)} % | | |\n`);
  });
  await withCluster(3, async (cluster) => {
    const figures = { one: [] as Figure[], three: [] as Figure[] };
    for (let round = 0; round < rounds; round++) {
      figures.one.push(await forge(cluster, s3, home, ['--parallel', '1']));
      figures.three.push(await forge(cluster, s3, home, ['--parallel', '3']));
    }
    shown('three shards, one after the other', figures.one);
    shown('three shards side by side', figures.three);
  });
} finally {
  await s3.stop();
  await rm(home, { recursive: true, force: true });
}
