import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parseInfo } from '../../../../src/cluster/parse-info.js';
import { planRestart } from '../../../../src/operations/planners/restart.js';
import { type RedisCluster, type RedisServer, startCluster, startRedis } from '../../../support/redis.js';
import { executableOf, FETCH_TIMEOUT_MS, SERVERS } from '../../../support/servers.js';
import { failureOf } from '../../cluster/formed.js';
import { FULL } from '../../torture/kills.js';
import { expectWhole, newOperator, type Operator, rolesOf } from './roles.js';

const PASSWORD = 'restart secret';
const SUPERVISED = path.join(import.meta.dirname, 'supervise.sh');
const request = { nodes: [], failBack: false, allowOutage: false };

const addressesOf = (servers: readonly RedisServer[]) => servers.map(({ address }) => address).sort();

async function runIds(servers: readonly RedisServer[]): Promise<string[]> {
  const texts = await Promise.all(servers.map((server) => server.call('INFO', 'server')));
  return texts.map((text) => parseInfo(String(text)).get('run_id') ?? '');
}

describe.each(FULL ? SERVERS : SERVERS.slice(0, 1))('a rolling restart on %s', (_, kind) => {
  let cluster: RedisCluster;
  let operator: Operator;
  beforeAll(async () => {
    vi.stubEnv('FORGE_TEST_SERVER', executableOf(kind));
    cluster = await startCluster({
      masters: 3,
      replicasPerMaster: 1,
      requirepass: PASSWORD,
      executable: SUPERVISED,
    });
    operator = await newOperator(() => cluster.addresses, PASSWORD);
  }, FETCH_TIMEOUT_MS);
  afterAll(async () => {
    vi.unstubAllEnvs();
    await Promise.all([cluster?.stop(), operator?.remove()]);
  });

  it('restarts every node while clients write, and loses no write that was confirmed', async () => {
    const before = await runIds(cluster.nodes);
    const client = new Redis.Cluster([...cluster.nodes], { redisOptions: { password: PASSWORD } });
    client.on('error', () => undefined);
    let writing = true;
    const written: string[] = [];
    const writer = (async () => {
      for (let n = 0; writing; n++) {
        // A write that was under way when its node ended has an unknown outcome: only confirmed ones count.
        const ok = await client.set(`key:${n}`, String(n)).then(
          () => true,
          () => false,
        );
        if (ok) written.push(String(n));
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    })();
    // A master sends nothing to such a replica yet: a failover would hold the clients' writes until it does.
    const unacknowledged: string[] = [];
    let failovers = 0;
    const observer = {
      mutation: async ({ command: [, word] }: { command: readonly string[] }) => {
        if (word !== 'FAILOVER') return;
        failovers++;
        const infos = await Promise.all(cluster.nodes.map((node) => node.call('INFO', 'replication')));
        unacknowledged.push(
          ...infos
            .join('')
            .split('\r\n')
            .filter((line) => /state=online,offset=0,/.test(line)),
        );
      },
    };
    try {
      const result = await operator.run((snapshot) => planRestart(snapshot, request), { observer });
      expect(result.status).toBe('done');
      expect({ failovers, unacknowledged }).toEqual({ failovers: 3, unacknowledged: [] });
    } finally {
      writing = false;
      await writer;
    }
    await expectWhole(cluster.nodes);
    const after = await runIds(cluster.nodes);
    expect(after.filter((id, index) => id === before[index])).toEqual([]);
    expect(await rolesOf(cluster.nodes)).toEqual({
      masters: addressesOf(cluster.replicas),
      others: addressesOf(cluster.masters),
    });
    expect(written.length).toBeGreaterThan(20);
    for (const n of written) expect(await client.get(`key:${n}`), n).toBe(n);
    client.disconnect();
  });

  it('gives the roles back when asked, and goes on after it was killed while a node was away', async () => {
    const before = await rolesOf(cluster.nodes);
    const [master] = cluster.nodes.filter(({ address }) => address === before.masters[0]);
    const ids = await runIds(cluster.nodes);
    const plan = (snapshot: Parameters<typeof planRestart>[0]) =>
      planRestart(snapshot, { ...request, nodes: [master?.address ?? ''], failBack: true });
    const observer = {
      journal: (when: string, entry: { type: string; state?: string }) => {
        if (when === 'before' && entry.state === 'done' && away) throw new Error('killed');
      },
      mutation: ({ command }: { command: readonly string[] }) => {
        away ||= command[0] === 'SHUTDOWN';
      },
    };
    let away = false;
    expect((await failureOf(operator.run(plan, { observer }))).message).toContain('killed');
    const result = await operator.run(plan);
    expect(result).toMatchObject({ status: 'done', resumed: true });
    await expectWhole(cluster.nodes);
    expect(await rolesOf(cluster.nodes)).toEqual(before);
    const after = await runIds(cluster.nodes);
    const changed = cluster.nodes.filter((_, index) => ids[index] !== after[index]);
    expect(addressesOf(changed)).toEqual([master?.address]);
  });
});

describe('masters without replicas', () => {
  let cluster: RedisCluster;
  let operator: Operator;
  beforeAll(async () => {
    cluster = await startCluster({ masters: 3, executable: SUPERVISED });
    operator = await newOperator(() => cluster.addresses);
  });
  afterAll(async () => {
    await Promise.all([cluster?.stop(), operator?.remove()]);
  });

  it('are refused, and restarted with all their keys when an outage is allowed', async () => {
    const client = new Redis.Cluster([...cluster.nodes]);
    for (let n = 0; n < 300; n++) await client.set(`key:${n}`, String(n));
    const failure = await failureOf(operator.run((snapshot) => planRestart(snapshot, request)));
    expect(failure).toMatchObject({ kind: 'refused' });
    for (const { address } of cluster.nodes) expect(failure.message).toContain(address);
    expect(failure.next.join()).toContain('--allow-outage');
    const byCommand = { ...request, allowOutage: true, command: ['true'] };
    const unsafe = await failureOf(operator.run((snapshot) => planRestart(snapshot, byCommand)));
    expect(unsafe.message).toContain('no append-only file');

    const before = await runIds(cluster.nodes);
    const plan = await operator.run((snapshot) => planRestart(snapshot, { ...request, allowOutage: true }));
    expect(plan.plan.notes).toHaveLength(3);
    expect((await runIds(cluster.nodes)).filter((id) => before.includes(id))).toEqual([]);
    for (let n = 0; n < 300; n++) expect(await client.get(`key:${n}`)).toBe(String(n));
    client.disconnect();
  });

  it('are restarted by a command of the operator’s, which has to do it', async () => {
    for (const node of cluster.nodes) await node.call('CONFIG', 'SET', 'appendonly', 'yes');
    const [node] = cluster.nodes as [RedisServer];
    const before = await runIds([node]);
    const by = (command: string[]) => (snapshot: Parameters<typeof planRestart>[0]) =>
      planRestart(snapshot, { nodes: [node.address], allowOutage: true, failBack: false, command });
    const program = path.join(operator.home, 'restart');
    // The first time it only says that it did: the operation stops there, and the same command tries again.
    await writeFile(
      program,
      `#!/bin/sh
[ -f "$0.tried" ] || { touch "$0.tried"; exit 0; }
kill "$(redis-cli -h "$1" -p "$2" INFO server | tr -d '\\r' | sed -n 's/^process_id://p')"
`,
      { mode: 0o755 },
    );
    const idle = await failureOf(operator.run(by([program, '{host}', '{port}']), { waitMs: 1_500 }));
    expect(idle).toMatchObject({ kind: 'timeout' });
    expect(idle.message).toContain('still runs as before');
    expect(await runIds([node])).toEqual(before);
    const result = await operator.run(by([program, '{host}', '{port}']));
    expect(result).toMatchObject({ status: 'done', resumed: true });
    expect(await runIds([node])).not.toEqual(before);
    await expectWhole(cluster.nodes);
  });
});

describe('a node that nobody starts again', () => {
  it('is waited for in vain, and the same command goes on when it was started by hand', async () => {
    const cluster = await startCluster({ masters: 3, replicasPerMaster: 1 });
    const operator = await newOperator(() => cluster.addresses);
    let byHand: RedisServer | undefined;
    try {
      const [replica] = cluster.replicas as [RedisServer];
      const plan = (snapshot: Parameters<typeof planRestart>[0]) =>
        planRestart(snapshot, { ...request, nodes: [replica.address] });
      const failure = await failureOf(operator.run(plan, { waitMs: 1_500 }));
      expect(failure).toMatchObject({ kind: 'timeout', host: replica.address });
      expect(failure.message).toContain('has not come back within 1500 ms');
      expect(failure.next.join(' ')).toMatch(/Restart=always.*forge resume/);
      byHand = await startRedis({ cluster: true, port: replica.port, args: ['--dir', replica.dir] });
      const result = await operator.run(plan);
      expect(result).toMatchObject({ status: 'done', resumed: true });
      await expectWhole([...cluster.nodes]);
    } finally {
      await Promise.all([cluster.stop(), operator.remove(), byHand?.stop()]);
    }
  });

  it('is started by the operator’s command after SHUTDOWN, with its data', async () => {
    const cluster = await startCluster({ masters: 3 });
    const operator = await newOperator(() => cluster.addresses);
    try {
      const [node] = cluster.masters as [RedisServer];
      const client = new Redis.Cluster([...cluster.nodes]);
      for (let n = 0; n < 300; n++) await client.set(`key:${n}`, String(n));
      const options = `--bind 127.0.0.1 --dir ${node.dir} --cluster-enabled yes --daemonize yes --logfile started.log`;
      const command = ['redis-server', '--port', '{port}', ...options.split(' ')];
      const result = await operator.run((snapshot) =>
        planRestart(snapshot, { ...request, nodes: [node.address], command, starts: true, allowOutage: true }),
      );
      expect(result.status).toBe('done');
      await expectWhole(cluster.nodes);
      for (let n = 0; n < 300; n++) expect(await client.get(`key:${n}`)).toBe(String(n));
      client.disconnect();
      await node.call('SHUTDOWN', 'NOSAVE').catch(() => undefined);
    } finally {
      await Promise.all([cluster.stop(), operator.remove()]);
    }
  });
});
