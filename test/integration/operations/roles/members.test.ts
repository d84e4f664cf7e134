import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parseAddress } from '../../../../src/cluster/address.js';
import { unfinishedOperations } from '../../../../src/operations/journal/journal.js';
import { planForget } from '../../../../src/operations/planners/forget.js';
import { planReplace } from '../../../../src/operations/planners/replace.js';
import { resumeOperation, rollbackOperation } from '../../../../src/operations/run.js';
import { openSession } from '../../../support/operations/join.js';
import { poll, type RedisCluster, type RedisServer, startCluster, startRedis } from '../../../support/redis.js';
import { failureOf, tablesOf } from '../../cluster/formed.js';
import { expectWhole, idOf, newOperator, type Operator, rolesOf } from './roles.js';

const PASSWORD = 'members secret';
const KEYS = 200;
let cluster: RedisCluster;
let operator: Operator;
/** Those of the cluster that are its members at the moment. */
let members: RedisServer[];
const others: RedisServer[] = [];

beforeAll(async () => {
  cluster = await startCluster({ masters: 3, replicasPerMaster: 1, requirepass: PASSWORD });
  members = [...cluster.nodes];
  operator = await newOperator(() => members.map(({ address }) => address).join(','), PASSWORD);
  const client = new Redis.Cluster([cluster.masters[0]!], { redisOptions: { password: PASSWORD } });
  for (let n = 0; n < KEYS; n++) await client.set(`key:${n}`, String(n));
  client.disconnect();
});
afterAll(async () => {
  await Promise.all([cluster?.stop(), operator?.remove(), ...others.map((server) => server.stop())]);
});
afterEach(async () => {
  await expectWhole(members);
  const client = new Redis.Cluster([members[0]!], { redisOptions: { password: PASSWORD } });
  for (let n = 0; n < KEYS; n++) expect(await client.get(`key:${n}`)).toBe(String(n));
  client.disconnect();
});

async function startEmpty(): Promise<RedisServer> {
  const server = await startRedis({
    cluster: true,
    requirepass: PASSWORD,
    args: ['--repl-diskless-sync-delay', '0'],
  });
  others.push(server);
  return server;
}

const replace = (old: string, by: RedisServer) => (snapshot: Parameters<typeof planReplace>[0]) =>
  planReplace(snapshot, { old, new: parseAddress(by.address) });

async function mastersOf(nodes: readonly RedisServer[]): Promise<RedisServer[]> {
  const { masters } = await rolesOf(nodes);
  return nodes.filter(({ address }) => masters.includes(address));
}

/** Waits until all members hold it for dead. */
async function die(server: RedisServer): Promise<string> {
  const id = await idOf(server);
  await server.kill();
  members = members.filter((member) => member !== server);
  await poll('it is held for dead', 20_000, async () => {
    const tables = await tablesOf(members);
    return tables.every((table) => table.node(id)?.flags.includes('fail'));
  });
  return id;
}

