import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { passedOf, takeUp } from '../../../../../src/proxy/engine/clients/passing.js';
import type { Inherited } from '../../../../../src/proxy/engine/pubsub/inherited.js';
import { type FakeClient, FakeCore } from '../support/fake-core.js';

const TICK_MS = 20;
const NODE = 'node0:7000';
const bulk = (text: string) => `$${text.length}\r\n${text}\r\n`;
const command = (...words: string[]) => `*${words.length}\r\n${words.map(bulk).join('')}`;
const confirmed = (name: string) => `*3\r\n${bulk('subscribe')}${bulk(name)}:1\r\n`;
const message = (number: number | string) => command('message', 'news', `m${number}`);
const numbers = (text: string) => [...text.matchAll(/m(\d+)/g)].map(([, number]) => Number(number));

/** The process that takes over, and what its node is asked. */
class Successor {
  readonly fake = new FakeCore(1);
  done = 0;
  /** How far behind the process before is, and when it has come to a stand, if it has. */
  lagMs = 0;
  stoodMs = Number.POSITIVE_INFINITY;

  constructor() {
    this.fake.turn();
  }

  begin(): Inherited {
    const inherited = this.fake.core.pubsub.inheritance.begin(0, 'news', this, () => this.done++);
    this.fake.turn();
    return inherited;
  }

  get toldUntilMs(): number {
    return Math.min(this.fake.nowMs - this.lagMs, this.stoodMs);
  }

  tick(): void {}

  /** The node confirms what it was asked. */
  confirm(): void {
    if (!this.fake.upstream(NODE).socket.take().includes('SUBSCRIBE')) throw new Error('it was not asked');
    this.fake.answer(NODE, confirmed('news'));
  }

  /** A client of the process before, which speaks RESP2 or 3. */
  adopt(inherited: Inherited, proto: number): FakeClient {
    const before = new FakeCore(1).client();
    if (proto === 3) before.say(command('HELLO', '3'));
    const client = this.fake.client();
    takeUp(this.fake.core, client.client, structuredClone(passedOf(before.client)), '', [inherited.inherited]);
    return client;
  }

  told(inherited: Inherited, number: number | string): void {
    this.fake.core.beginEvent();
    const bytes = Buffer.from(message(number));
    inherited.told(bytes, 0, bytes.length);
    this.fake.turn();
  }

  says(number: number | string): void {
    this.fake.answer(NODE, message(number));
  }
}

/** When a message is published, and how much later each process has it, in ticks. */
const published = fc.record({ after: fc.nat(3), old: fc.nat(14), fresh: fc.nat(14) });

