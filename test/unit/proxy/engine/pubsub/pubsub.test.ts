import { describe, expect, it } from 'vitest';
import { FakeCore } from '../support/fake-core.js';

const bulk = (text: string) => `$${text.length}\r\n${text}\r\n`;
const command = (...words: string[]) => `*${words.length}\r\n${words.map(bulk).join('')}`;
const message = (channel: string, payload: string) => command('message', channel, payload);
const confirmed = (word: string, channel: string, count: number, type = '*') =>
  `${type}3\r\n${bulk(word)}${bulk(channel)}:${count}\r\n`;

/**
 * Three masters. Patterns are subscribed to at the first one (42, the process, modulo 3), channels at that of their
 * slot: the first one for `news`, `hello`, `b` and `f`.
 */
function cluster(limits = {}, settings = {}): FakeCore {
  const fake = new FakeCore(3, settings, limits);
  fake.turn();
  return fake;
}

const HUB = 'node0:7000';

/** A client that is subscribed to a channel. */
function subscriber(fake: FakeCore, channel = 'news', proto = 2) {
  const each = fake.client();
  if (proto === 3) each.say(command('HELLO', '3'));
  const first = fake.core.pubsub.topics[0]?.get(channel) === undefined;
  const said = each.say(command('SUBSCRIBE', channel));
  if (first) fake.answer(HUB, confirmed('subscribe', channel, 1));
  expect(said + each.socket.take()).toBe(confirmed('subscribe', channel, 1, proto === 3 ? '>' : '*'));
  return each;
}

