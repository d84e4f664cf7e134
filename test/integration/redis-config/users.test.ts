import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NodeConnection } from '../../../src/cluster/node-connection.js';
import { freePort } from '../../support/ports.js';
import { poll } from '../../support/redis.js';
import { executableOf, FETCH_TIMEOUT_MS, SOME_SERVERS } from '../../support/servers.js';
import { type DeployedNode, deployment, formed, startDeployed, versionOf } from './support.js';

const SYNC_MS = 15_000;
const EXPORTER_MS = 15_000;

const lines = (text: string) => text.trim().split(/\s*;\s*/);

/** By role, in the words of redis-cli; `{a}` keeps keys in one slot, and all slots are on the first node. */
const MAY: Readonly<Record<string, readonly string[]>> = {
  app: lines(`
    SET k v; GET k; MSET {a}1 x {a}2 y; DEL k; EVAL return(redis.call("set",KEYS[1],"x")) 1 k; PUBLISH c m; SUBSCRIBE c;
    INFO; ROLE; COMMAND LIST; COMMAND COUNT; CLUSTER SLOTS; CLUSTER SHARDS; CLUSTER NODES; SCAN 0; DBSIZE; SORT k2; HELLO 3;
    CLIENT SETNAME app; CLIENT ID; MULTI; WAIT 0 1; SCRIPT LOAD return(1); FUNCTION LIST; FCALL writes 1 k`),
  readonly: lines(`
    GET k; MGET {a}1 {a}2; EXISTS k; TTL k; TYPE k; SCAN 0; DBSIZE; HGETALL h; LRANGE l 0 -1; DUMP k; SORT_RO k2; INFO; PING;
    EVAL_RO return(redis.call("get",KEYS[1])) 1 k; SUBSCRIBE c; READONLY; CLUSTER SLOTS; MULTI; COMMAND COUNT; HELLO 3;
    CLIENT SETNAME r; OBJECT ENCODING k; MEMORY USAGE k; BITCOUNT k`),
  monitor: lines(`
    PING; INFO ALL; CONFIG GET maxmemory; SLOWLOG GET; SLOWLOG LEN; LATENCY LATEST; LATENCY HISTOGRAM; CLUSTER INFO;
    CLUSTER NODES; CLUSTER SLOTS; CLIENT LIST; CLIENT SETNAME m; ROLE; DBSIZE; MEMORY STATS`),
  replication: lines('PING; REPLCONF capa eof'),
};

const MAY_NOT: Readonly<Record<string, readonly string[]>> = {
  app: lines(`
    FLUSHALL; FLUSHDB; KEYS *; CONFIG GET *; CONFIG SET maxmemory 1; ACL LIST; ACL SETUSER x on; SHUTDOWN NOSAVE; MONITOR;
    DEBUG SLEEP 0; CLUSTER FAILOVER; CLUSTER RESET; CLUSTER FORGET x; REPLICAOF NO ONE; BGSAVE; SAVE; BGREWRITEAOF; CLIENT LIST;
    CLIENT KILL TYPE normal; CLIENT PAUSE 1; SLOWLOG RESET; LATENCY RESET; MIGRATE h 1 k 0 1; RESTORE k 0 x; MODULE LIST;
    PSYNC ? -1; SYNC; SWAPDB 0 1; FAILOVER; LASTSAVE; EVAL return(redis.call("flushall")) 0`),
  readonly: lines(`
    SET k x; DEL k; UNLINK k; EXPIRE k 1; INCR n; GETDEL k; GETEX k PERSIST; LPUSH l x; HSET h a b; PUBLISH c m; SPUBLISH c m;
    COPY k k; RENAME k k; SORT k2 STORE k2; FLUSHALL; KEYS *; RESTORE k 0 x; XADD s * a b; CONFIG GET *; ACL LIST; PFADD p x;
    EVAL return(redis.call("set",KEYS[1],"x")) 1 k; EVAL_RO return(redis.call("set",KEYS[1],"x")) 1 k; FCALL writes 1 k;
    FCALL_RO writes 1 k; FUNCTION LOAD x; FUNCTION FLUSH; SCRIPT FLUSH; CLIENT KILL TYPE normal; MIGRATE h 1 k 0 1;
    BITFIELD k SET u8 0 1; GEORADIUS g 0 0 1 m STORE k; SETRANGE k 0 x; PSYNC ? -1; CLUSTER FAILOVER; CLUSTER RESET;
    REPLICAOF NO ONE; SHUTDOWN NOSAVE; DEBUG SLEEP 0`),
  monitor: lines(`
    GET k; SET k x; SCAN 0; EXISTS k; EVAL return(1) 0; CONFIG SET maxmemory 1; CONFIG RESETSTAT; SLOWLOG RESET; LATENCY RESET;
    ACL LIST; ACL SETUSER x on; CLIENT KILL TYPE normal; FLUSHALL; PSYNC ? -1; SYNC; MONITOR; CLUSTER FAILOVER; CLUSTER RESET;
    CLUSTER ADDSLOTS 1; SHUTDOWN NOSAVE; SUBSCRIBE c; PUBLISH c m; DEBUG SLEEP 0; SAVE`),
  replication: lines(`
    GET k; INFO; CONFIG GET *; ACL LIST; CLUSTER NODES; SCAN 0; EVAL return(1) 0; SHUTDOWN NOSAVE; CLIENT LIST; DUMP k;
    SUBSCRIBE c; SYNC; CONFIG SET maxmemory 1`),
};

