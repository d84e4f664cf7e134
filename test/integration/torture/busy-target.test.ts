/** A target that cannot take keys for a while: it loads its data, or a script keeps it busy. */
import { afterEach, describe, expect, it } from 'vitest';
import { TestOperator } from '../../support/operations/operator.js';
import { poll, type RedisCluster, type RedisServer, startCluster, startRedis } from '../../support/redis.js';
import { fill } from '../operations/move/moving.js';
import { FULL } from './kills.js';
import { expectSound } from './sound.js';

const PASSWORD = 'busy secret';
const KEYS = 6_000;
const RUN_MS = 120_000;
const LOADS_MS = 30_000;
/** Amid the keys of a group. */
const AMID = 75;
/** What is acknowledged survives the process. */
const KEPT = ['--appendonly', 'yes'];
/** Loading takes seconds, in which the node answers LOADING. */
const SLOW_START = ['--key-load-delay', '2000', '--loading-process-events-interval-bytes', '1024'];
const SCRIPT_MS = 3_000;
const SCRIPT = `
local function now() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end
local till = now() + tonumber(ARGV[1])
while now() < till do end`;

let cluster: RedisCluster;
let again: RedisServer | undefined;
let operator: TestOperator;
let source: RedisServer;
let target: RedisServer;

async function start(): Promise<string[]> {
  cluster = await startCluster({ masters: 3, requirepass: PASSWORD, args: KEPT });
  [source, target] = cluster.masters as [RedisServer, RedisServer];
  operator = await TestOperator.create({ REDIS_REQUIREPASS: PASSWORD, CLUSTER_SEED: source.address });
  await fill(cluster.masters, KEYS);
  // Between two keys of a snapshot a server that loads answers; between two commands of its log it seldom does.
  await target.call('BGREWRITEAOF');
  await poll('the log is rewritten', LOADS_MS, async () => {
    const info = String(await target.call('INFO', 'persistence'));
    return /aof_rewrite_in_progress:0/.test(info) && /aof_rewrite_scheduled:0/.test(info);
  });
  return ['--to', target.address, '--from', source.address, '--ranges', '0-399'];
}
afterEach(async () => {
  await again?.stop();
  again = undefined;
  await Promise.all([cluster.stop(), operator.remove()]);
});

/** The same node, which loads its data slowly. Resolves when the process is there and says LOADING. */
async function comeback(): Promise<void> {
  const { port, dir } = target;
  const starting = startRedis({
    cluster: true,
    requirepass: PASSWORD,
    port,
    args: ['--dir', dir, ...KEPT, ...SLOW_START],
  });
  starting.then(
    (server) => {
      again = server;
    },
    () => undefined,
  );
  await poll('it loads', LOADS_MS, async () => {
    const reply = await target.call('PING').catch((error) => String(error));
    return /LOADING/.test(String(reply));
  });
}

const nodes = () => cluster.nodes.map((node) => (node === target ? (again ?? node) : node));

describe('a target that', { timeout: RUN_MS }, () => {
  it.runIf(FULL)('restarts with much to load is waited for, within the bound of --timeout', async () => {
    const argv = await start();
    const running = operator.start('cluster/reshard', argv, {
      death: { mutation: AMID },
      victim: { pid: target.pid, signal: 'SIGKILL' },
    });
    await poll('it is dead', LOADS_MS, async () => (await target.call('PING').catch(() => undefined)) === undefined);
    await comeback();
    const { code, stderr } = await running.ended;
    expect(code, stderr).toBe(0);
    await expectSound({ nodes: nodes(), keys: KEYS, name: 'loaded' });
  });

  it('loads for longer than that is named, and resume finishes when it is ready', async () => {
    const argv = await start();
    const running = operator.start('cluster/reshard', [...argv, '--timeout', '1s'], {
      death: { mutation: AMID },
      victim: { pid: target.pid, signal: 'SIGKILL' },
    });
    await poll('it is dead', LOADS_MS, async () => (await target.call('PING').catch(() => undefined)) === undefined);
    await comeback();
    const { code, stderr } = await running.ended;
    expect([4, 7, 8], stderr).toContain(code);
    expect(stderr).toContain(target.address);
    const loading = await operator.run('cluster/reshard', [...argv, '--timeout', '1s']);
    if (again === undefined) expect([4, 5, 7, 8, 9], loading.stderr).toContain(loading.code);
    await poll('it has loaded', LOADS_MS, () => again !== undefined);
    if (loading.code !== 0) await operator.succeed('resume', [/\d{8}-\d{6}-[0-9a-f]{6}/.exec(stderr)?.[0] ?? '']);
    await expectSound({ nodes: nodes(), keys: KEYS, name: 'loaded later' });
  });

  it.runIf(FULL)('is kept busy by a script is waited for', async () => {
    const argv = await start();
    await target.call('CONFIG', 'SET', 'busy-reply-threshold', '50');
    const running = operator.start('cluster/reshard', [...argv, '--keys-per-second', '100']);
    await running.said(/[1-9]\d* of 400 slots/);
    const script = target.call('EVAL', SCRIPT, 0, SCRIPT_MS);
    await poll('it is busy', LOADS_MS, async () =>
      /BUSY/.test(String(await target.call('GET', 'key:1').catch((error) => error))),
    );
    const { code, stderr } = await running.ended;
    await script;
    expect(code, stderr).toBe(0);
    await expectSound({ nodes: nodes(), keys: KEYS, name: 'was busy' });
  });
});
