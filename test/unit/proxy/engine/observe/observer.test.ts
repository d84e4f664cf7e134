import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../../../../src/proxy/engine/commands/table.generated.js';
import type { BigValue } from '../../../../../src/proxy/engine/observe/big-values.js';
import { Histogram } from '../../../../../src/proxy/engine/observe/histogram.js';
import { Ask } from '../../../../../src/proxy/engine/observe/observer.js';
import { OBSERVE_TIMES, type ObserveSettings } from '../../../../../src/proxy/engine/observe/settings.js';
import type { SlowCommand } from '../../../../../src/proxy/engine/observe/slow-log.js';
import { commandTimesAt, downstreamTimesAt, upstreamTimesAt } from '../../../../../src/proxy/engine/stats.js';
import { FakeCore } from '../support/fake-core.js';

const NODE = 'node0:7000';

const encode = (...args: string[]) =>
  `*${args.length}\r\n${args.map((arg) => `$${Buffer.byteLength(arg, 'latin1')}\r\n${arg}\r\n`).join('')}`;

function start(observe: Partial<ObserveSettings> = {}, nodes = 1) {
  const fake = new FakeCore(nodes, { observe: { ...OBSERVE_TIMES, slowMax: 128, ...observe } });
  fake.turn();
  const read = (at: number) => {
    fake.core.observer.tick();
    const histogram = new Histogram();
    histogram.add(fake.stats, at);
    return { count: histogram.count, ms: Math.round(histogram.sumMicros / 1000) };
  };
  const id = (name: string) => COMMANDS.findIndex((command) => command.name === name);
  return {
    fake,
    client: fake.client(),
    /** Time of one command, of those that are not kept apart, and of the nodes. */
    times: (name: string) => read(commandTimesAt(COMMANDS.length, id(name))),
    together: () => read(downstreamTimesAt(COMMANDS.length)),
    upstream: () => read(upstreamTimesAt(COMMANDS.length, 0)),
    slow: () => fake.core.relay.answer(Ask.slowLog, null) as SlowCommand[],
    big: () => fake.core.relay.answer(Ask.bigValues, null) as BigValue[],
    /** An event after so much time. */
    later(ms: number) {
      fake.turn();
      fake.nowMs += ms;
    },
  };
}

