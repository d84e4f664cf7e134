import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ClusterNode } from '../../../src/cluster/cluster-node.js';
import { connectNode } from '../../../src/cluster/node-connection.js';
import { ALL_SLOTS } from '../../../src/cluster/slots.js';
import { Topology } from '../../../src/cluster/topology.js';
import { ClusterClient } from '../../../src/smoke/client.js';
import { slotTags } from '../../../src/smoke/key-slot.js';
import { poll, type RedisCluster, startCluster } from '../../support/redis.js';

let cluster: RedisCluster;
beforeAll(async () => {
  cluster = await startCluster({ masters: 3 });
});
afterAll(() => cluster.stop());

/** A client that believes that the first node serves everything. */
async function mistaken(): Promise<ClusterClient> {
  const { host, port } = cluster.nodes[0]!;
  const everything: ClusterNode = {
    id: '0'.repeat(40),
    ip: host,
    port,
    busPort: port + 10_000,
    flags: ['master'],
    role: 'master',
    configEpoch: 1,
    linked: true,
    slots: ALL_SLOTS,
    migrating: [],
    importing: [],
  };
  return new ClusterClient(await connectNode({ host, port }), { host, port }, new Topology([everything]));
}

describe('the smoke test’s client of a cluster', () => {
  it('hashes keys as the server does', async () => {
    const client = await mistaken();
    try {
      for (const slot of [0, 1, 5461, 10_922, 16_383]) {
        expect(await client.node.call('CLUSTER', 'KEYSLOT', `x{${slotTags()[slot]}}y`)).toBe(slot);
      }
    } finally {
      client.close();
    }
  });

  it('follows MOVED to the right node', async () => {
    const client = await mistaken();
    try {
      const slots = [0, 6_000, 12_000];
      const names = slots.map((slot) => `{${slotTags()[slot]}}moved`);
      const replies = await Promise.all(slots.map((slot, i) => client.send(slot, 'SET', names[i]!, slot)));
      expect(replies).toEqual(['OK', 'OK', 'OK']);
      expect(await Promise.all(slots.map((slot, i) => client.sendBinary(slot, 'GET', names[i]!)))).toEqual(
        slots.map((slot) => Buffer.from(String(slot))),
      );
      for (const [i, node] of cluster.nodes.entries()) {
        expect(await node.call('EXISTS', names[i]!)).toBe(1);
      }
    } finally {
      client.close();
    }
  });

  it('follows ASK while a slot is on its way', async () => {
    const [source, target] = [cluster.nodes[0]!, cluster.nodes[1]!];
    const slot = 42;
    const name = `{${slotTags()[slot]}}asked`;
    const ids = await Promise.all([source, target].map((node) => node.call('CLUSTER', 'MYID')));
    await target.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', String(ids[0]));
    await source.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', String(ids[1]));
    const client = await mistaken();
    try {
      expect(await client.send(slot, 'SET', name, 'x')).toBe('OK');
      expect(await client.send(slot, 'GET', name)).toBe('x');
      expect(await target.call('CLUSTER', 'COUNTKEYSINSLOT', slot)).toBe(1);
      expect(await client.send(slot, 'DEL', name)).toBe(1);
    } finally {
      client.close();
      for (const node of [source, target]) await node.call('CLUSTER', 'SETSLOT', slot, 'STABLE');
    }
  });

  it('passes on an error that is no redirect, and ends with its connections', async () => {
    const client = await mistaken();
    await expect(client.send(6_000, 'INCR', `{${slotTags()[6_000]}}a`, 'too', 'many')).rejects.toMatchObject({
      kind: 'refused',
    });
    client.close();
    await poll('the connection closes', 2_000, () => !client.node.isOpen);
    await expect(client.send(12_000, 'GET', `{${slotTags()[12_000]}}a`)).rejects.toThrow();
  });
});