describe('a node that is replaced', () => {
  it('hands its role, its slots and its keys to the new one, and is empty and alone afterwards', async () => {
    const old = cluster.masters[0] as RedisServer;
    const added = await startEmpty();
    const result = await operator.run(replace(old.address, added), { also: added.address });
    expect(result.status).toBe('done');
    members = [added, ...members.filter((member) => member !== old)];
    const { masters } = await rolesOf(members);
    expect(masters).toContain(added.address);
    const [alone] = await tablesOf([old]);
    expect(alone?.nodes).toHaveLength(1);
    expect(await old.call('DBSIZE')).toBe(0);
    const again = await operator.run(replace(old.address, added), { also: `${added.address},${old.address}` });
    expect(again.status).toBe('unchanged');
  });

  it('holds no writes for want of an acknowledgement, and is heard until its subscribers have left', async () => {
    const [master] = await mastersOf(members);
    const old = master as RedisServer;
    const added = await startEmpty();
    const subscriber = new Redis(old.port, old.host, { password: PASSWORD });
    await subscriber.subscribe('news');
    let unacknowledged: string | undefined;
    const heard: { whenItLost?: true; whenReset?: boolean } = {};
    const observer = {
      mutation: async ({ command }: { command: readonly string[] }) => {
        const words = command.slice(0, 2).join(' ');
        if (words === 'CLUSTER FAILOVER') {
          const info = String(await old.call('INFO', 'replication'));
          unacknowledged = info.split('\r\n').find((line) => /state=online,offset=0,/.test(line)) ?? '';
          // Long after the others have agreed, as a client that moves with both heard for a while.
          setTimeout(() => {
            heard.whenItLost = true;
            subscriber.disconnect();
          }, 1_500);
        }
        if (words === 'CLUSTER RESET') heard.whenReset = heard.whenItLost !== true;
      },
    };
    try {
      const result = await operator.run(replace(old.address, added), { also: added.address, observer });
      expect(result.status).toBe('done');
      members = [added, ...members.filter((member) => member !== old)];
      expect(unacknowledged).toBe('');
      expect(heard).toEqual({ whenItLost: true, whenReset: false });
    } finally {
      subscriber.disconnect();
    }
  });

  it('may be dead, when it is a replica', async () => {
    const dead = await die(cluster.replicas[0] as RedisServer);
    const added = await startEmpty();
    const result = await operator.run(replace(dead, added), { also: added.address });
    expect(result.violations).toMatchObject([{ guard: 'nodes-down', effect: 'tolerated' }]);
    members = [...members, added];
    expect((await rolesOf(members)).others).toContain(added.address);
  });

  it('keeps its place when the operation is undone before it was removed, and loses it when it is finished', async () => {
    const old = members.find(({ address }) => address === cluster.masters[1]?.address) as RedisServer;
    const added = await startEmpty();
    const die = (kind: string) => ({
      journal: (when: string, entry: { type: string; state?: string; step?: string }) => {
        if (when !== 'after' || entry.type !== 'step' || entry.state !== 'done') return;
        if (entry.step === kind) throw new Error('killed');
      },
    });
    // Join, agree, attach, synchronise, agree, failover.
    const run = (step: string) =>
      failureOf(operator.run(replace(old.address, added), { also: added.address, observer: die(step) }));
    expect((await run('s6')).message).toBe('killed');
    expect((await rolesOf([...members, added])).masters).toContain(added.address);
    const at = async (work: typeof resumeOperation) => {
      const session = await openSession(operatorSeeds(), { also: added.address, password: PASSWORD });
      try {
        const [left] = await unfinishedOperations(operator.paths.journals, session.memberIds);
        return await work({ session, paths: operator.paths }, left?.operationId ?? '');
      } finally {
        session.close();
      }
    };
    expect((await at(rollbackOperation)).status).toBe('rolled-back');
    await expectWhole(members);
    expect((await rolesOf(members)).masters).toContain(old.address);
    expect((await tablesOf([added]))[0]?.nodes).toHaveLength(1);

    await added.call('FLUSHALL');
    expect((await run('s6')).message).toBe('killed');
    expect((await at(resumeOperation)).status).toBe('done');
    members = [added, ...members.filter((member) => member !== old)];
  });
});

function operatorSeeds(): string {
  return members.map(({ address }) => address).join(',');
}

describe('dead nodes', () => {
  it('are forgotten by all, and not taken in again when they come back', async () => {
    const victim = members.find(({ address }) => address === cluster.replicas[2]?.address) as RedisServer;
    const alive = await failureOf(
      operator.run((snapshot) => planForget(snapshot, { nodes: [victim.address], dead: false })),
    );
    expect(alive).toMatchObject({ kind: 'refused', message: expect.stringContaining('answers') });
    const id = await die(victim);
    // One has been told already: the others still know it, and the nodes disagree.
    await members[0]?.call('CLUSTER', 'FORGET', id);
    const result = await operator.run((snapshot) => planForget(snapshot, { nodes: [], dead: true }));
    expect(result.status).toBe('done');
    expect(result.violations.map(({ guard, effect }) => [guard, effect])).toEqual([
      ['nodes-down', 'tolerated'],
      ['disagreement', 'tolerated'],
    ]);
    const back = await startRedis({
      cluster: true,
      requirepass: PASSWORD,
      port: victim.port,
      args: ['--dir', victim.dir],
    });
    others.push(back);
    expect(await idOf(back)).toBe(id);
    // It still knows them, and talks to them.
    await poll('it has links to the others', 10_000, async () => {
      const [table] = await tablesOf([back]);
      return table?.nodes.filter(({ linked }) => linked).length === members.length + 1;
    });
    for (const table of await tablesOf(members)) {
      expect(table.node(id)).toBeUndefined();
      expect(table.handshakes).toEqual([]);
    }
    const none = await operator.run((snapshot) => planForget(snapshot, { nodes: [], dead: true }));
    expect(none.status).toBe('unchanged');
  });
});
