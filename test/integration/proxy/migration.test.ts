import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { moveSlot } from '../../support/migrate.js';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { startLoad } from '../../support/proxy-load.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, type RedisServer, startCluster, startServers } from '../../support/redis.js';
import { ErrorReply, type Value } from '../../support/resp.js';

let cluster: RedisCluster;
let proxy: RunningProxy;
/** Who serves a slot now. */
const owners = new Map<number, RedisServer>();

beforeAll(async () => {
  cluster = await startCluster();
  proxy = await startProxy({ cluster: cluster.addresses, workers: 2 });
});

afterAll(async () => {
  await proxy?.stop();
  await cluster?.stop();
});

async function slotOf(key: string): Promise<number> {
  return Number(await cluster.nodes[0]!.call('CLUSTER', 'KEYSLOT', key));
}

/** Masters in the order of their slots, as they were given out at first. */
function ownerOf(slot: number): RedisServer {
  return owners.get(slot) ?? cluster.masters[Math.min(2, Math.floor((slot * 3) / 16_384))]!;
}

/** Moves a slot to the next master. */
async function moveOn(slot: number, between?: (moved: number) => Promise<void> | void): Promise<number> {
  const from = ownerOf(slot);
  const to = cluster.masters[(cluster.masters.indexOf(from) + 1) % cluster.masters.length]!;
  const moved = await moveSlot({ slot, from, to, all: cluster.masters, batch: 4, between });
  owners.set(slot, to);
  return moved;
}

/** Runs `work` while the loops run, and lets them finish whatever comes of it. */
async function meanwhile(
  loops: ((running: () => boolean) => Promise<void>)[],
  work: () => Promise<void>,
): Promise<void> {
  let on = true;
  const all = Promise.all(loops.map((loop) => loop(() => on)));
  try {
    await work();
  } finally {
    on = false;
    await all;
  }
}

const counters = async () => {
  const stats = await proxy.stats('upstream_rq_(moved|ask|tryagain)');
  return (name: string) => stats[`cluster.main.upstream_rq_${name}`] ?? 0;
};

describe('a slot that moves', () => {
  it('under the load of 50 clients is seen by nobody: no error, no value lost, nothing out of order', async () => {
    const keyOf = (client: number) => `{move:${client % 10}}:${client}:`;
    const before = await counters();
    const load = await startLoad({ port: proxy.port, name: 'move', keyOf });
    await load.progress(20);
    for (let round = 0; round < 2; round++) {
      for (let tag = 0; tag < 10; tag += 2) {
        expect(await moveOn(await slotOf(`{move:${tag}}`))).toBeGreaterThan(50);
      }
    }
    await load.progress(5);
    const result = await load.stop();
    expect([...result.errors], 'errors').toEqual([]);
    expect(result.wrong).toEqual([]);
    expect(result.lost).toEqual([]);
    expect(result.closed).toBe(0);
    const after = await counters();
    // It did meet what it hid.
    for (const name of ['moved', 'ask', 'tryagain']) expect(after(name), name).toBeGreaterThan(before(name));
  });

  it('keeps the results of a pipelining client in order', async () => {
    const keys = Array.from({ length: 3 }, (_, i) => `{order:${i}}`);
    const filler = keys.flatMap((tag) => Array.from({ length: 300 }, (_, i) => ['SET', `${tag}:${i}`, 'x']));
    const clients = await Promise.all(keys.map(() => RawClient.connect({ port: proxy.port })));
    await clients[0]!.pipeline(filler);
    const faults: string[] = [];
    const loops = clients.map((client, index) => async (running: () => boolean) => {
      const tag = keys[index]!;
      let count = 0;
      let length = 0;
      while (running()) {
        const commands: string[][] = [];
        for (let i = 0; i < 50; i++) {
          commands.push(['INCR', `${tag}:n`], ['APPEND', `${tag}:a`, 'xy'], ['RPUSH', `${tag}:l`, String(count + i)]);
          if (i % 10 === 0)
            commands.push(['EVAL', 'return redis.call("GET", KEYS[1])', '1', `${tag}:n`], ['ECHO', `${i}`]);
        }
        const replies = await client.pipeline(commands);
        const check = (reply: Value, expected: Value, what: string) => {
          if (reply !== expected)
            faults.push(
              `${tag} ${what}: ${reply instanceof ErrorReply ? reply.message : String(reply)}, not ${String(expected)}`,
            );
        };
        let at = 0;
        for (let i = 0; i < 50; i++) {
          check(replies[at++]!, ++count, 'INCR');
          length += 2;
          check(replies[at++]!, length, 'APPEND');
          check(replies[at++]!, count, 'RPUSH');
          if (i % 10 !== 0) continue;
          check(replies[at++]!, String(count), 'GET in a script');
          check(replies[at++]!, `${i}`, 'ECHO');
        }
        if (faults.length > 20) return;
      }
    });
    await meanwhile(loops, async () => {
      for (let round = 0; round < 3; round++) {
        for (const tag of keys) await moveOn(await slotOf(tag));
      }
    });
    expect(faults).toEqual([]);
    for (const client of clients) client.close();
  });

  it('halfway serves keys on both sides, and commands over both once they are together', async () => {
    const tag = '{half}';
    const slot = await slotOf(tag);
    const client = await RawClient.connect({ port: proxy.port });
    const keys = Array.from({ length: 40 }, (_, i) => `${tag}:${i}`);
    await client.call('MSET', ...keys.flatMap((key) => [key, key]));
    let halfway = 0;
    let waiting: Promise<Value> | undefined;
    await moveOn(slot, async (moved) => {
      if (moved !== 20) return;
      halfway++;
      for (const key of keys) expect(await client.call('GET', key)).toBe(key);
      expect(await client.call('SET', `${tag}:new`, 'new')).toBe('OK');
      expect(await client.call('GET', `${tag}:new`)).toBe('new');
      expect(await client.call('EXISTS', `${tag}:none`)).toBe(0);
      const multi = await RawClient.connect({ port: proxy.port });
      waiting = multi.call('MGET', ...keys).finally(() => multi.close());
    });
    expect(halfway).toBe(1);
    expect(await waiting).toEqual(keys);
    client.close();
  });

  it('is followed in RESP3 and by a command over several slots as well', async () => {
    const client = await RawClient.connect({ port: proxy.port });
    await client.call('HELLO', 3);
    const keys = Array.from({ length: 30 }, (_, i) => `{several:${i % 3}}:${i}`);
    await client.call('MSET', ...keys.flatMap((key) => [key, key]));
    const faults: string[] = [];
    const loop = async (running: () => boolean) => {
      while (running() && faults.length < 20) {
        const replies = await client.pipeline([
          ['MGET', ...keys],
          ['EXISTS', ...keys],
          ['HSET', '{several:0}:h', 'f', 'v'],
          ['HGETALL', '{several:0}:h'],
          ['MSET', ...keys.flatMap((key) => [key, key])],
        ]);
        if (String(replies[0]) !== String(keys)) faults.push(`MGET ${JSON.stringify(replies[0])}`);
        if (replies[1] !== keys.length) faults.push(`EXISTS ${JSON.stringify(replies[1])}`);
        if (!(replies[3] instanceof Map)) faults.push(`HGETALL ${JSON.stringify(replies[3])}`);
        if (replies[4] !== 'OK') faults.push(`MSET ${JSON.stringify(replies[4])}`);
      }
    };
    await meanwhile([loop], async () => {
      for (let round = 0; round < 6; round++) {
        for (let tag = 0; tag < 3; tag++) await moveOn(await slotOf(`{several:${tag}}`));
      }
    });
    expect(faults).toEqual([]);
    client.close();
  });
});