describe('SUBSCRIBE', () => {
  it('is confirmed when the node has confirmed, and asked for once for all clients', () => {
    const fake = cluster();
    const [a, b] = [fake.client(), fake.client()];
    expect(a.say(command('SUBSCRIBE', 'news'))).toBe('');
    const { socket } = fake.upstream(HUB);
    expect(socket.take()).toBe(command('SUBSCRIBE', 'news'));
    expect(b.say(command('SUBSCRIBE', 'news'))).toBe('');
    expect(socket.take()).toBe('');
    fake.answer(HUB, confirmed('subscribe', 'news', 1));
    expect(a.socket.take()).toBe(confirmed('subscribe', 'news', 1));
    expect(b.socket.take()).toBe(confirmed('subscribe', 'news', 1));
    expect(fake.client().say(command('SUBSCRIBE', 'news'))).toBe(confirmed('subscribe', 'news', 1));
    fake.answer(HUB, message('news', 'hello'));
    expect(a.socket.take()).toBe(message('news', 'hello'));
    expect(b.socket.take()).toBe(message('news', 'hello'));
  });

  it('confirms one by one and counts channels and patterns together, shard channels apart', () => {
    const fake = cluster();
    const { say, socket } = fake.client();
    say(command('SUBSCRIBE', 'f', 'b', 'f'));
    fake.answer(HUB, confirmed('subscribe', 'f', 1) + confirmed('subscribe', 'b', 2));
    expect(socket.take()).toBe(
      confirmed('subscribe', 'f', 1) + confirmed('subscribe', 'b', 2) + confirmed('subscribe', 'f', 2),
    );
    say(command('PSUBSCRIBE', 'n*'));
    fake.answer(HUB, confirmed('psubscribe', 'n*', 3));
    expect(socket.take()).toBe(confirmed('psubscribe', 'n*', 3));
    // Slot 866 ('hello'): the first master's.
    say(command('SSUBSCRIBE', 'hello'));
    fake.answer(HUB, confirmed('ssubscribe', 'hello', 1));
    expect(socket.take()).toBe(confirmed('ssubscribe', 'hello', 1));
    expect(say(command('UNSUBSCRIBE', 'f', 'zz'))).toBe(
      confirmed('unsubscribe', 'f', 2) + confirmed('unsubscribe', 'zz', 2),
    );
    expect(say(command('PUNSUBSCRIBE'))).toBe(confirmed('punsubscribe', 'n*', 1));
    expect(say(command('SUNSUBSCRIBE'))).toBe(confirmed('sunsubscribe', 'hello', 0));
    expect(say(command('SUNSUBSCRIBE'))).toBe(`*3\r\n${bulk('sunsubscribe')}$-1\r\n:0\r\n`);
    expect(say(command('UNSUBSCRIBE'))).toBe(confirmed('unsubscribe', 'b', 0));
    expect(say(command('UNSUBSCRIBE'))).toBe(`*3\r\n${bulk('unsubscribe')}$-1\r\n:0\r\n`);
    say(command('HELLO', '3'));
    expect(say(command('UNSUBSCRIBE'))).toBe(`>3\r\n${bulk('unsubscribe')}_\r\n:0\r\n`);
  });

  it('keeps its place among the commands of its client', () => {
    const fake = cluster();
    const { say, socket } = fake.client();
    say(command('HELLO', '3'));
    say(command('GET', 'hello') + command('SUBSCRIBE', 'f') + command('SUBSCRIBE', 'b') + command('UNSUBSCRIBE', 'f'));
    expect(socket.take()).toBe('');
    // The shared connection has said HELLO 3.
    fake.answer(HUB, '%1\r\n$5\r\nproto\r\n:3\r\n');
    fake.answer(HUB, '$1\r\nv\r\n');
    expect(socket.take()).toBe('$1\r\nv\r\n');
    expect(fake.upstream(HUB).socket.take()).toBe(command('SUBSCRIBE', 'f') + command('SUBSCRIBE', 'b'));
    // Another node would have confirmed the second one first.
    fake.answer(HUB, confirmed('subscribe', 'f', 1));
    expect(socket.take()).toBe(confirmed('subscribe', 'f', 1, '>'));
    fake.answer(HUB, confirmed('subscribe', 'b', 2));
    expect(socket.take()).toBe(confirmed('subscribe', 'b', 2, '>') + confirmed('unsubscribe', 'f', 1, '>'));
  });

  it('of shard channels in several slots is refused', () => {
    const { say } = cluster().client();
    expect(say(command('SSUBSCRIBE', 'a', 'b'))).toBe("-CROSSSLOT Keys in request don't hash to the same slot\r\n");
  });

  it('gives up when no node answers within op_timeout', () => {
    const fake = cluster({}, { opTimeoutMs: 1000 });
    const { say, socket } = fake.client();
    say(command('SUBSCRIBE', 'a'));
    fake.pass(1300);
    expect(socket.take()).toBe('-no upstream host\r\n');
    expect(say(command('PING'))).toBe('+PONG\r\n');
  });

  it('is told why a node refuses', () => {
    const fake = cluster();
    const { say, socket } = fake.client();
    say(command('SUBSCRIBE', 'f', 'b'));
    fake.answer(HUB, `${confirmed('subscribe', 'f', 1)}-NOPERM No permissions to access a channel\r\n`);
    expect(socket.take()).toBe('-NOPERM No permissions to access a channel\r\n');
    expect(fake.core.pubsub.subscribers.total).toBe(0);
  });

  it('is refused above the bound', () => {
    const fake = cluster({ subscriptionsMax: 1 });
    const { say } = subscriber(fake);
    expect(say(command('SUBSCRIBE', 'b'))).toBe('-ERR the proxy has too many subscriptions\r\n');
  });

  it('counts while it waits for a node, and no more when it failed or its client left', () => {
    const fake = cluster({ subscriptionsMax: 3 });
    const refused = '-ERR the proxy has too many subscriptions\r\n';
    const [first, second, third] = [fake.client(), fake.client(), fake.client()];
    expect(first.say(command('SUBSCRIBE', 'p', 'q'))).toBe('');
    expect(second.say(command('SUBSCRIBE', 'p', 'q'))).toBe(refused);
    expect(second.say(command('SUBSCRIBE', 'p'))).toBe('');
    expect(third.say(command('SUBSCRIBE', 'r'))).toBe(refused);
    fake.core.left(second.client);
    expect(third.say(command('SUBSCRIBE', 'r'))).toBe('');
    fake.pass(5200);
    expect(first.socket.take()).toBe('-no upstream host\r\n');
    expect(third.socket.take()).toBe('-no upstream host\r\n');
    expect(fake.client().say(command('SUBSCRIBE', 's', 't', 'u'))).toBe('');
    expect(third.say(command('SUBSCRIBE', 'r'))).toBe(refused);
  });
});