/** Why a user may not, or the error that says that it may; undefined for a reply. */
async function errorOf(node: DeployedNode, role: never, line: string): Promise<string | undefined> {
  const connection = await node.connect(role);
  try {
    const [name = '', ...args] = line.split(' ');
    // Errors of the server's own, as `call` would put them into words.
    if (name === 'SUBSCRIBE') await connection.client.subscribe(...args);
    else await connection.client.call(name, ...args);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  } finally {
    connection.close();
  }
}

/** By the user's rights; or DEBUG by the configuration, and writes of what says that it only reads by the server. */
const REFUSALS =
  /NOPERM|ACL failure in script|permissions to (?:run|access)|can't run this command|DEBUG command not allowed|write flag using \*_ro/i;

describe.each(SOME_SERVERS)('the users of deployed nodes on %s', (_, server) => {
  let nodes: DeployedNode[] = [];
  let connections: NodeConnection[] = [];
  beforeAll(async () => {
    const executable = executableOf(server);
    const ports = [await freePort(), await freePort()];
    const settings = deployment(`
cluster: users
nodes: [127.0.0.1:${ports[0]}, 127.0.0.1:${ports[1]}]
redis: { version: "${versionOf(executable).text}", settings: { cluster-node-timeout: 2000 } }
`);
    nodes = [await startDeployed(executable, settings, 0), await startDeployed(executable, settings, 1)];
    connections = await formed(nodes);
    const [first] = connections;
    for (const command of ['SET k v', 'RPUSH k2 2 1', 'RPUSH l a', 'HSET h a b', 'GEOADD g 1 1 m']) {
      await first?.client.call(...(command.split(' ') as [string, ...string[]]));
    }
    const code = "redis.register_function('writes', function(keys) return redis.call('set', keys[1], 'x') end)";
    await first?.call('FUNCTION', 'LOAD', `#!lua name=lib\n${code}`);
  }, FETCH_TIMEOUT_MS);
  afterAll(async () => {
    for (const connection of connections) connection.close();
    await Promise.all(nodes.map((node) => node.stop()));
  });

  const first = () => nodes[0] as DeployedNode;

  it.each(Object.keys(MAY))('let %s do what it is for', async (role) => {
    const denied: string[] = [];
    for (const line of MAY[role] ?? []) {
      const message = await errorOf(first(), role as never, line);
      if (message !== undefined) denied.push(`${line}: ${message}`);
    }
    expect(denied).toEqual([]);
  });

  it.each(Object.keys(MAY_NOT))('keep %s from everything else', async (role) => {
    const before = await connections[0]?.callText('GET', 'k');
    const allowed: string[] = [];
    for (const line of MAY_NOT[role] ?? []) {
      const message = await errorOf(first(), role as never, line);
      if (message === undefined || !REFUSALS.test(message)) allowed.push(`${line}: ${message ?? 'was done'}`);
    }
    // Atomic moves of slots write with the rights of this user.
    if (role === 'replication' && server !== 'valkey9') {
      expect(await errorOf(first(), 'replication' as never, 'SET k x')).toMatch(REFUSALS);
    }
    expect(allowed).toEqual([]);
    await expect(connections[0]?.callText('GET', 'k')).resolves.toBe(before);
  });

  it('let nobody in without a password, and old clients in by the administrator’s alone', async () => {
    const plain = async (...words: string[]) =>
      execFileSync('redis-cli', ['-p', String(first().port), ...words], {
        encoding: 'utf8',
        env: { ...process.env, REDISCLI_AUTH: words[0] === 'INFO' ? 'admin-password' : '' },
      });
    expect(await plain('PING')).toContain('NOAUTH');
    expect(await plain('INFO', 'server')).toContain('tcp_port');
  });

  it('have no password in clear but where Redis needs it', async () => {
    const text = execFileSync('grep', ['-rlE', '[a-z]-password', first().directory], { encoding: 'utf8' });
    expect(
      text
        .trim()
        .split('\n')
        .map((file) => path.basename(file)),
    ).toEqual(['replication-auth.conf']);
    expect(await connections[0]?.call('ACL', 'LIST')).not.toContain('admin-password');
  });

  it.runIf(server === 'valkey9')('let slots move atomically with the rights of replication', async () => {
    const [source, target] = connections as [NodeConnection, NodeConnection];
    const ids = [await source.callText('CLUSTER', 'MYID'), await target.callText('CLUSTER', 'MYID')];
    const slot = Number(await source.call('CLUSTER', 'KEYSLOT', 'k'));
    for (const [from, to, id] of [
      [source, target, ids[1]],
      [target, source, ids[0]],
    ] as const) {
      for (const node of connections) await node.call('ACL', 'LOG', 'RESET');
      await from.call('CLUSTER', 'MIGRATESLOTS', 'SLOTSRANGE', slot, slot, 'NODE', id ?? '');
      // What is written meanwhile is sent after the snapshot: alone, and as a transaction.
      await from.client
        .multi()
        .incr('{k}n')
        .rpush('{k}n2', 'x')
        .exec()
        .catch(() => {});
      // The newest job comes first. A node that has handed over its last slot is a replica from then on.
      await poll('the slot has moved', SYNC_MS, async () => {
        const [job = []] = (await to.call('CLUSTER', 'GETSLOTMIGRATIONS')) as string[][];
        return job.includes('IMPORT') && job.includes('success');
      });
      expect(Number(await to.call('CLUSTER', 'COUNTKEYSINSLOT', slot))).toBeGreaterThan(0);
      for (const node of connections) expect(await node.call('ACL', 'LOG')).toEqual([]);
    }
  });

  it('let a replica sync and follow with the rights of replication alone', async () => {
    const [master, replica] = connections as [NodeConnection, NodeConnection];
    await master.call('ACL', 'LOG', 'RESET');
    await replica.call('CLUSTER', 'REPLICATE', await master.callText('CLUSTER', 'MYID'));
    await poll('the replica is linked', SYNC_MS, async () =>
      (await replica.callText('INFO', 'replication')).includes('master_link_status:up'),
    );
    await master.call('SET', 'later', 'x');
    await expect(master.call('WAIT', 1, 5_000)).resolves.toBe(1);
    expect(await master.callText('CLIENT', 'LIST', 'TYPE', 'replica')).toContain('user=replication_user');
    expect(await master.call('ACL', 'LOG')).toEqual([]);
  });

  it('let redis_exporter see everything as the monitor user, with nothing denied', async () => {
    await connections[0]?.call('ACL', 'LOG', 'RESET');
    const port = await freePort();
    const passwords = path.join(first().directory, 'exporter.json');
    const address = `redis://127.0.0.1:${first().port}`;
    writeFileSync(passwords, JSON.stringify({ [address]: 'monitor-password' }), { mode: 0o600 });
    const exporter = spawn(
      'prometheus-redis-exporter',
      [
        ...['-web.listen-address', `127.0.0.1:${port}`, '-redis.addr', address, '-redis.user', 'monitor_user'],
        ...['-redis.password-file', passwords, '-is-cluster'],
      ],
      { stdio: 'ignore' },
    );
    const ended = new Promise((resolve) => exporter.once('close', resolve));
    try {
      const text = await poll('the exporter is asked', EXPORTER_MS, async () => {
        const response = await fetch(`http://127.0.0.1:${port}/metrics`).catch(() => undefined);
        return response?.ok ? response.text() : undefined;
      });
      expect(text).toMatch(/^redis_up 1$/m);
      for (const name of [
        'redis_cluster_state',
        'redis_config_maxmemory',
        'redis_slowlog_length',
        'redis_memory_used_bytes',
      ]) {
        expect(text).toContain(name);
      }
      expect(await connections[0]?.call('ACL', 'LOG')).toEqual([]);
    } finally {
      exporter.kill();
      await ended;
    }
  });
});