describe('a cluster that grows and shrinks', () => {
  it('is followed to a master that the proxy did not know, and from one that is taken away', async () => {
    // A master that loses its last slot shall stay one.
    const [added] = await startServers(1, { cluster: true, args: ['--cluster-allow-replica-migration', 'no'] });
    try {
      const first = cluster.masters[0]!;
      await first.call('CLUSTER', 'MEET', added!.host, added!.port);
      await poll('the new master knows all slots and serves', 20_000, async () => {
        const info = String(await added!.call('CLUSTER', 'INFO'));
        return info.includes('cluster_slots_ok:16384') && info.includes('cluster_state:ok');
      });
      const id = String(await added!.call('CLUSTER', 'MYID'));
      await poll('every node knows the new master', 20_000, async () => {
        const known = await Promise.all(cluster.nodes.map((node) => node.call('CLUSTER', 'NODES')));
        return known.every((nodes) => String(nodes).includes(id));
      });
      const tag = '{grow}';
      const slot = await slotOf(tag);
      const load = await startLoad({ port: proxy.port, clients: 10, name: 'grow', keyOf: (i) => `${tag}:${i}:` });
      await load.progress(10);
      const owner = ownerOf(slot);
      await moveSlot({ slot, from: owner, to: added!, all: cluster.masters });
      await load.progress(10);
      await poll('the proxy lists the new master', 10_000, async () =>
        (await proxy.page('/clusters')).body.includes(`${added!.address}::role::master`),
      );
      await load.progress(5);
      await moveSlot({ slot, from: added!, to: owner, all: cluster.masters });
      await load.progress(10);
      for (const node of cluster.nodes) await node.call('CLUSTER', 'FORGET', id);
      await added!.stop();
      await load.progress(10);
      const result = await load.stop();
      expect([...result.errors], 'errors').toEqual([]);
      expect(result.wrong).toEqual([]);
      expect(result.lost).toEqual([]);
      await poll(
        'the proxy has forgotten it',
        20_000,
        async () => !(await proxy.page('/clusters')).body.includes(added!.address),
      );
    } finally {
      await added!.stop();
    }
  });
});