describe('a RESP2 client with subscriptions', () => {
  const refused = (name: string) =>
    `-ERR Can't execute '${name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context\r\n`;

  it('may do nothing else, in Redis words', () => {
    const fake = cluster();
    const { say } = subscriber(fake);
    expect(say(command('GET', 'a'))).toBe(refused('get'));
    expect(say(command('client', 'ID'))).toBe(refused('client|id'));
    expect(say(command('HELLO', '3'))).toBe(refused('hello'));
    expect(say(command('PING'))).toBe('*2\r\n$4\r\npong\r\n$0\r\n\r\n');
    expect(say(command('PING', 'x'))).toBe('*2\r\n$4\r\npong\r\n$1\r\nx\r\n');
    expect(say(command('NOSUCH'))).toMatch(/^-ERR unknown command/);
    say(command('UNSUBSCRIBE'));
    expect(say(command('PING'))).toBe('+PONG\r\n');
  });

  it('is in that state for what it sends behind a SUBSCRIBE that waits', () => {
    const fake = cluster();
    const { say, socket } = fake.client();
    expect(say(command('SUBSCRIBE', 'f') + command('PING') + command('GET', 'x'))).toBe('');
    fake.answer(HUB, confirmed('subscribe', 'f', 1));
    expect(socket.take()).toBe(`${confirmed('subscribe', 'f', 1)}*2\r\n$4\r\npong\r\n$0\r\n\r\n${refused('get')}`);
  });

  it('is one as soon as HELLO 2 makes it one', () => {
    const fake = cluster();
    const { say } = subscriber(fake, 'news', 3);
    expect(say(command('PING'))).toBe('+PONG\r\n');
    say(command('HELLO', '2'));
    expect(say(command('GET', 'a'))).toBe(refused('get'));
  });
});

describe('messages', () => {
  it('are pushes in RESP3 and arrays in RESP2, from the same bytes', () => {
    const fake = cluster();
    const two = subscriber(fake);
    const three = subscriber(fake, 'news', 3);
    const both = message('news', 'a') + message('news', 'b');
    fake.answer(HUB, `${both}${message('other', 'x')}${message('news', 'c')}`);
    expect(two.socket.take()).toBe(both + message('news', 'c'));
    expect(three.socket.take()).toBe((both + message('news', 'c')).replaceAll('*3', '>3'));
    expect(fake.counter('upstream_pubsub_messages_total')).toBe(3);
    expect(fake.counter('downstream_pubsub_messages_total')).toBe(6);
  });

  it('wait for the end of a reply that is passed on in pieces', () => {
    const fake = cluster();
    const { say, socket } = subscriber(fake, 'news', 3);
    say(command('GET', 'hello'));
    const value = 'v'.repeat(40_000);
    // The reply comes over the shared connection of RESP3, the newest one to the node.
    fake.answer(HUB, `%1\r\n$5\r\nproto\r\n:3\r\n`);
    const lane = fake.upstream(HUB);
    const hub = fake.upstreams.findLast((each) => each.address === HUB && each !== lane)!;
    const receive = (from: typeof hub, text: string) => {
      from.events.received(Buffer.from(text, 'latin1'));
      fake.turn();
    };
    receive(lane, `$40000\r\n${value.slice(0, 30_000)}`);
    expect(socket.take()).toBe(`$40000\r\n${value.slice(0, 30_000)}`);
    receive(hub, message('news', '1'));
    receive(hub, message('news', '2'));
    expect(socket.take()).toBe('');
    receive(lane, `${value.slice(30_000)}\r\n`);
    const pushes = (message('news', '1') + message('news', '2')).replaceAll('*3', '>3');
    expect(socket.take()).toBe(`${value.slice(30_000)}\r\n${pushes}`);
    receive(hub, message('news', '3'));
    expect(socket.take()).toBe(message('news', '3').replace('*', '>'));
  });

  it('go to many in portions: what comes meanwhile goes out with them, and nobody else waits for all', () => {
    const fake = cluster();
    const many = Array.from({ length: 300 }, (_, i) => subscriber(fake, 'news', 2 + (i % 2)));
    const hub = fake.upstream(HUB);
    hub.events.received(Buffer.from(message('news', '1')));
    const written = () => many.filter(({ socket }) => socket.sent.length > 0).length;
    fake.endTurn();
    const first = written();
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThan(300);
    hub.events.received(Buffer.from(message('news', '2')));
    fake.turn();
    const both = message('news', '1') + message('news', '2');
    for (const [i, { socket }] of many.entries()) {
      expect(socket.take()).toBe(i % 2 === 0 ? both : both.replaceAll('*3', '>3'));
    }
    // More than their common buffer holds.
    let sent = '';
    for (let i = 0; i < 20; i++) {
      const text = message('news', `${i} ${'x'.repeat(5000)}`);
      hub.events.received(Buffer.from(text));
      sent += text;
    }
    fake.turn();
    for (const [i, { socket }] of many.entries()) {
      expect(socket.take()).toBe(i % 2 === 0 ? sent : sent.replaceAll('*3', '>3'));
    }
    // Those that had not been written to got both at once.
    expect(fake.counter('downstream_pubsub_messages_total')).toBe(22 * 300);
  });

  it('disconnect who does not take them, and nobody else; the node is read all the same', () => {
    const fake = cluster({ pubsubOutputBytesMax: 100_000 });
    const slow = subscriber(fake);
    const quick = subscriber(fake);
    slow.socket.room = 1000;
    const bytes = message('news', 'x'.repeat(10_000));
    for (let i = 0; i < 20; i++) fake.answer(HUB, bytes);
    expect(slow.socket.terminated).toBe(true);
    expect(fake.counter('downstream_pubsub_slow_close')).toBe(1);
    expect(quick.socket.take().length).toBe(20 * bytes.length);
    expect(fake.upstream(HUB).socket.paused).toBe(false);
    expect(fake.counter('downstream_pubsub_subscriptions_active')).toBe(1);
  });

  it('count as taken when the socket takes them at once, however many come in one turn', () => {
    const fake = cluster({ pubsubOutputBytesMax: 16_384 });
    const { socket } = subscriber(fake);
    fake.answer(HUB, message('news', 'x'.repeat(50_000)));
    expect(socket.take().length).toBeGreaterThan(50_000);
    expect(socket.terminated).toBe(false);
  });
});

