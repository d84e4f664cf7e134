/** Clocks that are set to another hour in the middle of a move: of forge, of its nodes, of all of them, each their own way. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseAddressList } from '../../../src/cluster/address.js';
import { initCluster } from '../../../src/cluster/init/init-cluster.js';
import { TestOperator } from '../../support/operations/operator.js';
import { Traffic } from '../../support/operations/traffic.js';
import { type RedisServer, startRedis } from '../../support/redis.js';
import { addressesOf } from '../cluster/formed.js';
import { fill } from '../operations/move/moving.js';
import { type AtSignal, atSignal } from './at-signal.js';
import { FULL } from './kills.js';
import { expectSound } from './sound.js';

const PASSWORD = 'clock secret';
const KEYS = 6_000;
const RUN_MS = 180_000;
const HOUR_SECONDS = 3_600;
const OFFSET_BYTES = 8;
const WHO = ['source', 'target', 'bystander', 'forge'] as const;
/** Amid the marks, amid the keys, amid the end of groups. */
const MOMENTS = FULL ? [1, 33, 66, 75, 90, 150, 301, 501] : [75];

type Hours = Partial<Record<(typeof WHO)[number], 1 | -1>>;
const ALL_AT_ONCE: Hours[] = [{ source: -1, target: 1, forge: -1 }];
const ONE_BY_ONE: Hours[] = WHO.flatMap((who) => [{ [who]: 1 }, { [who]: -1 }]);
const cases = MOMENTS.flatMap((mutation) =>
  [...ALL_AT_ONCE, ...(FULL ? ONE_BY_ONE : [])].map((hours) => ({ hours: JSON.stringify(hours), mutation })),
);

let directory: string;
/** Undefined where it cannot be built: other than Linux, no compiler. */
let library: string | undefined;

beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-clock-'));
  const file = path.join(directory, 'wall-clock.so');
  const source = path.resolve(import.meta.dirname, 'wall-clock.c');
  const built = spawnSync('cc', ['-shared', '-fPIC', '-O2', '-o', file, source], { stdio: 'inherit' });
  if (process.platform === 'linux' && built.status === 0) library = file;
});
afterAll(() => rm(directory, { recursive: true, force: true }));

let made = 0;

/** The wall clock of one process, which may be set. */
class WallClock {
  readonly file = path.join(directory, `offset-${made++}`);
  readonly words = ['env', `LD_PRELOAD=${library}`, `WALL_CLOCK_OFFSET=${this.file}`];

  async begin(): Promise<this> {
    await writeFile(this.file, Buffer.alloc(OFFSET_BYTES));
    return this;
  }

  /** A program that runs with this clock: where only a path is taken. */
  async executable(program: string): Promise<string> {
    const file = `${this.file}-program`;
    await writeFile(file, `#!/bin/sh\nexec ${this.words.join(' ')} ${program} "$@"\n`, { mode: 0o755 });
    return file;
  }
}

function setAtSignal(settings: readonly { clock: WallClock; seconds: number }[]): Promise<AtSignal> {
  const list = JSON.stringify(settings.map(({ clock, seconds }) => [clock.file, seconds]));
  return atSignal(`const fs = require('node:fs'); for (const [file, seconds] of ${list}) {
    const bytes = Buffer.alloc(${OFFSET_BYTES}); bytes.writeBigInt64LE(BigInt(seconds));
    fs.writeSync(fs.openSync(file, 'r+'), bytes, 0, ${OFFSET_BYTES}, 0);
  }`);
}

it.concurrent.each(cases)(
  'a move does not care that clocks jump by hours $hours at its change $mutation',
  { timeout: RUN_MS },
  async ({ hours, mutation }) => {
    if (library === undefined) {
      if (process.env['CI']) throw new Error('no clock can be set here: that takes Linux and a C compiler (gcc)');
      return;
    }
    const clocks = await Promise.all(WHO.map(() => new WallClock().begin()));
    const jumps = Object.entries(JSON.parse(hours) as Hours).map(([who, hour]) => ({
      clock: clocks[WHO.indexOf(who as (typeof WHO)[number])] as WallClock,
      seconds: hour * HOUR_SECONDS,
    }));
    const nodes: RedisServer[] = [];
    let operator: TestOperator | undefined;
    let traffic: Traffic | undefined;
    let setter: AtSignal | undefined;
    try {
      for (const clock of clocks.slice(0, 3)) {
        const executable = await clock.executable('redis-server');
        nodes.push(await startRedis({ cluster: true, requirepass: PASSWORD, executable }));
      }
      await initCluster({ nodes: addressesOf(nodes), replicasPerMaster: 0, connect: { password: PASSWORD } });
      await fill(nodes, KEYS);
      const seeds = nodes.map(({ address }) => address).join(',');
      operator = await TestOperator.create({ REDIS_REQUIREPASS: PASSWORD, CLUSTER_SEED: seeds });
      traffic = await Traffic.start(parseAddressList(seeds), { password: PASSWORD });
      setter = await setAtSignal(jumps);
      const [source, target] = nodes as [RedisServer, RedisServer];
      const argv = ['--from', source.address, '--to', target.address, '--slots', '200'];
      const result = await operator.run('cluster/reshard', argv, {
        death: { mutation },
        victim: { pid: setter.pid, signal: 'SIGTERM' },
        wrapper: clocks[WHO.indexOf('forge')]?.words,
      });
      expect(await setter.done).toBe(0);
      await expectJumped(nodes, JSON.parse(hours) as Hours);
      expect(result.code, result.stderr).toBe(0);
      await expectSound({ nodes, keys: KEYS, traffic, name: `${hours} ${mutation}` });
      expect(traffic.errors).toEqual([]);
    } finally {
      setter?.end();
      await traffic?.stop();
      await Promise.all([...nodes.map((node) => node.stop()), operator?.remove()]);
    }
  },
);

async function expectJumped(nodes: readonly RedisServer[], hours: Hours): Promise<void> {
  for (const [index, node] of nodes.entries()) {
    const [seconds] = (await node.call('TIME')) as string[];
    const off = Number(seconds) - Date.now() / 1_000;
    expect(Math.round(off / HOUR_SECONDS) + 0, node.address).toBe(hours[WHO[index] as (typeof WHO)[number]] ?? 0);
  }
}
