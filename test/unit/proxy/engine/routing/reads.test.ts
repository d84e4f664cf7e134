import { describe, expect, it } from 'vitest';
import type { ReadPolicy } from '../../../../../src/proxy/engine/routing/table.js';
import { command } from '../../../../support/resp.js';
import { FakeCore } from '../support/fake-core.js';

const MASTER = 'node0:7000';
const REPLICAS = ['replica1:7000', 'replica2:7000'];

/** One master and two replicas, all connected. */
function fakeFor(readPolicy: ReadPolicy, settings: object = {}): FakeCore {
  const fake = new FakeCore(1, { readPolicy, ...settings });
  fake.core.router.applyNodes([
    { index: 0, host: 'node0', port: 7000 },
    { index: 1, host: 'replica1', port: 7000, masterIndex: 0 },
    { index: 2, host: 'replica2', port: 7000, masterIndex: 0 },
  ]);
  fake.turn();
  for (const address of REPLICAS) {
    if (!fake.upstreams.some((each) => each.address === address)) continue;
    expect(fake.upstream(address).socket.take()).toBe(command('READONLY').toString());
    fake.answer(address, '+OK\r\n');
  }
  return fake;
}

/** Which nodes got something since it was last asked. */
function reached(fake: FakeCore): string[] {
  return fake.upstreams
    .filter(({ socket }) => !socket.terminated && socket.take() !== '')
    .map(({ address }) => address);
}

const GET = command('GET', 'k').toString();

describe('read policies', () => {
  it('MASTER connects to no replica', () => {
    const fake = fakeFor('MASTER');
    fake.client().say(GET);
    expect(reached(fake)).toEqual([MASTER]);
    expect(fake.upstreams.map(({ address }) => address)).toEqual([MASTER]);
  });

  it('REPLICA takes replicas in turn, and writes go to the master', () => {
    const fake = fakeFor('REPLICA');
    const client = fake.client();
    client.say(GET);
    const first = reached(fake);
    client.say(GET);
    expect([...first, ...reached(fake)].sort()).toEqual(REPLICAS);
    client.say(command('SET', 'k', 'v').toString());
    expect(reached(fake)).toEqual([MASTER]);
  });

  it('what was sent to a replica just before it was known to be silent is read elsewhere when it has had its time', () => {
    const fake = fakeFor('PREFER_REPLICA');
    const client = fake.client();
    client.say(GET);
    const [asked] = reached(fake) as [string];
    const index = 1 + REPLICAS.indexOf(asked);
    fake.core.router.health.know([index], [index], 300);
    fake.pass(200);
    expect(reached(fake)).toEqual([]);
    fake.pass(300);
    const [other] = reached(fake) as [string];
    expect(other).not.toBe(asked);
    fake.answer(other, '$1\r\nv\r\n');
    expect(client.socket.take()).toBe('$1\r\nv\r\n');
  });

  it('what a replica turns away goes to another node at once, and it is left alone for a while', () => {
    for (const error of ['-LOADING Redis is loading the dataset in memory', '-MASTERDOWN Link with MASTER is down']) {
      const fake = fakeFor('PREFER_REPLICA');
      const client = fake.client();
      client.say(GET);
      const [loading] = reached(fake) as [string];
      fake.answer(loading, `${error}\r\n`);
      const [other] = reached(fake) as [string];
      expect(other).not.toBe(loading);
      fake.answer(other, '$1\r\nv\r\n');
      expect(client.socket.take()).toBe('$1\r\nv\r\n');
      for (let i = 0; i < 4; i++) {
        client.say(GET);
        expect(reached(fake)).toEqual([other]);
        fake.answer(other, '$1\r\nv\r\n');
      }
      fake.pass(1100);
      const seen = new Set<string>();
      for (let i = 0; i < 4; i++) {
        client.say(GET);
        for (const address of reached(fake)) {
          seen.add(address);
          fake.answer(address, '$1\r\nv\r\n');
        }
      }
      expect(seen).toEqual(new Set(REPLICAS));
    }
  });

  it('a replica that says MOVED is followed to the master', () => {
    const fake = fakeFor('REPLICA');
    const client = fake.client();
    client.say(GET);
    const [replica] = reached(fake) as [string];
    fake.answer(replica, '-MOVED 7629 node0:7000\r\n');
    expect(reached(fake)).toEqual([MASTER]);
    fake.answer(MASTER, '$1\r\nv\r\n');
    expect(client.socket.take()).toBe('$1\r\nv\r\n');
  });

  it('a read on the connection of a replica that dies is sent to another', () => {
    const fake = fakeFor('REPLICA');
    const client = fake.client();
    client.say(GET);
    const [replica] = reached(fake) as [string];
    fake.upstream(replica).events.closed('gone');
    fake.turn();
    const other = reached(fake).filter((address) => address !== replica);
    expect(other).toHaveLength(1);
    fake.answer(other[0]!, '$1\r\nv\r\n');
    expect(client.socket.take()).toBe('$1\r\nv\r\n');
  });

  it('zones and lag decide: near replicas, then a near master, then any', () => {
    const near = fakeFor('LOCAL_ZONE_AFFINITY_REPLICAS_AND_PRIMARY');
    const client = near.client();
    const goes = () => {
      client.say(GET);
      const [address] = reached(near) as [string];
      near.answer(address, '$1\r\nv\r\n');
      return address;
    };
    near.core.router.reads.know([], [2]);
    expect([goes(), goes(), goes()]).toEqual([REPLICAS[1], REPLICAS[1], REPLICAS[1]]);
    near.core.router.reads.know([2], [2]);
    expect(goes()).toBe(REPLICAS[0]);
    near.core.router.reads.know([2], [0, 2]);
    expect(goes()).toBe(MASTER);
    near.core.router.reads.know([1, 2], []);
    expect(goes()).toBe(MASTER);
  });

  it('with a bound of the lag nothing is read from a replica before it is known', () => {
    const fake = fakeFor('REPLICA', { lagBound: true });
    const client = fake.client();
    expect(client.say(GET)).toBe('-no upstream host\r\n');
    fake.core.router.reads.know([2], []);
    client.say(GET);
    expect(reached(fake)).toEqual([REPLICAS[0]]);
  });

  it('REPLICA without any replica has no upstream host', () => {
    const fake = new FakeCore(1, { readPolicy: 'REPLICA' });
    fake.turn();
    expect(fake.client().say(GET)).toBe('-no upstream host\r\n');
  });

  it('PREFER_MASTER takes a replica when the master cannot be reached', () => {
    const fake = fakeFor('PREFER_MASTER');
    const client = fake.client();
    client.say(GET);
    expect(reached(fake)).toEqual([MASTER]);
    fake.upstream(MASTER).events.closed('gone');
    fake.upstreams.find(({ address }) => address === MASTER)!.socket.terminate();
    fake.turn();
    const [replica] = reached(fake) as [string];
    expect(REPLICAS).toContain(replica);
    fake.answer(replica, '$1\r\nv\r\n');
    expect(client.socket.take()).toBe('$1\r\nv\r\n');
  });
});