describe('subscriptions at the nodes', () => {
  it('end a while after the last client has left', () => {
    const fake = cluster();
    const { client, socket } = subscriber(fake);
    const other = subscriber(fake);
    fake.core.left(client);
    expect(socket.terminated).toBe(false);
    fake.pass(500);
    const { socket: hub } = fake.upstream(HUB);
    hub.take();
    fake.core.left(other.client);
    fake.pass(100);
    expect(hub.take()).toBe('');
    fake.pass(400);
    expect(hub.take()).toBe(command('UNSUBSCRIBE', 'news'));
    expect(fake.core.pubsub.topics.map((topics) => topics.size)).toEqual([0, 0, 0]);
    // Whoever comes before the node has confirmed that is subscribed again.
    const { say, socket: late } = fake.client();
    expect(say(command('SUBSCRIBE', 'news'))).toBe('');
    fake.answer(HUB, confirmed('unsubscribe', 'news', 0) + confirmed('subscribe', 'news', 1));
    expect(late.take()).toBe(confirmed('subscribe', 'news', 1));
    // The connection itself is closed when it has been useless for some seconds.
    late.terminated = true;
  });

  it('move to another node at once when the connection is lost', () => {
    const fake = cluster();
    const { socket } = subscriber(fake);
    const { socket: before, events } = fake.upstream(HUB);
    before.terminated = true;
    events.closed('connection reset');
    fake.turn();
    const next = fake.upstreams.at(-1)!;
    expect(next.address).not.toBe(HUB);
    expect(next.socket.take()).toBe(command('SUBSCRIBE', 'news'));
    fake.answer(next.address, confirmed('subscribe', 'news', 1) + message('news', 'again'));
    expect(socket.take()).toBe(message('news', 'again'));
    expect(fake.refreshes).toContain('connection_lost');
  });

  describe('whose node is lost', () => {
    /** A client that has heard this, with its node lost and another one in its place. */
    function bereaved(heard: readonly string[], waitMs = 0) {
      const fake = cluster();
      const { socket } = subscriber(fake);
      for (const payload of heard) fake.answer(HUB, message('news', payload));
      expect(socket.take()).toBe(heard.map((payload) => message('news', payload)).join(''));
      if (waitMs > 0) fake.pass(waitMs);
      const { socket: before, events } = fake.upstream(HUB);
      before.terminated = true;
      events.closed('connection reset');
      fake.turn();
      const { address } = fake.upstreams.at(-1)!;
      expect(address).not.toBe(HUB);
      fake.answer(address, confirmed('subscribe', 'news', 1));
      const says = (...payloads: string[]) => {
        fake.answer(address, payloads.map((payload) => message('news', payload)).join(''));
        return socket.take();
      };
      return { fake, says };
    }

    it('do not hear again what it had said just before, in whatever pieces the next one says it', () => {
      const { says } = bereaved(['1', '2', '3']);
      expect(says('2')).toBe('');
      expect(says('3', '4', '3')).toBe(message('news', '4') + message('news', '3'));
      expect(says('1', '5')).toBe(message('news', '5'));
      expect(says('1')).toBe(message('news', '1'));
    });

    it('hear it again when it was said long before', () => {
      const { says } = bereaved(['1', '2'], 600);
      expect(says('1', '2')).toBe(message('news', '1') + message('news', '2'));
    });

    it('hear it again when the next one has served them for a while', () => {
      const { fake, says } = bereaved(['1', '2']);
      fake.pass(600);
      expect(says('1', '2')).toBe(message('news', '1') + message('news', '2'));
    });

    it('know it of their own channel only', () => {
      const fake = cluster();
      const [news, other] = [subscriber(fake), subscriber(fake, 'hello')];
      fake.answer(HUB, message('news', '1') + message('hello', '2'));
      for (const { socket } of [news, other]) socket.take();
      const { socket: before, events } = fake.upstream(HUB);
      before.terminated = true;
      events.closed('connection reset');
      fake.turn();
      const { address } = fake.upstreams.at(-1)!;
      fake.answer(address, confirmed('subscribe', 'news', 1) + confirmed('subscribe', 'hello', 2));
      fake.answer(address, message('hello', '1') + message('news', '2') + message('news', '1') + message('hello', '2'));
      expect(news.socket.take()).toBe(message('news', '2'));
      expect(other.socket.take()).toBe(message('hello', '1'));
    });
  });

  it('of a channel hear what is held while its slot moves, also from a client that has left', () => {
    const fake = cluster();
    const writer = fake.client();
    const lane = (address: string) => fake.upstreams.find((each) => each.address === address)!;
    writer.say(command('PUBLISH', 'a', 'x'));
    expect(lane('node2:7000').socket.take()).toBe(command('PUBLISH', 'a', 'x'));
    lane('node2:7000').events.received(Buffer.from(':0\r\n'));
    fake.turn();
    expect(writer.socket.take()).toBe(':0\r\n');
    fake.core.router.slotMap.replace(new Uint16Array(16_384).fill(1));
    fake.core.router.mapChanged();
    fake.turn();
    writer.say(command('PUBLISH', 'a', 'y'));
    expect(lane('node1:7000').socket.take()).toBe('');
    fake.core.left(writer.client);
    fake.pass(200);
    expect(lane('node1:7000').socket.take()).toBe(command('PUBLISH', 'a', 'y'));
    lane('node1:7000').events.received(Buffer.from(':0\r\n'));
    fake.turn();
    expect(fake.core.clients.size).toBe(0);
  });

  it('of a channel are where it is published to, and stay there when its slot moves', () => {
    const fake = cluster();
    const [reader, writer] = [fake.client(), fake.client()];
    /** The connection for commands, which was made first. */
    const lane = (address: string) => fake.upstreams.find((each) => each.address === address)!;
    const answer = (address: string, text: string) => {
      lane(address).events.received(Buffer.from(text));
      fake.turn();
    };
    reader.say(command('SUBSCRIBE', 'a'));
    // Slot 15495: the last master's.
    const feed = fake.upstream('node2:7000');
    expect(feed.socket.take()).toBe(command('SUBSCRIBE', 'a'));
    fake.answer('node2:7000', confirmed('subscribe', 'a', 1));
    writer.say(command('PUBLISH', 'a', 'x'));
    expect(lane('node2:7000').socket.take()).toBe(command('PUBLISH', 'a', 'x'));
    answer('node2:7000', ':1\r\n');
    expect(writer.socket.take()).toBe(':1\r\n');
    // The whole cluster's slots are the second master's now.
    fake.core.router.slotMap.replace(new Uint16Array(16_384).fill(1));
    fake.core.router.mapChanged();
    fake.pass(1500);
    writer.say(command('PUBLISH', 'a', 'y'));
    expect(lane('node1:7000').socket.take()).toBe(command('PUBLISH', 'a', 'y'));
    // None of its own is among those at that node.
    answer('node1:7000', ':0\r\n');
    expect(writer.socket.take()).toBe(':1\r\n');
    expect(feed.socket.terminated).toBe(false);
    feed.events.received(Buffer.from(message('a', 'y')));
    fake.turn();
    expect(reader.socket.take()).toBe(confirmed('subscribe', 'a', 1) + message('a', 'y'));
    expect(fake.upstreams.filter(({ socket }) => socket.take().includes('SUBSCRIBE'))).toEqual([]);
  });

  describe('of a channel whose node leaves the cluster', () => {
    const NEXT = 'node1:7000';

    /** The subscriber, and the connections to the old node and to the new one, which is asked and has not answered. */
    function leaving() {
      const fake = cluster();
      const reader = subscriber(fake);
      const { socket } = reader;
      const before = fake.upstream(HUB);
      before.socket.take();
      fake.core.router.applyNodes([1, 2].map((index) => ({ index, host: `node${index}`, port: 7000 })));
      fake.core.router.slotMap.replace(new Uint16Array(16_384).fill(1));
      fake.core.router.mapChanged();
      fake.pass(600);
      expect(fake.upstream(NEXT).socket.take()).toContain(command('SUBSCRIBE', 'news'));
      const old = (text: string) => {
        before.events.received(Buffer.from(text));
        fake.turn();
      };
      return { fake, reader, socket, before, old, next: (text: string) => fake.answer(NEXT, text) };
    }
    const says = (...payloads: string[]) => payloads.map((payload) => message('news', payload)).join('');

    it('hears both for a while: nothing is lost, nothing comes twice, and the order stays', () => {
      const { fake, socket, before, old, next } = leaving();
      old(says('1'));
      next(confirmed('subscribe', 'news', 1));
      expect(before.socket.take()).toBe('');
      // 2 was published before the new node had the subscription, and has not come to the old one.
      next(says('3', '4', '5'));
      expect(socket.take()).toBe(says('1'));
      old(says('2', '3', '4'));
      expect(socket.take()).toBe(says('2', '3', '4'));
      fake.pass(900);
      // The old one has not said it: it never came there.
      expect(socket.take()).toBe(says('5'));
      expect(before.socket.take()).toBe(command('UNSUBSCRIBE', 'news'));
      old(says('5', '6'));
      next(says('6', '7'));
      expect(socket.take()).toBe(says('6', '7'));
    });

    it('passes over what the old one has said before the new one says it', () => {
      const { fake, socket, old, next } = leaving();
      // Published at the old node, and late at the new one.
      old(says('1', '2'));
      next(confirmed('subscribe', 'news', 1) + says('1', '2', '3'));
      old(says('3'));
      fake.pass(350);
      old(says('4', '5'));
      next(says('4'));
      expect(socket.take()).toBe(says('1', '2', '3', '4', '5'));
      fake.pass(500);
      next(says('5', '6'));
      expect(socket.take()).toBe(says('6'));
    });

    it('loses none of many messages that are the same', () => {
      const { fake, socket, old, next } = leaving();
      old(says('tick'));
      next(confirmed('subscribe', 'news', 1));
      let heard = 1;
      for (let i = 0; i < 20; i++) {
        next(says('tick'));
        if (i < 9) old(says('tick'));
        fake.pass(100);
        heard++;
      }
      const count = socket.take().split('tick').length - 1;
      expect(count).toBeGreaterThanOrEqual(heard);
      expect(count).toBeLessThanOrEqual(heard + 1);
    });

    it('goes on at once when the old one is lost', () => {
      const { fake, socket, before, next } = leaving();
      next(confirmed('subscribe', 'news', 1) + says('1', '1', '2'));
      before.socket.terminated = true;
      before.events.closed('connection reset');
      fake.turn();
      expect(socket.take()).toBe(says('1', '1', '2'));
      next(says('3'));
      expect(socket.take()).toBe(says('3'));
    });

    it('is where it is going to when the old one is lost before the new one has confirmed', () => {
      const { fake, socket, before, next } = leaving();
      before.socket.terminated = true;
      before.events.closed('connection reset');
      fake.turn();
      next(confirmed('subscribe', 'news', 1) + says('1'));
      expect(socket.take()).toBe(says('1'));
    });

    it('stays while the new one refuses, and is lost, and asks again', () => {
      const { fake, socket, old, next } = leaving();
      next('-NOPERM No permissions to access a channel\r\n');
      old(says('1'));
      expect(socket.take()).toBe(says('1'));
      fake.pass(900);
      expect(fake.upstream(NEXT).socket.take()).not.toContain('SUBSCRIBE');
      fake.pass(900);
      expect(fake.upstream(NEXT).socket.take()).toContain(command('SUBSCRIBE', 'news'));
      fake.upstream(NEXT).socket.terminated = true;
      fake.upstream(NEXT).events.closed('connection reset');
      fake.turn();
      old(says('2'));
      expect(socket.take()).toBe(says('2'));
    });

    it('hears nothing twice of a channel with much in it', () => {
      const { fake, socket, old, next } = leaving();
      const MANY = 1000;
      const before = Array.from({ length: MANY }, (_, number) => `before ${number}`);
      // What only the old one has said is not what the new one says next.
      old(says(...before));
      next(confirmed('subscribe', 'news', 1));
      fake.pass(400);
      const both = Array.from({ length: 20 }, (_, number) => `both ${number}`);
      old(says(...both));
      next(says(...both));
      fake.pass(1200);
      next(says('after'));
      expect(socket.take()).toBe(says(...before, ...both, 'after'));
    });

    it('keeps no more than a bound: then the new one is believed', () => {
      const { fake, socket, next } = leaving();
      next(confirmed('subscribe', 'news', 1));
      const payloads = Array.from({ length: 5000 }, (_, number) => `${number}`);
      next(says(...payloads));
      fake.turn();
      expect(socket.take()).toBe(says(...payloads));
    });

    it('answers who subscribes meanwhile, and ends with its last client', () => {
      const { fake, reader, before, next } = leaving();
      next(confirmed('subscribe', 'news', 1));
      const late = fake.client();
      expect(late.say(command('SUBSCRIBE', 'news'))).toBe(confirmed('subscribe', 'news', 1));
      for (const each of [reader, late]) expect(each.say(command('UNSUBSCRIBE'))).toContain('unsubscribe');
      fake.pass(400);
      expect(before.socket.take()).toBe(command('UNSUBSCRIBE', 'news'));
      expect(fake.upstream(NEXT).socket.take()).toBe(command('UNSUBSCRIBE', 'news'));
    });
  });

  it('leave a master that has become a replica', () => {
    const fake = cluster();
    const { socket } = subscriber(fake);
    fake.core.router.applyNodes([
      { index: 0, host: 'node0', port: 7000, masterIndex: 1 },
      ...[1, 2].map((index) => ({ index, host: `node${index}`, port: 7000 })),
    ]);
    fake.core.router.slotMap.replace(new Uint16Array(16_384).fill(1));
    fake.core.router.mapChanged();
    fake.pass(600);
    expect(fake.upstream('node1:7000').socket.take()).toContain(command('SUBSCRIBE', 'news'));
    fake.answer('node1:7000', confirmed('subscribe', 'news', 1) + message('news', 'again'));
    fake.pass(900);
    expect(socket.take()).toBe(message('news', 'again'));
  });

  it('move when the node does not answer', () => {
    const fake = cluster();
    subscriber(fake);
    const { socket } = fake.upstream(HUB);
    socket.take();
    fake.pass(1200);
    expect(socket.take()).toBe(command('PING'));
    fake.answer(HUB, command('pong', ''));
    fake.pass(1200);
    expect(socket.take()).toBe(command('PING'));
    fake.pass(2200);
    expect(socket.terminated).toBe(true);
    expect(fake.upstreams.at(-1)!.socket.take()).toContain(command('SUBSCRIBE', 'news'));
  });

  it('stay when this process stood still: what the node has said meanwhile is read after the look', () => {
    const fake = cluster();
    const { socket: client } = subscriber(fake);
    const { socket } = fake.upstream(HUB);
    fake.pass(1200);
    fake.pass(1800);
    fake.nowMs += 500;
    fake.core.tick();
    expect(socket.terminated).toBe(false);
    fake.answer(HUB, message('news', 'late'));
    expect(client.take()).toContain(message('news', 'late'));
    fake.pass(1000);
    expect(socket.terminated).toBe(false);
  });

  it('leave a node that is silent although every look is late', () => {
    const fake = cluster();
    subscriber(fake);
    const { socket } = fake.upstream(HUB);
    fake.pass(1200);
    for (let look = 0; look < 50; look++) {
      fake.nowMs += 500;
      fake.core.tick();
      fake.turn();
    }
    expect(socket.terminated).toBe(true);
  });

  it('wait elsewhere while the connection that was lost is made anew', () => {
    const fake = cluster();
    const { socket: client } = subscriber(fake);
    const { socket: before, events } = fake.upstream(HUB);
    before.terminated = true;
    events.closed('connection reset');
    fake.turn();
    const { address } = fake.upstreams.at(-1)!;
    fake.answer(address, confirmed('subscribe', 'news', 1));
    // That one is lost, too; the first may be tried again, and is not there yet.
    fake.pass(500);
    const { socket: second, events: others } = fake.upstream(address);
    second.terminated = true;
    others.closed('connection reset');
    fake.turn();
    expect(fake.upstreams.at(-1)!.address).not.toBe(HUB);
    expect(client.terminated).toBe(false);
  });

  it('of shard channels follow MOVED, and are asked for again when a node ends them', () => {
    const fake = cluster();
    const { say, socket } = fake.client();
    say(command('SSUBSCRIBE', 'hello'));
    const confirm = confirmed('ssubscribe', 'hello', 1);
    fake.answer(HUB, '-MOVED 866 node1:7000\r\n');
    expect(socket.take()).toBe('');
    expect(fake.upstream('node1:7000').socket.take()).toBe(command('SSUBSCRIBE', 'hello'));
    fake.answer('node1:7000', confirm);
    expect(socket.take()).toBe(confirm);
    fake.answer('node1:7000', confirmed('sunsubscribe', 'hello', 0));
    expect(fake.upstream('node1:7000').socket.take()).toBe(command('SSUBSCRIBE', 'hello'));
    fake.answer('node1:7000', '-MOVED 866 node2:7000\r\n');
    fake.answer('node2:7000', confirm + command('smessage', 'hello', 'x'));
    expect(socket.take()).toBe(command('smessage', 'hello', 'x'));
  });

  it('of keyspace notifications are at every master', () => {
    const fake = cluster();
    const { say, socket } = fake.client();
    say(command('PSUBSCRIBE', '__keyevent@0__:*'));
    const confirm = confirmed('psubscribe', '__keyevent@0__:*', 1);
    for (const node of ['node0:7000', 'node1:7000', 'node2:7000']) {
      expect(socket.take()).toBe('');
      fake.answer(node, confirm);
    }
    expect(socket.take()).toBe(confirm);
    const event = command('pmessage', '__keyevent@0__:*', '__keyevent@0__:set', 'k');
    fake.answer('node2:7000', event);
    expect(socket.take()).toBe(event);
  });

  it('are confirmed when a master that owes its answer leaves, and follow new ones', () => {
    const fake = cluster();
    const { say, socket } = fake.client();
    say(command('SUBSCRIBE', '__keyevent@0__:del'));
    const confirm = confirmed('subscribe', '__keyevent@0__:del', 1);
    fake.answer('node0:7000', confirm);
    fake.answer('node1:7000', confirm);
    expect(socket.take()).toBe('');
    const { router } = fake.core;
    const among = (count: number) => {
      router.slotMap.replace(Uint16Array.from({ length: 16_384 }, (_, slot) => slot % count));
      router.applyNodes(Array.from({ length: count }, (_, index) => ({ index, host: `node${index}`, port: 7000 })));
    };
    among(2);
    fake.pass(200);
    expect(socket.take()).toBe(confirm);
    among(4);
    fake.pass(200);
    expect(fake.upstream('node3:7000').socket.take()).toBe(command('SUBSCRIBE', '__keyevent@0__:del'));
    fake.answer('node3:7000', confirm + message('__keyevent@0__:del', 'k'));
    expect(socket.take()).toBe(message('__keyevent@0__:del', 'k'));
  });
});

