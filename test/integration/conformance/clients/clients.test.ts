import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from '../../../support/proxy.js';
import { type RedisCluster, type RedisServer, startCluster, startRedis } from '../../../support/redis.js';
import { IOREDIS } from './ioredis.js';
import { nodeRedis } from './node-redis.js';
import { runPart, type Session } from './session.js';

const PROGRAM_MS = 60_000;
const PARTS = ['pubsub', 'transactions', 'blocking', 'scan', 'scripts', 'streams'];

let cluster: RedisCluster;
let server: RedisServer;
let proxy: RunningProxy;

beforeAll(async () => {
  [cluster, server] = await Promise.all([startCluster(), startRedis()]);
  proxy = await startProxy({ cluster: cluster.addresses, workers: 2 });
});

afterAll(async () => {
  await proxy?.stop();
  await Promise.all([cluster?.stop(), server?.stop()]);
});

beforeEach(async () => {
  await Promise.all([...cluster.nodes, server].map((node) => node.call('FLUSHALL')));
});

const SESSIONS: [string, Session<unknown>][] = [
  ['ioredis', IOREDIS as Session<unknown>],
  ['node-redis in RESP2', nodeRedis(2) as Session<unknown>],
  ['node-redis in RESP3', nodeRedis(3) as Session<unknown>],
];

const PROGRAMS: [string, string, string][] = [
  ["Python's redis", '/usr/bin/python3', 'session.py'],
  ["Ruby's redis", '/usr/bin/ruby', 'session.rb'],
];

async function run(program: string, args: readonly string[]) {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: PROGRAM_MS });
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', (error) => reject(new Error(`${program} is needed for this test: ${error.message}`)));
    child.once('close', resolve);
  });
  return { code, stderr };
}

// The session against one server shows that the session is right; the same through the proxy, that the proxy is.
describe.each(['one server', 'the proxy'])('an application on %s', (endpoint) => {
  const port = () => (endpoint === 'the proxy' ? proxy.port : server.port);

  describe.each(SESSIONS)('with %s', (_, session) => {
    it.each(PARTS)('uses %s', (part) => runPart(session, part, port()));
  });

  describe.each(PROGRAMS)('with %s', (_, program, script) => {
    it.each(PARTS)('uses %s', async (part) => {
      const file = fileURLToPath(new URL(script, import.meta.url));
      const { code, stderr } = await run(program, [file, String(port()), part]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    });
  });
});
