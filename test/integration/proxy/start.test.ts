import { readFile, rm, stat } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { freePort, freePorts } from '../../support/ports.js';
import { type RunningProxy, runProxy, startProxy, writeConfig } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, type RedisServer, startCluster, startServers } from '../../support/redis.js';
import { command, decode, ErrorReply } from '../../support/resp.js';

const EXIT = { done: 0, usage: 2, configuration: 3, refused: 5 };

let cluster: RedisCluster;
/** Stopped after each test. */
const started: RunningProxy[] = [];

async function start(...args: Parameters<typeof startProxy>): Promise<RunningProxy> {
  const proxy = await startProxy(...args);
  started.push(proxy);
  return proxy;
}

beforeAll(async () => {
  cluster = await startCluster();
});

afterEach(async () => {
  await Promise.all(started.splice(0).map((proxy) => proxy.stop()));
});

afterAll(() => cluster?.stop());

describe('a proxy that finds no node', () => {
  const servers: RedisServer[] = [];
  afterEach(() => Promise.all(servers.splice(0).map((server) => server.stop())));

  it('waits and says so at /ready, and serves as soon as a cluster is there', async () => {
    const ports = await freePorts(2);
    const proxy = await start({
      config: {
        listeners: [{ cluster: 'main' }],
        clusters: [
          {
            name: 'main',
            endpoints: ports.map((port) => `127.0.0.1:${port}`),
            connect_timeout: '300ms',
            settings: { op_timeout: '1s' },
          },
        ],
      },
      until: 'listening',
    });
    const ready = await proxy.page('/ready');
    expect([ready.status, ready.body]).toEqual([503, 'PRE_INITIALIZING\n']);
    const client = await RawClient.connect({ port: proxy.port });
    expect(await client.call('PING')).toBe('PONG');
    const before = performance.now();
    const [get, mget] = (await client.pipeline([
      ['GET', 'a'],
      ['MGET', 'a', 'b'],
    ])) as ErrorReply[];
    expect(get).toEqual(new ErrorReply('no upstream host'));
    expect(mget).toBeDefined();
    expect(performance.now() - before).toBeLessThan(4_000);

    // What is asked while the cluster comes up is answered once it is there, when that is within the op_timeout.
    const [first, second] = ports;
    servers.push(
      ...(await Promise.all(ports.map(async (port) => (await startServers(1, { port, cluster: true }))[0]!))),
    );
    await servers[0]!.call('CLUSTER', 'ADDSLOTSRANGE', 0, 8000);
    await servers[1]!.call('CLUSTER', 'ADDSLOTSRANGE', 8001, 16383);
    await servers[0]!.call('CLUSTER', 'MEET', '127.0.0.1', second!);
    await poll('the proxy is ready', 10_000, async () => (await proxy.page('/ready')).status === 200);
    await poll('it serves all slots', 10_000, async () => {
      const replies = await client.pipeline([
        ['MSET', 'a', '1', 'b', '2', 'c', '3'],
        ['MGET', 'a', 'b', 'c'],
      ]);
      return replies[0] === 'OK' && String(replies[1]) === '1,2,3';
    });
    expect(first).toBeDefined();
    expect(proxy.stderr()).toContain('cannot read the topology');
    expect(proxy.stderr()).toContain('the topology is readable again');
    client.close();
  });

  it('holds back clients that send much meanwhile, and keeps its memory small', async () => {
    const proxy = await start({
      config: {
        listeners: [{ cluster: 'main' }],
        clusters: [{ name: 'main', endpoints: [`127.0.0.1:${await freePort()}`], settings: { op_timeout: '300ms' } }],
      },
      until: 'listening',
    });
    const before = proxy.rssBytes();
    const clients = await Promise.all(Array.from({ length: 4 }, () => RawClient.connect({ port: proxy.port })));
    const set = command('SET', 'much', Buffer.alloc(100_000, 'v'));
    for (const client of clients) client.send(Buffer.concat(Array.from({ length: 500 }, () => set)));
    for (const client of clients) {
      for (const reply of await client.raw(100)) expect(decode(reply)).toEqual(new ErrorReply('no upstream host'));
    }
    expect((proxy.rssBytes() - before) / 2 ** 20).toBeLessThan(150);
    for (const client of clients) client.close();
  });

  it('asks only nodes of a cluster: a server that is none is no help, and is named', async () => {
    const [lone] = await startServers(1);
    servers.push(lone!);
    const proxy = await start({ cluster: lone!.address, until: 'listening' });
    await poll('it is logged', 5_000, () => proxy.stderr().includes('cluster support disabled'));
    expect(proxy.stderr()).toContain(lone!.address);
    expect((await proxy.page('/ready')).status).toBe(503);
  });

  it('needs only one of the given nodes to answer', async () => {
    const silent = net.createServer((socket) => socket.on('error', () => {}));
    const port = await freePort();
    await new Promise<void>((resolve) => silent.listen(port, '127.0.0.1', resolve));
    const proxy = await start({
      cluster: `127.0.0.1:${await freePort()},127.0.0.1:${port},${cluster.nodes[1]!.address}`,
    });
    const client = await RawClient.connect({ port: proxy.port });
    expect(await client.call('SET', 'one', 'node')).toBe('OK');
    client.close();
    silent.close();
  });
});