describe('times', () => {
  it('are kept by command, and apart for the node', () => {
    const { client, fake, later, times, upstream, together } = start();
    client.say(encode('GET', 'a'));
    later(7);
    fake.answer(NODE, '$1\r\nx\r\n');
    client.say(encode('SET', 'a', 'b') + encode('SET', 'a', 'c'));
    later(3);
    fake.answer(NODE, '+OK\r\n+OK\r\n');
    expect(times('get')).toEqual({ count: 1, ms: 7 });
    expect(times('set')).toEqual({ count: 2, ms: 6 });
    expect(upstream()).toEqual({ count: 3, ms: 13 });
    expect(together().count).toBe(0);
  });

  it('of all commands are one when they are not wanted apart; a reload changes that', () => {
    const { client, fake, later, times, together } = start({ commandTimes: false });
    client.say(encode('GET', 'a'));
    later(5);
    fake.answer(NODE, '$-1\r\n');
    expect([times('get').count, together()]).toEqual([0, { count: 1, ms: 5 }]);
    fake.core.settings = { ...fake.core.settings, observe: { ...OBSERVE_TIMES } };
    fake.pass(20);
    client.say(encode('GET', 'a'));
    later(5);
    fake.answer(NODE, '$-1\r\n');
    expect([times('get').count, together().count]).toEqual([1, 1]);
  });

  it('count what waits in the proxy as the proxy’s: for the reply of an earlier command', () => {
    const { fake, client, later, times, upstream } = start({}, 2);
    const [first, second] = ['a', 'b'].map((key) => key);
    client.say(encode('GET', first!) + encode('GET', second!));
    const busy = fake.upstreams.filter(({ socket }) => socket.take() !== '');
    expect(busy).toHaveLength(2);
    // The later command's node answers at once, the earlier one's after a while.
    const slotOrder = fake.core.router.keySpace.slotOf(Buffer.from('a'), 0, 1) < 8192 ? [0, 1] : [1, 0];
    later(2);
    fake.answer(`node${slotOrder[1]}:7000`, '$1\r\n2\r\n');
    later(8);
    fake.answer(`node${slotOrder[0]}:7000`, '$1\r\n1\r\n');
    expect(client.socket.take()).toBe('$1\r\n1\r\n$1\r\n2\r\n');
    expect(times('get')).toEqual({ count: 2, ms: 20 });
    expect(upstream()).toEqual({ count: 2, ms: 12 });
  });

  it('do not count what a client waits for other clients, nor what is answered at once', () => {
    const { fake, client, later, times, together, upstream } = start();
    client.say(encode('PING'));
    client.say(encode('BLPOP', 'list', '0'));
    fake.turn();
    later(500);
    const [dedicated] = fake.upstreams.slice(-1);
    fake.core.beginEvent();
    dedicated!.events.received(Buffer.from('*2\r\n$4\r\nlist\r\n$1\r\nx\r\n'));
    fake.turn();
    expect(client.socket.take()).toContain('list');
    expect([times('blpop').count, times('ping').count, together().count]).toEqual([0, 0, 0]);
    expect(upstream().ms).toBe(0);
  });

  it('of a command that timed out are those of the failure, and of the node when it answers at last', () => {
    const { client, fake, times, upstream } = start();
    client.say(encode('GET', 'a'));
    fake.pass(5200);
    expect(client.socket.take()).toContain('upstream failure');
    expect(times('get').count).toBe(1);
    expect(times('get').ms).toBeGreaterThanOrEqual(5000);
    expect(upstream().count).toBe(0);
    fake.pass(400);
    fake.answer(NODE, '$-1\r\n');
    expect(upstream().count).toBe(1);
    expect(upstream().ms).toBeGreaterThanOrEqual(5500);
  });

  it('of a command for several shards are those of its slowest', () => {
    const { fake, client, later, times, upstream } = start({ slowerThanMicros: 1000 }, 2);
    client.say(encode('MGET', 'a', 'b'));
    later(4);
    for (const name of ['node0:7000', 'node1:7000']) {
      if (name === 'node1:7000') later(5);
      fake.answer(name, '*1\r\n$1\r\nx\r\n');
    }
    expect(times('mget')).toEqual({ count: 1, ms: 9 });
    expect(upstream().count).toBe(2);
  });
});

