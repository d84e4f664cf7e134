/** Another configuration while the proxy runs: what changes, what is refused, and that nobody gets a wrong reply. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { startLoad } from '../../support/proxy-load.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, type RedisServer, startCluster, startServers } from '../../support/redis.js';
import { ErrorReply } from '../../support/resp.js';

let cluster: RedisCluster;
let servers: RedisServer[];
let proxy: RunningProxy;
const clients: RawClient[] = [];

beforeAll(async () => {
  cluster = await startCluster({ masters: 3, replicasPerMaster: 1 });
  servers = await startServers(3);
});

afterAll(async () => {
  await Promise.all((servers ?? []).map((server) => server.stop()));
  await cluster?.stop();
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await proxy?.stop();
});

const connect = async () => {
  const client = await RawClient.connect({ port: proxy.port });
  clients.push(client);
  return client;
};
const main = (changes: object = {}) => ({
  name: 'main',
  endpoints: cluster.masters.map(({ address }) => address),
  ...changes,
});
const alone = (name: string, index: number, changes: object = {}) => ({
  name,
  type: 'sharded',
  endpoints: [servers[index]!.address],
  ...changes,
});
const message = (reply: unknown) => (reply instanceof ErrorReply ? reply.message : String(reply));

describe('a reload', () => {
  it('adds clusters and routes, removes them, and keeps the numbers of the others apart', async () => {
    const routed = (prefix: string, name: string) => [
      { prefix_routes: { routes: [{ prefix, cluster: name }], catch_all_route: { cluster: 'main' } } },
    ];
    proxy = await startProxy({
      config: { workers: 2, listeners: [{ cluster: 'main' }], clusters: [main()] },
    });
    const client = await connect();
    expect(await client.call('SET', 'one:1', 'a')).toBe('OK');
    expect(await servers[0]!.call('DBSIZE')).toBe(0);

    await proxy.configure({ workers: 2, listeners: routed('one:', 'one'), clusters: [alone('one', 0), main()] });
    const dry = await proxy.reload(true);
    expect(dry).toMatchObject({ outcome: 'dry run', restart: [] });
    expect(dry.changes).toContain('clusters[one]: added');
    expect(await client.call('GET', 'one:1')).toBe('a');
    expect((await proxy.reload()).outcome).toBe('applied');
    expect(await client.call('SET', 'one:2', 'b')).toBe('OK');
    expect(await servers[0]!.call('GET', 'one:2')).toBe('b');
    expect(await client.call('MGET', 'one:2', 'one:1', 'other')).toEqual(['b', null, null]);

    await proxy.configure({ workers: 2, listeners: routed('two:', 'two'), clusters: [main(), alone('two', 1)] });
    expect((await proxy.reload()).changes).toEqual(
      expect.arrayContaining(['clusters[one]: removed', 'clusters[two]: added']),
    );
    expect(await client.call('SET', 'two:1', 'c')).toBe('OK');
    expect(await servers[1]!.call('GET', 'two:1')).toBe('c');
    expect(await client.call('GET', 'one:1')).toBe('a');
    // Nobody uses the server of the removed cluster: its connections are closed.
    await poll('the removed cluster has no connections', 5000, async () => {
      const list = String(await servers[0]!.call('CLIENT', 'LIST'));
      return list.trim().split('\n').length === 1;
    });
    const stats = await proxy.stats('upstream_cx_active');
    expect(Object.keys(stats)).toEqual(['cluster.main.upstream_cx_active', 'cluster.two.upstream_cx_active']);
    expect(JSON.parse((await proxy.page('/clusters?format=json')).body).clusters).toHaveLength(2);
  });

  it('lets a client that is blocked at a removed cluster go', async () => {
    const config = (clusters: object[], cluster: string) => ({ listeners: [{ cluster }], clusters });
    proxy = await startProxy({
      config: config([alone('one', 0, { settings: { op_timeout: '500ms' } }), main()], 'one'),
    });
    const blocked = await connect();
    const reply = blocked.ask('BLPOP', 'nothing', '0');
    await poll('it waits', 2000, async () => String(await servers[0]!.call('CLIENT', 'LIST')).includes('cmd=blpop'));
    await proxy.configure(config([main()], 'main'));
    expect((await proxy.reload()).outcome).toBe('applied');
    expect(message(await reply)).toContain('no upstream host');
    expect(await blocked.call('SET', 'after', '1')).toBe('OK');
    expect(await cluster.masters[0]!.call('CLUSTER', 'COUNTKEYSINSLOT', '0')).toBe(0);
  });

  it('moves subscriptions to the cluster that commands without a route go to now', async () => {
    const config = (cluster: string) => ({ listeners: [{ cluster }], clusters: [alone('one', 0), main()] });
    proxy = await startProxy({ config: config('one') });
    const subscriber = await connect();
    await subscriber.call('SUBSCRIBE', 'news');
    await servers[0]!.call('PUBLISH', 'news', 'before');
    expect(String((await subscriber.raw(1))[0])).toContain('before');
    await proxy.configure(config('main'));
    await proxy.reload();
    await poll('the cluster has the subscription', 5000, async () => {
      const counts = await Promise.all(cluster.nodes.map((node) => node.call('PUBSUB', 'NUMSUB', 'news')));
      return counts.some((each) => (each as [string, number])[1] === 1);
    });
    await cluster.masters[1]!.call('PUBLISH', 'news', 'after');
    expect(String((await subscriber.raw(1))[0])).toContain('after');
    await poll('the server has none', 3000, async () => {
      const [, count] = (await servers[0]!.call('PUBSUB', 'NUMSUB', 'news')) as [string, number];
      return count === 0;
    });
  });

  it('refuses what is wrong as the check does, and keeps the old one; names what needs a restart', async () => {
    const config = { workers: 1, listeners: [{ cluster: 'main' }], clusters: [main()] };
    proxy = await startProxy({ config });
    const client = await connect();
    await proxy.configure('listeners:\n  - adress: 127.0.0.1:1\n    cluster: main\nclusters: []\n');
    const refused = await proxy.reload();
    expect(refused.outcome).toBe('refused');
    expect(refused.error).toMatch(/proxy\.yaml:2:\d+: .*did you mean 'address'/);
    await poll('the log says it too', 5000, () => proxy.stderr().includes('reload refused: '));
    await proxy.configure({
      ...config,
      clusters: [main({ auth_password: { filename: '/nowhere/password' } })],
    });
    expect((await proxy.reload()).error).toContain('cannot read /nowhere/password');
    expect(await client.call('SET', 'still', 'here')).toBe('OK');
    await proxy.configure({ ...config, workers: 2, clusters: [main({ settings: { op_timeout: '1234ms' } })] });
    expect(await proxy.reload()).toMatchObject({
      outcome: 'applied',
      changes: ['clusters[main].settings.op_timeout: 5000 → 1234'],
      restart: ['workers: 1 → 2'],
    });
    expect(await proxy.reload()).toMatchObject({ outcome: 'unchanged', restart: ['workers: 1 → 2'] });
    expect((await proxy.stats('server.concurrency'))['server.concurrency']).toBe(1);
  });

  it('takes other passwords for the next login and leaves who is there alone; SIGHUP does the same', async () => {
    const config = (password: string) => ({
      listeners: [{ cluster: 'main', downstream_auth_passwords: [{ inline: password }] }],
      clusters: [main()],
    });
    proxy = await startProxy({ config: config('first') });
    const early = await connect();
    expect(await early.call('AUTH', 'first')).toBe('OK');
    await proxy.configure(config('second'));
    proxy.signal('SIGHUP');
    await poll('it has reloaded', 3000, async () => proxy.stderr().includes('downstream_auth_passwords'));
    expect(proxy.stderr()).not.toContain('second');
    const late = await connect();
    expect(message(await late.ask('AUTH', 'first'))).toContain('WRONGPASS');
    expect(await late.call('AUTH', 'second')).toBe('OK');
    expect(await early.call('GET', 'x')).toBeNull();
  });

  it('takes other endpoints: another cluster behind the same name', async () => {
    const config = (address: string) => ({
      listeners: [{ cluster: 'one' }],
      clusters: [{ name: 'one', type: 'sharded', endpoints: [address] }],
    });
    proxy = await startProxy({ config: config(servers[1]!.address) });
    const client = await connect();
    await client.call('SET', 'where', 'at 1');
    await proxy.configure(config(servers[2]!.address));
    await proxy.reload();
    await client.call('SET', 'where', 'at 2');
    await poll('the new server has it', 3000, async () => (await servers[2]!.call('GET', 'where')) === 'at 2');
    expect(await servers[1]!.call('GET', 'where')).toBe('at 1');
  });

  it('loses, changes and crosses no reply, however often it is done under load', async () => {
    const config = (i: number) => ({
      workers: 2,
      listeners: [
        i % 2 === 0
          ? { cluster: 'main', admin_commands: ['debug'] }
          : {
              prefix_routes: {
                routes: [{ prefix: 'elsewhere:', cluster: `extra${i % 4}`, read_policy: 'MASTER' }],
                catch_all_route: { cluster: 'main' },
              },
            },
      ],
      clusters: [
        main({ settings: { op_timeout: `${4000 + i}ms`, read_policy: i % 3 === 0 ? 'PREFER_MASTER' : 'MASTER' } }),
        ...(i % 2 === 0 ? [] : [alone(`extra${i % 4}`, 0)]),
      ],
    });
    proxy = await startProxy({ config: config(0) });
    const load = await startLoad({ port: proxy.port, clients: 30 });
    for (let i = 1; i <= 12; i++) {
      await proxy.configure(config(i));
      expect((await proxy.reload()).outcome).toBe('applied');
      await load.progress(5);
    }
    const { wrong, lost, closed, errors, rounds } = await load.stop();
    expect({ wrong, lost, closed, errors: [...errors] }).toEqual({ wrong: [], lost: [], closed: 0, errors: [] });
    expect(rounds).toBeGreaterThan(1000);
  });
});