describe('a proxy that cannot start', () => {
  it('because a client or admin port is in use ends with 5 and names the port', async () => {
    const port = await freePort();
    const holder = net.createServer();
    await new Promise<void>((resolve) => holder.listen(port, '127.0.0.1', resolve));
    const other = await freePort();
    const common = ['--cluster', cluster.addresses, '--workers', '2'];
    for (const [listen, admin] of [
      [port, other],
      [other, port],
    ]) {
      const result = await runProxy([...common, '--listen', `127.0.0.1:${listen}`, '--admin', `127.0.0.1:${admin}`]);
      expect(result.code).toBe(EXIT.refused);
      expect(result.stderr).toContain(`127.0.0.1:${port} is in use`);
      expect(result.stderr).not.toMatch(/^\s+at /m);
    }
    holder.close();
  });

  it('because another proxy has its port leaves that one alone', async () => {
    const first = await start({ cluster: cluster.addresses, workers: 2 });
    const client = await RawClient.connect({ port: first.port });
    const result = await runProxy([
      ...['--cluster', cluster.addresses, '--listen', first.address],
      ...['--admin', `127.0.0.1:${await freePort()}`],
    ]);
    expect(result.code).toBe(EXIT.refused);
    expect(result.stderr).toContain(`${first.address} is in use`);
    for (let i = 0; i < 20; i++) {
      const another = await RawClient.connect({ port: first.port });
      expect(await another.call('PING')).toBe('PONG');
      another.close();
    }
    expect(await client.call('PING')).toBe('PONG');
    client.close();
  });

  it.each([
    [['--cluster'], /usage/],
    [[], /--config FILE or --cluster/],
    [['--bogus'], /bogus/],
    [['--cluster', 'nowhere'], /--cluster.*host:port/],
    [['--cluster', '127.0.0.1:1', '--listen', 'x'], /--listen.*host:port/],
    [['--cluster', '127.0.0.1:1', '--workers', '0'], /--workers/],
    [['--cluster', '127.0.0.1:1', '--workers', 'many'], /--workers/],
    [['--config', '/tmp/none.yaml', '--cluster', '127.0.0.1:1'], /--cluster and --config exclude each other/],
  ])('because of its command line %j ends with 2 and says how it is used', async (words, expected) => {
    const { code, stderr } = await runProxy(words);
    expect(code).toBe(EXIT.usage);
    expect(stderr).toMatch(expected);
    expect(stderr).toContain('usage: forge-proxy');
  });
});

describe('a configuration', () => {
  const good = `admin: { address: 127.0.0.1:9901 }
listeners:
  - address: 127.0.0.1:6379
    cluster: main
clusters:
  - name: main
    endpoints: [127.0.0.1:7001]
`;

  /** Checks a configuration; gives the exit code and what was said. */
  async function check(text: string, env: Record<string, string> = {}) {
    const { file, dir } = await writeConfig(text);
    const { code, stdout, stderr } = await runProxy(['--config', file, '--check'], env);
    await rm(dir, { recursive: true });
    return { code, text: `${stdout}${stderr}`.replaceAll(file, 'proxy.yaml') };
  }

  it('that is good is checked without starting anything', async () => {
    expect(await check(good)).toEqual({ code: EXIT.done, text: 'proxy.yaml: the configuration is valid\n' });
  });

  it.each([
    [
      'an unknown key',
      good.replace('endpoints', 'endpoint'),
      /proxy\.yaml:7:5: clusters\[0\]\.endpoint: .*did you mean 'endpoints'/,
    ],
    ['an unknown key at the top', `${good}worker: 2\n`, /proxy\.yaml:8:1: worker: .*did you mean 'workers'/],
    ['a setting of the wrong kind', `${good}workers: many\n`, /proxy\.yaml:8:10: workers: .*number/i],
    [
      'a cluster that is not there',
      good.replace('cluster: main', 'cluster: other'),
      /proxy\.yaml:4:14: listeners\[0\]\.cluster: no cluster is named 'other'/,
    ],
    [
      'a bad address',
      good.replace('127.0.0.1:7001', 'localhost'),
      /proxy\.yaml:7:17: clusters\[0\]\.endpoints\[0\]\.address: host:port/,
    ],
    [
      'a bad duration',
      `${good}    connect_timeout: 5\n`,
      /proxy\.yaml:8:22: clusters\[0\]\.connect_timeout: a duration such as/,
    ],
    ['a duration out of bounds', `${good}    connect_timeout: 1ms\n`, /proxy\.yaml:8:22: .*between 10 ms/],
    ['a missing list', 'listeners: []\n', /clusters: missing/],
    ['no YAML', 'listeners: [\n', /proxy\.yaml:\d+:\d+: /],
    ['nothing at all', '', /listeners: missing/],
    [
      'a password that is not set',
      `${good}    auth_password: { environment: NOT_SET }\n`,
      /auth_password: .*NOT_SET is not set/,
    ],
    [
      'a password file that is not there',
      `${good}    auth_password: { filename: /none/such }\n`,
      /auth_password: cannot read \/none\/such: ENOENT/,
    ],
    [
      'two places for one password',
      `${good}    auth_password: { inline: in-line-secret, environment: X }\n`,
      /auth_password: exactly one of/,
    ],
  ])('with %s is refused with 3, naming the line and the key', async (_name, text, expected) => {
    const result = await check(text);
    expect(result.text).toMatch(expected);
    expect(result.code).toBe(EXIT.configuration);
    expect(result.text).not.toMatch(/^\s+at /m);
    expect(result.text).not.toContain('in-line-secret');
  });

  it('that cannot be read is refused with 3', async () => {
    const { code, stderr } = await runProxy(['--config', '/none/such.yaml', '--check']);
    expect(code).toBe(EXIT.configuration);
    expect(stderr).toBe('/none/such.yaml: cannot read the file: ENOENT\n');
  });

  it('may leave out the admin pages', async () => {
    const port = await freePort();
    const { file, dir } = await writeConfig({
      listeners: [{ address: `127.0.0.1:${port}`, cluster: 'main' }],
      clusters: [{ name: 'main', endpoints: [cluster.nodes[0]!.address] }],
    });
    expect((await runProxy(['--config', file, '--check'])).code).toBe(EXIT.done);
    await rm(dir, { recursive: true });
  });
});

