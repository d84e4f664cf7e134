import { afterEach, describe, expect, it } from 'vitest';
import { parseAddressList } from '../../../src/cluster/address.js';
import { initCluster } from '../../../src/cluster/init/init-cluster.js';
import { openInit } from '../../../src/cluster/init/session.js';
import { freePort } from '../../support/ports.js';
import { poll, type RedisServer, startRedis } from '../../support/redis.js';
import {
  addressesOf,
  expectFormed,
  failureOf,
  optionsFor,
  PASSWORD,
  start,
  started,
  stopAll,
  tablesOf,
} from './formed.js';

afterEach(stopAll);

describe('forming a cluster', () => {
  it('makes three masters and three replicas agree, in sync, with all settings as they were', async () => {
    const servers = await start(6);
    const result = await initCluster(optionsFor(servers));
    expect(result.status).toBe('formed');
    expect(result.shards.map(({ slots }) => slots)).toEqual(['0-5460', '5461-10922', '10923-16383']);
    await expectFormed(servers, 3);

    // Every replica holds what is written to its master.
    const [first] = servers as [RedisServer];
    await first.call('SET', '{06S}key', 'value');
    expect(await first.call('WAIT', 1, 5_000)).toBe(1);

    // Run again, it finds nothing to do; also after a failover, and whatever the order of the nodes.
    const replica = servers[3] as RedisServer;
    await replica.call('CLUSTER', 'FAILOVER');
    await poll('the replica leads and everybody knows', 10_000, async () => {
      const tables = await tablesOf(servers);
      const same = new Set(tables.map(({ signature }) => signature)).size === 1;
      const led = tables[0]?.masters.some(({ port }) => port === replica.port);
      const links = await Promise.all(servers.map((server) => server.call('INFO', 'replication')));
      return same && led && links.every((text) => !String(text).includes('master_link_status:down'));
    });
    const before = await tablesOf(servers);
    const again = await initCluster(
      optionsFor([...servers].reverse(), { observer: { mutation: () => expect.fail() } }),
    );
    expect(again.status).toBe('unchanged');
    expect((await tablesOf(servers)).map(({ signature }) => signature)).toEqual(
      before.map(({ signature }) => signature),
    );

    const other = await failureOf(initCluster(optionsFor(servers, { replicasPerMaster: 0 })));
    expect(other).toMatchObject({ kind: 'refused', exitCode: 5 });
    expect(other.message).toContain('another shape');
  });

  it('changes nothing while it only looks and plans', async () => {
    const servers = await start(6);
    const before = await tablesOf(servers);
    const session = await openInit(optionsFor(servers, { observer: { mutation: () => expect.fail() } }));
    expect(session.state).toBe('new');
    expect(session.plan.shards).toHaveLength(3);
    session.close();
    expect(await tablesOf(servers)).toEqual(before);
  });

  it('works over IPv6 and with host names', async () => {
    const six = await start(3, { host: '::1' });
    const result = await initCluster(optionsFor(six, { replicasPerMaster: 0 }));
    expect(result.shards[0]?.master.address).toBe(`[::1]:${six[0]?.port}`);
    await expectFormed(six, 3);

    const named = await start(3, { args: ['--cluster-announce-hostname', 'redis.example'] });
    const nodes = named.map(({ port }) => ({ host: 'localhost', port }));
    expect((await initCluster(optionsFor(named, { nodes, replicasPerMaster: 0 }))).status).toBe('formed');
    await expectFormed(named, 3);
    expect((await tablesOf(named))[0]?.nodes.map(({ hostname }) => hostname)).toEqual(Array(3).fill('redis.example'));
  });

  it('logs in as an ACL user that may do nothing but this, and works where CONFIG is forbidden', async () => {
    const operator = 'operator on >secret resetkeys resetchannels -@all +cluster +info +ping';
    const servers = await start(3, { requirepass: undefined, args: ['--user', ...operator.split(' ')] });
    const connect = { username: 'operator', password: 'secret' };
    const result = await initCluster(optionsFor(servers, { connect, replicasPerMaster: 0 }));
    expect(result.status).toBe('formed');
    await expectFormed(servers, 3);
  });

  it('uses a cluster bus port that is not the usual one', async () => {
    const servers = await start(3);
    const [first] = servers as [RedisServer];
    // A claimed one: a neighbour of the usual one is the usual one of another test's server.
    const port = await freePort();
    await first.stop();
    const moved = await startRedis({
      cluster: true,
      requirepass: PASSWORD,
      port: first.port,
      args: ['--cluster-port', String(port)],
    });
    started.push(moved);
    const nodes = [moved, ...servers.slice(1)];
    expect((await initCluster(optionsFor(nodes, { replicasPerMaster: 0 }))).status).toBe('formed');
    await expectFormed(nodes, 3);
  });
});