describe('subscribers of another process', () => {
  it('hear each message once, in its order, whichever process has it first, also when the one before stands still', () => {
    fc.assert(
      fc.property(
        fc.array(published, { minLength: 40, maxLength: 120 }),
        fc.array(fc.record({ at: fc.nat(60), proto: fc.constantFrom(2, 3) }), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 0, max: 30 }),
        fc.record({ at: fc.nat(90), length: fc.constantFrom(0, 10, 60, 100) }),
        (messages, comers, confirmedAt, stand) => {
          // What would be while it stands still is when it goes on.
          const afterStand = (tick: number) => {
            const isIn = tick >= stand.at && tick < stand.at + stand.length;
            return isIn ? stand.at + stand.length : tick;
          };
          const BEGUN = afterStand(15);
          const BETWEEN = 15;
          let at = 0;
          let [old, fresh] = [0, 0];
          // Each process hears them in their order.
          const all = messages.map((each, number) => {
            at += each.after;
            old = Math.max(old, afterStand(at + each.old));
            fresh = Math.max(fresh, at + each.fresh);
            return { number, at, old, fresh };
          });
          const successor = new Successor();
          const clients: { at: number; proto: number; told: number[]; client: FakeClient | null }[] = comers.map(
            (each) => ({ ...each, at: afterStand(BEGUN + each.at), told: [], client: null }),
          );
          const complete = afterStand(Math.max(...clients.map((each) => each.at)) + BETWEEN);
          let inherited: Inherited | null = null;
          let liveAt = Number.POSITIVE_INFINITY;
          for (let now = 0; now < Math.max(complete, BEGUN + confirmedAt, old, fresh) + 120; now++) {
            if (now === stand.at) successor.stoodMs = successor.fake.nowMs;
            if (now === BEGUN) inherited = successor.begin();
            if (now === BEGUN + confirmedAt) {
              successor.confirm();
              liveAt = now;
            }
            for (const each of clients) if (each.at === now) each.client = successor.adopt(inherited!, each.proto);
            if (now === complete) inherited?.end();
            for (const each of all) {
              if (each.old === now) {
                for (const { client, told } of clients) if (client === null) told.push(each.number);
                if (inherited !== null && successor.done === 0) successor.told(inherited, each.number);
              }
              // A node says what is published, or passed on to it, while it is subscribed to.
              if (each.fresh === now && now > liveAt) successor.says(each.number);
            }
            if (now >= stand.at + stand.length) successor.stoodMs = Number.POSITIVE_INFINITY;
            successor.fake.pass(TICK_MS);
          }
          expect(successor.done).toBe(1);
          for (const { client, told, proto } of clients) {
            const heard = client!.socket.take();
            if (proto === 3) expect(heard).not.toContain('*3');
            expect([...told, ...numbers(heard)]).toEqual(all.map(({ number }) => number));
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  const settled = () => {
    const successor = new Successor();
    const inherited = successor.begin();
    successor.confirm();
    const client = successor.adopt(inherited, 2);
    return { successor, inherited, client };
  };

  it('are counted, and may leave, subscribe and unsubscribe before they are like all others', () => {
    const { successor, inherited, client } = settled();
    const { pubsub } = successor.fake.core;
    expect(pubsub.known(0, 'news').clients).toBe(1);
    expect(client.say(command('SUBSCRIBE', 'news'))).toBe(confirmed('news'));
    successor.told(inherited, 1);
    expect(numbers(client.socket.take())).toEqual([1]);
    expect(client.say(command('GET', 'key'))).toContain("Can't execute 'get'");
    expect(client.say(command('UNSUBSCRIBE', 'news'))).toContain(':0\r\n');
    successor.told(inherited, 2);
    expect(client.socket.take()).toBe('');
    expect(pubsub.known(0, 'news').clients).toBe(0);
    const leaver = successor.adopt(inherited, 2);
    successor.fake.core.left(leaver.client);
    successor.told(inherited, 3);
    expect(leaver.socket.take()).toBe('');
  });

  it('are like all others in the end, beside those who came by themselves', () => {
    const { successor, inherited, client } = settled();
    const other = successor.fake.client();
    other.say(command('SUBSCRIBE', 'news'));
    expect(successor.fake.core.pubsub.known(0, 'news').clients).toBe(2);
    inherited.end();
    successor.fake.pass(2000);
    expect(successor.done).toBe(1);
    other.socket.take();
    // What was on its way when it was told that this is over.
    successor.told(inherited, 6);
    successor.says(7);
    expect([numbers(client.socket.take()), numbers(other.socket.take())]).toEqual([[7], [7]]);
    expect(client.say(command('UNSUBSCRIBE'))).toContain(':0\r\n');
    successor.says(8);
    expect([numbers(client.socket.take()), numbers(other.socket.take())]).toEqual([[], [8]]);
  });

  it('hear the node when the process before is gone, whatever it had yet to tell', () => {
    const { successor, inherited, client } = settled();
    successor.fake.pass(500);
    successor.told(inherited, 1);
    successor.says(2);
    expect(numbers(client.socket.take())).toEqual([1]);
    inherited.lost();
    expect(numbers(client.socket.take())).toEqual([]);
    successor.fake.turn();
    successor.says(3);
    expect(numbers(client.socket.take())).toEqual([2, 3]);
    expect(successor.done).toBe(1);
  });

  it('hear what is the same as an earlier message, when only the node has said it', () => {
    const { successor, inherited, client } = settled();
    successor.told(inherited, 1);
    successor.fake.pass(500);
    successor.says(1);
    inherited.lost();
    successor.fake.turn();
    expect(numbers(client.socket.take())).toEqual([1, 1]);
  });

  it('wait for a process before that stands still: what was published before the subscription is heard by it alone', () => {
    const { successor, inherited, client } = settled();
    inherited.end();
    successor.stoodMs = successor.fake.nowMs;
    successor.fake.pass(3000);
    expect(successor.done).toBe(0);
    successor.told(inherited, 1);
    successor.stoodMs = Number.POSITIVE_INFINITY;
    successor.fake.pass(1000);
    expect([successor.done, numbers(client.socket.take())]).toEqual([1, [1]]);
  });

  it('are told by the process before until there is a subscription here, however long that takes', () => {
    const successor = new Successor();
    const inherited = successor.begin();
    const client = successor.adopt(inherited, 2);
    inherited.end();
    for (let i = 0; i < 20; i++) {
      successor.told(inherited, i);
      successor.fake.pass(500);
    }
    expect(successor.done).toBe(0);
    expect(numbers(client.socket.take())).toEqual(Array.from({ length: 20 }, (_, i) => i));
    const upstream = successor.fake.upstream(NODE);
    expect(upstream.socket.take()).toContain('SUBSCRIBE');
    upstream.events.received(Buffer.from(confirmed('news')));
    successor.fake.pass(1500);
    expect(successor.done).toBe(1);
  });
});