describe('SIGTERM and SIGINT', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('%s: what is on its way is answered, then it ends with 0', async (signal) => {
    const { file, dir } = await writeConfig('');
    const pidFile = path.join(dir, 'proxy.pid');
    const proxy = await start({ cluster: cluster.addresses, workers: 2, args: ['--pid-file', pidFile] });
    expect(Number(await readFile(pidFile, 'utf8'))).toBe(proxy.pid);
    expect(file).toContain(dir);
    const clients = await Promise.all(Array.from({ length: 8 }, () => RawClient.connect({ port: proxy.port })));
    for (const client of clients) await client.call('PING');
    const slow =
      'local t = redis.call("TIME") local e = t[1] * 1000000 + t[2] + 300000 repeat t = redis.call("TIME") until t[1] * 1000000 + t[2] > e return "done"';
    for (const client of clients) client.send(command('EVAL', slow, 0));
    await poll('all commands are on their way', 5_000, async () => {
      const { hosts } = JSON.parse((await proxy.page('/clusters?format=json')).body) as {
        hosts: { rq_active: number }[];
      };
      return hosts.reduce((sum, host) => sum + host.rq_active, 0) === clients.length;
    });
    const idle = await RawClient.connect({ port: proxy.port });
    await idle.call('PING');
    proxy.signal(signal);
    for (const client of clients) expect(decode((await client.raw(1))[0]!)).toBe('done');
    await Promise.all([idle, ...clients].map((client) => client.untilClosed()));
    expect(await proxy.ended).toEqual({ code: 0, signal: null });
    expect(proxy.stderr()).toContain('drained');
    await expect(stat(pidFile)).rejects.toThrow('ENOENT');
    await expect(RawClient.connect({ port: proxy.port })).rejects.toThrow('ECONNREFUSED');
    await rm(dir, { recursive: true });
  });

  it('a client that never takes its replies does not keep it from ending', async () => {
    const proxy = await start({ cluster: cluster.addresses });
    const client = await RawClient.connect({ port: proxy.port });
    await client.call('SET', 'stuck', Buffer.alloc(1024 * 1024));
    client.socket.pause();
    client.send(Buffer.concat(Array.from({ length: 40 }, () => command('GET', 'stuck'))));
    await poll('it is stuck', 5_000, async () => {
      const stats = await proxy.stats('upstream_rq_total');
      return stats['cluster.main.upstream_rq_total']! >= 41;
    });
    const before = performance.now();
    proxy.signal('SIGTERM');
    expect((await proxy.ended).code).toBe(0);
    expect(performance.now() - before).toBeLessThan(7_000);
    client.close();
  });

  it('while it waits for a cluster ends it at once', async () => {
    const proxy = await start({ cluster: `127.0.0.1:${await freePort()}`, until: 'listening' });
    const before = performance.now();
    proxy.signal('SIGTERM');
    expect(await proxy.ended).toEqual({ code: 0, signal: null });
    expect(performance.now() - before).toBeLessThan(2_000);
  });
});

describe('--version and --help', () => {
  it('are answered on standard output, with 0', async () => {
    const [version, help] = await Promise.all([runProxy(['--version']), runProxy(['--help'])]);
    expect([version.code, help.code]).toEqual([0, 0]);
    expect(version.stdout).toMatch(/^forge-proxy\/\d+\.\d+\.\d+ /);
    expect(help.stdout).toContain('--config FILE');
    expect(version.stderr + help.stderr).toBe('');
  });
});