describe('PUBLISH', () => {
  it('counts the clients instead of the workers', () => {
    const fake = cluster();
    // Slot 866 is the first master's, where the hub is.
    subscriber(fake, 'hello');
    subscriber(fake, 'hello');
    const publisher = fake.client();
    expect(publisher.say(command('PUBLISH', 'hello', 'x'))).toBe('');
    const lane = fake.upstreams.find((each) => each.address === HUB)!;
    const answer = (text: string) => {
      lane.events.received(Buffer.from(text));
      fake.turn();
    };
    expect(lane.socket.take()).toBe(command('PUBLISH', 'hello', 'x'));
    answer(':1\r\n');
    expect(publisher.socket.take()).toBe(':2\r\n');
    publisher.say(command('PUBLISH', 'hello', 'x'));
    // Somebody is subscribed at the node directly.
    answer(':3\r\n');
    expect(publisher.socket.take()).toBe(':4\r\n');
    publisher.say(command('PUBLISH', 'hello', 'x'));
    answer('-NOPERM no\r\n');
    expect(publisher.socket.take()).toBe('-NOPERM no\r\n');
  });

  it('counts the clients of other workers, and those with a pattern that matches', () => {
    const fake = cluster({}, { workers: 2 });
    subscriber(fake, 'hello');
    fake.core.relay.answer('pubsub.counts', {
      worker: 1,
      node: HUB,
      version: 3,
      kinds: [0, 1, 1],
      names: ['hello', 'h*', 'x*'],
      clients: [3, 4, 5],
      links: [1, 1, 1],
      users: [1, 1, 1],
      nodes: [HUB, '', ''],
    });
    const publisher = fake.client();
    publisher.say(command('PUBLISH', 'hello', 'x'));
    // Two workers' subscriptions to the channel, and the other one's to the pattern.
    const lane = fake.upstreams.find((each) => each.address === HUB)!;
    lane.events.received(Buffer.from(':3\r\n'));
    fake.turn();
    expect(publisher.socket.take()).toBe(':8\r\n');
  });
});
