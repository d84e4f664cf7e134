import { describe, expect, it } from 'vitest';
import type { TransportEvents } from '../../../../../src/proxy/engine/core/runtime.js';
import { SLOT_COUNT } from '../../../../../src/proxy/engine/hash/crc16.js';
import { FakeCore } from '../support/fake-core.js';
import { encodeCommandText } from '../support/resp.js';

const command = (...args: string[]) => encodeCommandText(args).toString('latin1');
const CLIENTS = 20;
/** Less than the delays between attempts to reach a node that is away. */
const SOON_MS = 600;

describe('clients that wait for a connection of their own to a node that is away', () => {
  it.each([
    ['BLPOP', 'a', '0'],
    ['WATCH', 'a'],
  ])('all go to the one that takes its place, %s', (...words) => {
    const fake = new FakeCore(2);
    fake.turn();
    const { router } = fake.core;
    const connect = fake.connect.bind(fake);
    const [away, next] = ['node1', 'node0'];
    fake.connect = (host: string, port: number, events: TransportEvents) => {
      if (host === away) fake.defer(() => events.failed('refused'));
      else connect(host, port, events);
    };
    const clients = Array.from({ length: CLIENTS }, () => fake.client());
    for (const { say } of clients) say(command(...words));
    fake.pass(2000);
    const before = fake.upstreams.length;
    router.slotMap.replace(new Uint16Array(SLOT_COUNT));
    router.applyNodes([{ index: 0, host: next as string, port: 7000 }]);
    fake.turn();
    fake.pass(SOON_MS);
    const sent = fake.upstreams.slice(before).filter(({ socket }) => socket.take() === command(...words));
    expect(sent.length).toBe(CLIENTS);
  });
});