describe('nodes that cannot be used', () => {
  it('are all named: unreachable ones, before anything is changed', async () => {
    const servers = await start(3);
    const gone = [servers[1] as RedisServer, servers[2] as RedisServer];
    for (const server of gone) await server.kill();
    const failure = await failureOf(initCluster(optionsFor(servers, { replicasPerMaster: 0 })));
    expect(failure).toMatchObject({ kind: 'unreachable', exitCode: 4 });
    for (const { address } of gone) expect(failure.message).toContain(address);
    expect(failure.message).not.toContain(`${servers[0]?.address} `);
  });

  it('are named with a host name that nobody knows', async () => {
    const nodes = parseAddressList('no-such-host.invalid:1,no-such-host.invalid:2,no-such-host.invalid:3');
    const failure = await failureOf(initCluster({ nodes, replicasPerMaster: 0 }));
    expect(failure).toMatchObject({ kind: 'unreachable' });
    expect(failure.message).toContain('the host name is not known');
  });

  it('are named when one does not answer, within the bound', async () => {
    const servers = await start(3);
    await servers[1]?.kill('SIGSTOP');
    const begun = performance.now();
    const connect = { password: PASSWORD, connectTimeoutMs: 500, commandTimeoutMs: 500 };
    const failure = await failureOf(initCluster(optionsFor(servers, { connect, replicasPerMaster: 0 })));
    expect(performance.now() - begun).toBeLessThan(3_000);
    expect(failure).toMatchObject({ kind: 'unreachable', host: servers[1]?.address });
  });

  it('are refused with the wrong password as access denied, and no message repeats it', async () => {
    const servers = await start(3);
    const connect = { password: 'something else' };
    const failure = await failureOf(initCluster(optionsFor(servers, { connect, replicasPerMaster: 0 })));
    expect(failure).toMatchObject({ kind: 'denied', exitCode: 11 });
    expect(JSON.stringify(failure) + String(failure.stack)).not.toContain('something else');
    const none = await failureOf(initCluster(optionsFor(servers, { connect: {}, replicasPerMaster: 0 })));
    expect(none.kind).toBe('denied');
    expect(none.next.join()).toContain('REDIS_REQUIREPASS');
  });

  it('are all named when they hold keys, belong to another cluster, or are in no cluster mode', async () => {
    const servers = await start(7);
    const [a, b, c, withKeys, ...fresh] = servers as [RedisServer, RedisServer, RedisServer, RedisServer];
    await initCluster(optionsFor([a, b, c], { replicasPerMaster: 0 }));
    await withKeys.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383);
    await poll('the node serves', 10_000, () => withKeys.call('SET', 'k', 'v').catch(() => undefined));
    await withKeys.call('CLUSTER', 'DELSLOTSRANGE', 0, 16_383);

    const nodes = [...fresh, withKeys, a, b];
    const failure = await failureOf(initCluster(optionsFor(nodes)));
    expect(failure).toMatchObject({ kind: 'refused', exitCode: 5 });
    expect(failure.message).toContain(`${withKeys.address} holds 1 key`);
    expect(failure.message).toMatch(new RegExp(`${a.address} belongs to another cluster: it knows .*:${c.port}`));
    expect(failure.message).toContain(`${b.address} belongs to another cluster`);
    for (const { address } of fresh) expect(failure.message).not.toContain(address);
    expect(failure.details).toMatchObject({ problems: [{}, {}, {}] });

    const [plain] = await start(1, { cluster: false });
    const standalone = await failureOf(
      initCluster(optionsFor([...fresh, plain as RedisServer], { replicasPerMaster: 0 })),
    );
    expect(standalone.kind).toBe('refused');
    expect(standalone.message).toContain(`${plain?.address} is not in cluster mode`);
  });

  it('are refused when two addresses are the same node, and when there are too few', async () => {
    const servers = await start(3);
    const port = servers[0]?.port ?? 0;
    const nodes = [...addressesOf(servers), { host: 'localhost', port }];
    const twice = await failureOf(initCluster(optionsFor(servers, { nodes, replicasPerMaster: 0 })));
    expect(twice.kind).toBe('usage');
    expect(twice.message).toContain(`localhost:${port} is the same node as 127.0.0.1:${port}`);
    const few = await failureOf(initCluster(optionsFor(servers)));
    expect(few).toMatchObject({ kind: 'usage', exitCode: 2 });
    expect(few.message).toContain('= 1 master');
  });

  it('are refused when replicas could not log in to their masters', async () => {
    const servers = await start(6, { args: ['--masterauth', ''] });
    const failure = await failureOf(initCluster(optionsFor(servers)));
    expect(failure.kind).toBe('refused');
    expect(failure.message).toContain('no masterauth');
  });

  it('are refused when they changed between the plan and its application', async () => {
    const servers = await start(3);
    const session = await openInit(optionsFor(servers, { replicasPerMaster: 0 }));
    await servers[1]?.call('CLUSTER', 'ADDSLOTS', 1);
    const failure = await failureOf(session.apply());
    session.close();
    expect(failure).toMatchObject({ kind: 'refused', host: servers[1]?.address });
    expect(failure.message).toContain('Changed since the plan was made');
  });
});

describe('a cluster bus port that is closed', () => {
  it('is named within the bound, and a run after it was opened finishes the job', async () => {
    const servers = await start(6);
    const closed = servers[2] as RedisServer;
    await closed.call('CONFIG', 'SET', 'cluster-announce-bus-port', '1');
    const begun = performance.now();
    const failure = await failureOf(initCluster(optionsFor(servers, { waitMs: 2_000 })));
    expect(performance.now() - begun).toBeLessThan(5_000);
    expect(failure).toMatchObject({ kind: 'unreachable', exitCode: 4, host: closed.address });
    expect(failure.message).toMatch(new RegExp(`${closed.address} \\(its cluster bus port 1 refuses connections\\)`));
    expect(failure.next.join()).toContain('Run the same command again');

    await closed.call('CONFIG', 'SET', 'cluster-announce-bus-port', '0');
    expect((await initCluster(optionsFor(servers))).status).toBe('formed');
    await expectFormed(servers, 3);
  });
});