describe('the slow log', () => {
  it('has what took longer than the bound, with the time in the proxy and at the node apart', () => {
    const { client, fake, later, slow } = start({ slowerThanMicros: 10_000 });
    client.say(encode('CLIENT', 'SETNAME', 'app'));
    client.say(encode('GET', 'quick'));
    later(9);
    fake.answer(NODE, '$-1\r\n');
    client.say(encode('SET', 'key', 'value', 'EX', '10'));
    later(12);
    fake.answer(NODE, '+OK\r\n');
    expect(slow()).toHaveLength(1);
    expect(slow()[0]).toMatchObject({
      duration_us: 12_000,
      upstream_us: 12_000,
      proxy_us: 0,
      attempts: 1,
      client: '192.0.2.1:1234',
      client_name: 'app',
      command: 'set',
      arguments: ['SET', 'key', 'value', 'EX', '10'],
    });
    expect(fake.counter('downstream_rq_slow')).toBe(1);
  });

  it('tells time that was spent waiting for an earlier reply from the node’s', () => {
    const { client, fake, later, slow } = start({ slowerThanMicros: 5000 }, 2);
    const order = fake.core.router.keySpace.slotOf(Buffer.from('a'), 0, 1) < 8192 ? [0, 1] : [1, 0];
    client.say(encode('GET', 'a') + encode('GET', 'b'));
    later(1);
    fake.answer(`node${order[1]}:7000`, '$-1\r\n');
    later(9);
    fake.answer(`node${order[0]}:7000`, '$-1\r\n');
    expect(slow().map(({ arguments: args, upstream_us, proxy_us }) => [args[1], upstream_us, proxy_us])).toEqual([
      ['a', 10_000, 0],
      ['b', 1000, 9000],
    ]);
  });

  it('cuts what is long as Redis does, and shows no secrets', () => {
    const { client, fake, later, slow } = start({ slowerThanMicros: 0 });
    const run = (...args: string[]) => {
      client.say(encode(...args));
      later(1);
      fake.answer(NODE, '+OK\r\n');
      fake.pass(20);
      return slow().at(-1)!.arguments;
    };
    expect(run('SET', 'k', 'v'.repeat(200))[2]).toBe(`${'v'.repeat(128)}... (72 more bytes)`);
    const many = run('RPUSH', 'list', ...Array.from({ length: 60 }, (_, i) => `${i}`));
    expect([many.length, many.at(-1)]).toEqual([32, '... (31 more arguments)']);
    const secret = run('MIGRATE', 'h', '1', 'k', '0', '5', 'AUTH2', 'me', 'hidden');
    expect(secret.join(' ')).not.toContain('hidden');
  });

  it('keeps the last so many, and makes no more than ten entries in a tick', () => {
    const { client, fake, later, slow } = start({ slowerThanMicros: 0, slowMax: 15 });
    const burst = (from: number) => {
      client.say(Array.from({ length: 20 }, (_, i) => encode('GET', `k${from + i}`)).join(''));
      later(1);
      fake.answer(NODE, '$-1\r\n'.repeat(20));
      fake.pass(20);
    };
    burst(0);
    expect(slow()).toHaveLength(10);
    burst(100);
    expect(slow().map(({ arguments: [, key] }) => key)).toEqual([
      ...['k5', 'k6', 'k7', 'k8', 'k9'],
      ...Array.from({ length: 10 }, (_, i) => `k${100 + i}`),
    ]);
    expect(fake.counter('downstream_rq_slow')).toBe(40);
    fake.core.relay.answer(Ask.slowLog, 'clear');
    expect(slow()).toEqual([]);
  });

  it('is empty when it is off', () => {
    const { client, fake, later, slow } = start({ slowerThanMicros: -1 });
    client.say(encode('GET', 'a'));
    later(4000);
    fake.answer(NODE, '$-1\r\n');
    expect([slow(), fake.counter('downstream_rq_slow')]).toEqual([[], 0]);
  });
});

describe('big values', () => {
  it('are noted with their command and key, of requests and of replies', () => {
    const { client, fake, big } = start({ bigValueBytes: 1000 });
    client.say(encode('SET', 'large', 'x'.repeat(2000)));
    fake.answer(NODE, '+OK\r\n');
    client.say(encode('GET', 'large'));
    fake.answer(NODE, `$2000\r\n${'x'.repeat(2000)}\r\n`);
    client.say(encode('GET', 'small'));
    fake.answer(NODE, `$20\r\n${'x'.repeat(20)}\r\n`);
    expect(big().map(({ direction, command, key, count }) => [direction, command, key, count])).toEqual([
      ['request', 'set', 'large', 1],
      ['reply', 'get', 'large', 1],
    ]);
    expect(big()[0]!.bytes).toBeGreaterThan(2000);
    expect(big()[1]!.bytes).toBe(2009);
  });

  it('are seen when they come in pieces, and counted when they come again', () => {
    const { client, fake, big } = start({ bigValueBytes: 50_000 });
    for (const size of [60_000, 80_000]) {
      client.say(encode('GET', 'large'));
      const reply = `$${size}\r\n${'x'.repeat(size)}\r\n`;
      for (let at = 0; at < reply.length; at += 10_000) fake.answer(NODE, reply.slice(at, at + 10_000));
    }
    expect(big()).toMatchObject([{ key: 'large', count: 2, bytes: 80_010 }]);
  });

  it('are bounded in number: those seen last are kept', () => {
    const { client, fake, big } = start({ bigValueBytes: 100 });
    for (let i = 0; i < 200; i++) {
      client.say(encode('SET', `k${i}`, 'x'.repeat(200)));
      fake.answer(NODE, '+OK\r\n');
    }
    expect(big()).toHaveLength(128);
    expect(big().at(-1)?.key).toBe('k199');
    fake.core.relay.answer(Ask.bigValues, 'clear');
    expect(big()).toEqual([]);
  });
});
