/**
 * Beside nutcracker, where it can play: servers of their own, no cluster, commands for single keys. The same servers, the same
 * moment, the same work.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { rawEndpoint } from '../../src/drills/link/raw.js';
import type { Bounds } from '../../src/drills/verdict.js';
import { chance, DRILL_MS, Matrix, START_MS, WORKLOAD } from '../support/drills/matrix.js';
import { startNutcracker } from '../support/drills/nutcracker.js';
import { freePorts } from '../support/ports.js';
import { type RunningProxy, startProxy } from '../support/proxy.js';
import { poll, type RedisServer, startRedis } from '../support/redis.js';

const SERVERS = 3;
/** As long as a supervisor may take to start a server again; shorter than the proxy's `op_timeout`. */
const AWAY_MS = 2_000;
const BACK_MS = 20_000;
/** While it is away, and what it takes to be found again. Nothing is lost: its file has what it acknowledged. */
const BOUNDS: Bounds = { losses: 0, longestPauseMs: AWAY_MS + 1_000 };
const SINGLE_KEYS = { ...WORKLOAD, pairs: 0, channels: 0, queues: 0 };

const matrix = new Matrix('peers', 'nutcracker');
const random = chance('peers');
let folder: string;
let ports: number[];
let servers: RedisServer[];
let proxy: RunningProxy;

async function startServer(port: number): Promise<RedisServer> {
  const directory = path.join(folder, String(port));
  await mkdir(directory, { recursive: true });
  return startRedis({ port, args: ['--dir', directory, '--appendonly', 'yes', '--appendfsync', 'everysec'] });
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'forge-peers-'));
  ports = await freePorts(SERVERS);
  servers = await Promise.all(ports.map(startServer));
  proxy = await startProxy({
    config: {
      workers: 1,
      listeners: [{ cluster: 'main' }],
      clusters: [{ name: 'main', type: 'sharded', endpoints: servers.map(({ address }) => address) }],
    },
  });
}, START_MS);

afterAll(async () => {
  await proxy?.stop();
  await Promise.all((servers ?? []).map((server) => server.stop()));
  await rm(folder, { recursive: true, force: true });
  await matrix.save();
}, START_MS);

async function beside(eject: boolean, options: Pick<Parameters<Matrix['drill']>[1], 'name' | 'disturb'>) {
  const peer = await startNutcracker({ servers: servers.map(({ address }) => address), directory: folder, eject });
  try {
    const stand = {
      endpoint: rawEndpoint({ host: '127.0.0.1', port: proxy.port }),
      beside: async () => peer.endpoint,
      whole: () =>
        poll('all servers answer', BACK_MS, async () => {
          const answers = await Promise.all(servers.map((server) => server.call('PING').catch(() => '')));
          return answers.every((answer) => answer === 'PONG');
        }).then(() => undefined),
    };
    await matrix.drill(stand, { ...options, workload: SINGLE_KEYS, bounds: BOUNDS });
  } finally {
    await peer.stop();
  }
}

describe.each([
  ['with ejection', true],
  ['without ejection', false],
])('beside nutcracker %s', (words, eject) => {
  it('a server is killed and started again', { timeout: DRILL_MS }, async () => {
    await beside(eject, {
      name: `kill -9 of one of three servers, back after 2 s; ${words}`,
      disturb: async (tell) => {
        const index = Math.floor(random() * SERVERS);
        const server = servers[index] as RedisServer;
        tell(`kill -9 of ${server.port}`);
        await server.stop();
        await sleep(AWAY_MS);
        servers[index] = await startServer(server.port);
        tell('started again');
      },
    });
  });

  it('a server hangs', { timeout: DRILL_MS }, async () => {
    await beside(eject, {
      name: `SIGSTOP of one of three servers for 2 s; ${words}`,
      disturb: async (tell) => {
        const server = servers[Math.floor(random() * SERVERS)] as RedisServer;
        tell(`SIGSTOP of ${server.port}`);
        await server.kill('SIGSTOP');
        await sleep(AWAY_MS);
        await server.kill('SIGCONT');
        tell('SIGCONT');
      },
    });
  });
});
