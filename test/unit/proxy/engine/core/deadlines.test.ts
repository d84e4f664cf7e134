import { describe, expect, it, vi } from 'vitest';
import { Deadlines } from '../../../../../src/proxy/engine/core/deadlines.js';
import { Lane } from '../../../../../src/proxy/engine/core/lane.js';
import { SlotMap } from '../../../../../src/proxy/engine/core/slot-map.js';
import { FakeCore } from '../support/fake-core.js';
import { Random } from '../support/random.js';
import { encodeCommandText } from '../support/resp.js';

const command = (...args: string[]) => encodeCommandText(args).toString('latin1');

class Thing {
  dueMs = Number.POSITIVE_INFINITY;
  readonly done: number[] = [];
  constructor(
    private readonly clock: { ms: number },
    private readonly then: () => void = () => {},
  ) {}
  due(): void {
    this.done.push(this.clock.ms);
    this.then();
  }
}

describe('deadlines', () => {
  it('come after their time and within one step and tick, once, whatever is moved, taken out or slept through', () => {
    const random = new Random(7);
    const clock = { ms: 1000 };
    const deadlines = new Deadlines(clock.ms);
    const things = Array.from({ length: 200 }, () => new Thing(clock));
    const wanted = new Map<Thing, number>();
    for (let round = 0; round < 2000; round++) {
      const thing = things[random.int(0, things.length - 1)] as Thing;
      if (random.int(0, 3) === 0) {
        deadlines.remove(thing);
        wanted.delete(thing);
      } else {
        const dueMs = clock.ms - 50 + random.int(0, 1999) + 0.25;
        deadlines.add(thing, dueMs);
        wanted.set(thing, Math.max(dueMs, clock.ms));
      }
      if (random.int(0, 2) > 0) continue;
      clock.ms += random.int(0, 49) === 0 ? 100_000 : 20;
      deadlines.tick(clock.ms);
      for (const each of things) {
        const dueMs = wanted.get(each);
        if (each.done.length === 0) {
          if (dueMs !== undefined) expect(dueMs + 5).toBeGreaterThan(clock.ms);
          continue;
        }
        expect(each.done).toEqual([clock.ms]);
        expect(dueMs).toBeLessThanOrEqual(clock.ms);
        expect(each.dueMs).toBe(Number.POSITIVE_INFINITY);
        each.done.length = 0;
        wanted.delete(each);
      }
    }
  });

  it('may be added and taken out by one that is due', () => {
    const clock = { ms: 1000 };
    const deadlines = new Deadlines(clock.ms);
    const other = new Thing(clock);
    const first: Thing = new Thing(clock, () => {
      deadlines.remove(other);
      deadlines.add(first, clock.ms - 1);
    });
    deadlines.add(first, 1010);
    deadlines.add(other, 1010);
    for (let i = 0; i < 3; i++) {
      clock.ms += 20;
      deadlines.tick(clock.ms);
    }
    expect(first.done).toEqual([1020, 1040, 1060]);
    expect(other.done).toEqual([]);
  });
});

describe('clients that wait', () => {
  it.each([
    ['blocked', ['BLPOP', 'k', '0']],
    ['blocked for a time', ['BLPOP', 'k', '100']],
    ['waiting for replicas', ['WAIT', '1', '0']],
    ['watching', ['WATCH', 'k']],
    ['idle', ['PING']],
  ])('cost a tick nothing: %s', (_, words) => {
    const fake = new FakeCore(3);
    fake.turn();
    const clients = Array.from({ length: 300 }, () => fake.client());
    for (const { say } of clients) say(command(...words));
    for (const { events } of words[0] === 'WATCH' ? fake.upstreams.slice(3) : []) {
      fake.core.beginEvent();
      events.received(Buffer.from('+OK\r\n'));
      fake.turn();
    }
    fake.pass(200);
    const onTheirWay = words[0] === 'WATCH' || words[0] === 'PING' ? 0 : clients.length;
    expect(fake.counter('downstream_rq_active')).toBe(onTheirWay);
    const touched = [vi.spyOn(SlotMap.prototype, 'nodeOf'), vi.spyOn(fake.core.clients, Symbol.iterator as never)];
    const expired = vi.spyOn(Lane.prototype, 'expire');
    for (const { client } of clients) {
      Object.defineProperty(client, 'hold', { get: () => expect.fail('a tick has looked at a client'), set() {} });
    }
    fake.pass(2000);
    for (const spy of touched) expect(spy).not.toHaveBeenCalled();
    // The shared connections only, ten times a second.
    expect(expired.mock.calls.length).toBeLessThanOrEqual(3 * 21);
    expect(fake.counter('downstream_rq_active')).toBe(onTheirWay);
    vi.restoreAllMocks();
    for (const { client } of clients) {
      Reflect.deleteProperty(client, 'hold');
      client.hold = 0;
      fake.core.left(client);
    }
    fake.pass(200);
    expect(fake.counter('downstream_rq_active')).toBe(0);
  });
});
