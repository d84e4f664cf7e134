import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { canHaveNewerServers, newerServers } from '../../../scripts/newer-servers.js';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, type RedisServer, startCluster, startServers } from '../../support/redis.js';
import { command, ErrorReply, type Value } from '../../support/resp.js';

const FAILOVER_MS = 30_000;

/** The reply, an error as its text. */
async function say(client: RawClient, ...args: (string | number)[]): Promise<Value> {
  const reply = await client.ask(...args);
  return reply instanceof ErrorReply ? `-${reply.message}` : reply;
}

async function fill(client: RawClient, count: number, prefix = 'key:'): Promise<void> {
  client.send(Buffer.concat(Array.from({ length: count }, (_, i) => command('SET', `${prefix}${i}`, `value ${i}`))));
  await client.raw(count);
}

/** INFO's fields. */
function fields(info: Value): Map<string, string> {
  const lines = String(info)
    .split('\r\n')
    .filter((line) => line.includes(':'));
  return new Map(
    lines.map((line): [string, string] => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  );
}

const servers: [string, () => string][] = [['Redis 7', () => 'redis-server']];
if (canHaveNewerServers()) {
  servers.push(['Redis 8', () => newerServers().redis8], ['Valkey 9', () => newerServers().valkey9]);
}

describe.each(servers)('commands for all shards of a cluster of %s', (_name, executable) => {
  let cluster: RedisCluster;
  let proxy: RunningProxy;
  let client: RawClient;
  let third: RawClient;

  beforeAll(async () => {
    cluster = await startCluster({ masters: 3, replicasPerMaster: 1, executable: executable() });
    proxy = await startProxy({ cluster: cluster.addresses, workers: 2 });
    await poll('the proxy knows the replicas', 20_000, async () => {
      const { body } = await proxy.page('/clusters');
      return cluster.replicas.every(({ address }) => body.includes(`${address}::role::replica`));
    });
    client = await RawClient.connect({ port: proxy.port });
    third = await RawClient.connect({ port: proxy.port });
    await third.call('HELLO', 3);
  });

  afterAll(async () => {
    client?.close();
    third?.close();
    await proxy?.stop();
    await cluster?.stop();
  });

  afterEach(async () => {
    await client.call('FLUSHALL');
  });

  it('count and list the keys of all of them', async () => {
    await fill(client, 300);
    expect(await client.call('DBSIZE')).toBe(300);
    const all = Array.from({ length: 300 }, (_, i) => `key:${i}`).sort();
    expect(((await client.call('KEYS', '*')) as string[]).sort()).toEqual(all);
    expect(((await third.call('KEYS', 'key:29?')) as string[]).length).toBe(10);
    expect(await client.call('KEYS', 'none*')).toEqual([]);
    const drawn = new Set<Value>();
    for (let i = 0; i < 60; i++) drawn.add(await client.call('RANDOMKEY'));
    const slots = await Promise.all([...drawn].map((key) => cluster.nodes[0]!.call('CLUSTER', 'KEYSLOT', String(key))));
    expect(new Set(slots.map((slot) => Math.floor((Number(slot) * 3) / 16384))).size).toBe(3);
  });

  it('find the only key there is, and nothing where there is nothing', async () => {
    expect(await client.call('RANDOMKEY')).toBeNull();
    expect((await third.exchange('RANDOMKEY')).toString()).toBe('_\r\n');
    await client.call('SET', 'only', '1');
    for (let i = 0; i < 20; i++) expect(await client.call('RANDOMKEY')).toBe('only');
  });

  it('empty all of them, in the client’s order', async () => {
    const replies = await client.pipeline([
      ...Array.from({ length: 50 }, (_, i) => ['SET', `a${i}`, 'x']),
      ['DBSIZE'],
      ['FLUSHALL', 'SYNC'],
      ['DBSIZE'],
      ...Array.from({ length: 20 }, (_, i) => ['SET', `b${i}`, 'x']),
      ['FLUSHDB'],
      ['SET', 'last', 'x'],
      ['DBSIZE'],
    ]);
    expect(replies.slice(50, 53)).toEqual([50, 'OK', 0]);
    expect(replies.slice(-3)).toEqual(['OK', 'OK', 1]);
    expect(await say(client, 'FLUSHALL', 'NONSENSE')).toBe('-ERR syntax error');
  });

  it('configure all nodes, replicas too, and say what all of them say', async () => {
    expect(await client.call('CONFIG', 'SET', 'slowlog-max-len', 77)).toBe('OK');
    for (const node of cluster.nodes) {
      expect(await node.call('CONFIG', 'GET', 'slowlog-max-len')).toEqual(['slowlog-max-len', '77']);
    }
    expect(await client.call('CONFIG', 'GET', 'slowlog-max-len')).toEqual(['slowlog-max-len', '77']);
    expect(await third.call('CONFIG', 'GET', 'slowlog-max-len')).toEqual(new Map([['slowlog-max-len', '77']]));
    expect(await say(client, 'CONFIG', 'SET', 'no-such-thing', '1')).toMatch(/^-ERR Unknown option/);
    expect(await say(client, 'CONFIG', 'RESETSTAT')).toBe('OK');
    // They were started without a file.
    expect(await say(client, 'CONFIG', 'REWRITE')).toMatch(/^-ERR The server is running without a config file/);
  });

  it('put slow logs together, newest first', async () => {
    await client.call('CONFIG', 'SET', 'slowlog-log-slower-than', 0);
    await client.call('SLOWLOG', 'RESET');
    await fill(client, 30);
    await client.call('CONFIG', 'SET', 'slowlog-log-slower-than', 10_000_000);
    expect(Number(await client.call('SLOWLOG', 'LEN'))).toBeGreaterThan(30);
    const ten = (await client.call('SLOWLOG', 'GET')) as Value[][];
    expect(ten).toHaveLength(10);
    const all = (await third.call('SLOWLOG', 'GET', '-1')) as Value[][];
    expect(all.length).toBeGreaterThan(30);
    const times = all.map(([, time]) => Number(time));
    expect(times).toEqual([...times].sort((a, b) => b - a));
    // Replicas execute them, and log them, too.
    expect(
      all.filter(([, , , words]) => (words as string[])[0]?.toUpperCase() === 'SET').length,
    ).toBeGreaterThanOrEqual(30);
    expect((await client.call('SLOWLOG', 'GET', '3')) as Value[]).toHaveLength(3);
    expect(await say(client, 'SLOWLOG', 'GET', 'x')).toMatch(/^-ERR (value is not an integer|count should be)/);
    expect(await client.call('SLOWLOG', 'RESET')).toBe('OK');
    expect(await client.call('SLOWLOG', 'LEN')).toBe(0);
  });

  it('answer LATENCY and MEMORY as one server would', async () => {
    await fill(client, 30);
    const histogram = (await third.call('LATENCY', 'HISTOGRAM', 'set')) as Map<string, Map<string, Value>>;
    // Replicas execute them, too.
    expect(histogram.get('set')?.get('calls')).toBeGreaterThanOrEqual(30);
    expect(await client.call('LATENCY', 'LATEST')).toBeInstanceOf(Array);
    expect(await client.call('LATENCY', 'HISTORY', 'command')).toEqual([]);
    expect(await client.call('LATENCY', 'RESET')).toBe(0);
    expect(String(await client.call('LATENCY', 'DOCTOR'))).toContain(cluster.replicas[0]!.address);
    expect(await say(client, 'LATENCY', 'GRAPH', 'command')).toMatch(/^-ERR No samples available/);
    const stats = (await third.call('MEMORY', 'STATS')) as Map<string, Value>;
    expect(stats.get('keys.count')).toBe(30);
    const flat = (await client.call('MEMORY', 'STATS')) as Value[];
    expect(flat[flat.indexOf('keys.count') + 1]).toBe(30);
    expect(Number(flat[flat.indexOf('dataset.percentage') + 1])).not.toBeNaN();
    expect(await client.call('MEMORY', 'PURGE')).toBe('OK');
    expect(String(await client.call('MEMORY', 'DOCTOR'))).toContain(cluster.masters[2]!.address);
    expect(String(await client.call('MEMORY', 'MALLOC-STATS'))).toContain(cluster.masters[2]!.address);
    expect(Number(await client.call('MEMORY', 'USAGE', 'key:1'))).toBeGreaterThan(0);
  });

  it('save on all masters, and say since when all is saved', async () => {
    expect(await client.call('SAVE')).toBe('OK');
    const saved = Number(await client.call('LASTSAVE'));
    expect(Math.abs(saved - Date.now() / 1000)).toBeLessThan(60);
    expect(await say(client, 'BGSAVE')).toBe('Background saving started');
    await poll('the saving has ended', 10_000, async () =>
      String(await client.call('INFO', 'persistence')).includes('rdb_bgsave_in_progress:0'),
    );
  });

  it('show the endpoint as one master with one database', async () => {
    expect(await client.call('ROLE')).toEqual(['master', 0, []]);
    expect(await client.call('ACL', 'WHOAMI')).toBe('default');
    expect(await say(client, 'SWAPDB', '0', '1')).toBe('-ERR SWAPDB is not allowed in cluster mode');
    await client.call('SET', 'a', '1');
    expect(await say(client, 'MOVE', 'a', '1')).toMatch(/^-ERR/);
    expect(String(await client.call('LOLWUT'))).toMatch(/ver/);
    expect(await client.call('COMMAND', 'COUNT')).toBeGreaterThan(200);
    expect(await client.call('OBJECT', 'ENCODING', 'a')).toBe('int');
    expect(await client.call('OBJECT', 'HELP')).toBeInstanceOf(Array);
    expect((await client.call('ACL', 'CAT')) as string[]).toContain('keyspace');
    expect(String(await client.call('ACL', 'GENPASS'))).toHaveLength(64);
  });

  it('sum up INFO over the masters, by sections and in both protocols', async () => {
    await fill(client, 90);
    await client.call('EXPIRE', 'key:1', 1000);
    await client.call('GET', 'key:2');
    const info = fields(await client.call('INFO'));
    expect(info.get('db0')).toMatch(/^keys=90,expires=1,avg_ttl=\d+/);
    expect(info.get('redis_mode') ?? info.get('server_mode')).toBe('standalone');
    expect(info.get('role')).toBe('master');
    expect(info.get('cluster_enabled')).toBe('0');
    expect(info.get('loading')).toBe('0');
    expect(info.get('redisforge_shards')).toBe('3');
    expect(info.get('redisforge_shards_not_answering')).toBe('0');
    expect(info.get('tcp_port')).toBe(String(proxy.port));
    expect(info.get('connected_clients')).toBe('2');
    expect(info.has('run_id')).toBe(false);
    const used = await Promise.all(
      cluster.masters.map(async (node) => Number(fields(String(await node.call('INFO', 'memory'))).get('used_memory'))),
    );
    const total = used.reduce((sum, each) => sum + each, 0);
    expect(Math.abs(Number(info.get('used_memory')) - total)).toBeLessThan(total / 5);
    expect(info.get('used_memory_human')).toMatch(/^\d+\.\d\dM$/);
    expect(Number(info.get('keyspace_hits'))).toBeGreaterThan(0);

    const memory = String(await client.call('INFO', 'memory'));
    expect(memory.match(/^# .*$/gm)).toEqual(['# Memory']);
    const two = String(await client.call('INFO', 'KEYSPACE', 'replication'));
    expect(two.match(/^# .*$/gm)?.sort()).toEqual(['# Keyspace', '# Replication']);
    const everything = fields(await client.call('INFO', 'everything'));
    expect(everything.get('cmdstat_set')).toMatch(
      /^calls=\d+,usec=\d+,usec_per_call=\d+\.\d\d,rejected_calls=0,failed_calls=0$/,
    );
    expect(everything.get('latency_percentiles_usec_set')).toMatch(/^p50=[\d.]+,p99=[\d.]+,p99\.9=[\d.]+$/);
    expect((await third.exchange('INFO', 'keyspace')).toString()).toMatch(/^=\d+\r\ntxt:# Keyspace\r\ndb0:keys=90/);
    expect((await client.exchange('INFO', 'nonsense')).toString()).toBe('$0\r\n\r\n');

    let keys = 0;
    for (let shard = 0; shard < 3; shard++) {
      const own = fields(await client.call('INFO.SHARD', shard, 'keyspace'));
      keys += Number(/keys=(\d+)/.exec(own.get('db0') ?? '')?.[1]);
    }
    expect(keys).toBe(90);
    expect(fields(await client.call('INFO.SHARD', 0)).get('tcp_port')).toBe(String(cluster.masters[0]!.port));
    expect(await say(client, 'INFO.SHARD', 3)).toBe('-ERR invalid shard index: there are 3 shards, counted from 0');
    expect(await say(client, 'INFO.SHARD', 'x')).toMatch(/^-ERR invalid shard index/);
    expect(await say(client, 'INFO.SHARD')).toBe("-ERR wrong number of arguments for 'info.shard' command");
  });

  it('refuse what administers a node', async () => {
    for (const words of [
      ['SHUTDOWN'],
      ['CLUSTER', 'NODES'],
      ['DEBUG', 'SLEEP', '0'],
      ['REPLICAOF', 'NO', 'ONE'],
      ['MODULE', 'LIST'],
    ]) {
      expect(await say(client, ...words)).toMatch(
        /^-ERR unsupported command '.*': it is refused by the proxy: it administers/,
      );
    }
    expect(await say(client, 'ACL', 'SETUSER', 'x')).toMatch(/its clients are its own users/);
  });
});

describe('administration that is allowed', () => {
  it('goes where its keys, its slot or its metadata say', async () => {
    const cluster = await startCluster({ args: ['--enable-debug-command', 'yes'] });
    const proxy = await startProxy({
      config: {
        listeners: [
          {
            cluster: 'main',
            admin_commands: ['debug', 'cluster|nodes', 'cluster|countkeysinslot', 'acl', 'sync', 'cluster|keyslot'],
          },
        ],
        clusters: [{ name: 'main', endpoints: cluster.nodes.map(({ address }) => address) }],
      },
    });
    const client = await RawClient.connect({ port: proxy.port });
    try {
      expect(
        String(await client.call('CLUSTER', 'NODES'))
          .trim()
          .split('\n'),
      ).toHaveLength(3);
      await client.call('SET', 'a', '1');
      const slot = Number(await client.call('CLUSTER', 'KEYSLOT', 'a'));
      for (let i = 0; i < 5; i++) expect(await client.call('CLUSTER', 'COUNTKEYSINSLOT', slot)).toBe(1);
      expect(await client.call('DEBUG', 'SLEEP', 0)).toBe('OK');
      expect(await client.call('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '+@all')).toBe('OK');
      for (const node of cluster.nodes) expect(await node.call('ACL', 'USERS')).toContain('app');
      expect(await client.call('ACL', 'DELUSER', 'app')).toBe(1);
      expect(await say(client, 'CLUSTER', 'INFO')).toMatch(/^-ERR unsupported command/);
      expect(await say(client, 'SYNC')).toMatch(/^-ERR unsupported command/);
      expect(await say(client, 'CLUSTER', 'KEYSLOT')).toBe(
        "-ERR wrong number of arguments for 'cluster|keyslot' command",
      );
    } finally {
      client.close();
      await proxy.stop();
      await cluster.stop();
    }
  });
});

describe('when a shard fails', () => {
  let cluster: RedisCluster;
  let proxy: RunningProxy;
  let client: RawClient;

  beforeAll(async () => {
    cluster = await startCluster({ masters: 3, replicasPerMaster: 1, args: ['--cluster-require-full-coverage', 'no'] });
    proxy = await startProxy({
      config: {
        listeners: [{ cluster: 'main' }],
        clusters: [
          { name: 'main', endpoints: cluster.nodes.map(({ address }) => address), settings: { op_timeout: '2s' } },
        ],
      },
    });
    client = await RawClient.connect({ port: proxy.port });
  });

  afterAll(async () => {
    client?.close();
    await proxy?.stop();
    await cluster?.stop();
  });

  const role = async (node: RedisServer) => ((await node.call('ROLE').catch(() => [''])) as unknown[])[0];

  it('its part follows a failover, planned or not', async () => {
    await fill(client, 300);
    for (const master of cluster.masters) await master.call('WAIT', 1, 5000);
    let wrong = 0;
    let on = true;
    const loop = (async () => {
      while (on) if ((await say(client, 'DBSIZE')) !== 300) wrong++;
    })();
    await cluster.replicas[0]!.call('CLUSTER', 'FAILOVER');
    await poll('the replica is a master', FAILOVER_MS, async () => (await role(cluster.replicas[0]!)) === 'master');
    on = false;
    await loop;
    expect(wrong).toBe(0);
  });

  it('the others do it, and the error counts who did not', async () => {
    await fill(client, 300);
    const master = cluster.masters[1]!;
    await cluster.replicas[1]!.kill();
    await master.kill();
    expect(await say(client, 'DBSIZE')).toBe('-finished with 1 error(s)');
    expect(await say(client, 'FLUSHALL')).toBe('-finished with 1 error(s)');
    for (const node of [cluster.replicas[0]!, cluster.masters[2]!]) expect(await node.call('DBSIZE')).toBe(0);
    expect(await say(client, 'KEYS', '*')).toBe('-finished with 1 error(s)');
  });

  it('INFO says so at once, and a client can connect', async () => {
    await poll('the connection is known to be lost', 5000, async () => {
      const begun = performance.now();
      const info = fields(await client.call('INFO'));
      return info.get('redisforge_shards_not_answering') === '1' && performance.now() - begun < 500;
    });
  });
});

describe('without a cluster', () => {
  it('INFO answers, and the others wait for it until their time is over', async () => {
    const proxy = await startProxy({
      until: 'listening',
      config: {
        listeners: [{ cluster: 'main' }],
        clusters: [{ name: 'main', endpoints: ['127.0.0.1:1'], settings: { op_timeout: '500ms' } }],
      },
    });
    const client = await RawClient.connect({ port: proxy.port });
    try {
      expect(fields(await client.call('INFO')).get('redisforge_shards')).toBe('0');
      const replies = await client.pipeline([['DBSIZE'], ['PING'], ['SCAN', '0'], ['RANDOMKEY'], ['KEYS', '*']]);
      const texts = replies.map((reply) => (reply instanceof ErrorReply ? reply.message : reply));
      const none = 'no upstream host';
      expect(texts).toEqual([none, 'PONG', none, none, none]);
    } finally {
      client.close();
      await proxy.stop();
    }
  });
});

describe('independent servers', () => {
  it('are one database, too', async () => {
    const hosts = await startServers(3);
    const proxy = await startProxy({
      config: {
        listeners: [{ cluster: 'main' }],
        clusters: [{ name: 'main', type: 'sharded', endpoints: hosts.map(({ address }) => address) }],
      },
    });
    const client = await RawClient.connect({ port: proxy.port });
    try {
      await fill(client, 100);
      expect(await client.call('DBSIZE')).toBe(100);
      expect((await client.call('KEYS', '*')) as string[]).toHaveLength(100);
      expect(fields(await client.call('INFO')).get('db0')).toMatch(/^keys=100,/);
      expect(await client.call('CONFIG', 'SET', 'maxclients', 1234)).toBe('OK');
      for (const host of hosts) expect(await host.call('CONFIG', 'GET', 'maxclients')).toEqual(['maxclients', '1234']);
      expect(await client.call('FLUSHALL')).toBe('OK');
      expect(await client.call('RANDOMKEY')).toBeNull();
    } finally {
      client.close();
      await proxy.stop();
      await Promise.all(hosts.map((host) => host.stop()));
    }
  });
});
