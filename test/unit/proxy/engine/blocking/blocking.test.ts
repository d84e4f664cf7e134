import { describe, expect, it } from 'vitest';
import { unblock } from '../../../../../src/proxy/engine/blocking/waits.js';
import { SLOT_COUNT } from '../../../../../src/proxy/engine/hash/crc16.js';
import { FakeCore } from '../support/fake-core.js';
import { encodeCommandText } from '../support/resp.js';

const command = (...args: string[]) => encodeCommandText(args).toString('latin1');
const NODE = 'node0:7000';

function start(limits = {}, settings = {}) {
  const fake = new FakeCore(1, settings, limits);
  fake.turn();
  return { fake, ...fake.client() };
}

const active = (fake: FakeCore) => fake.counter('upstream_cx_dedicated_active');
const sent = (fake: FakeCore) => fake.upstreams.slice(1).map(({ socket }) => socket.take());

/** The newest connection is lost. */
function lose(fake: FakeCore): void {
  const { socket, events } = fake.upstreams.at(-1)!;
  socket.terminated = true;
  events.closed('gone');
  fake.turn();
}

describe('a blocking command', () => {
  it('waits over a connection of its own, which is used again', () => {
    const { fake, say, socket } = start();
    say(command('BLPOP', 'a', '0') + command('GET', 'a'));
    expect(sent(fake)).toEqual([command('BLPOP', 'a', '0')]);
    expect(active(fake)).toBe(1);
    fake.pass(60_000);
    fake.answer(NODE, '*2\r\n$1\r\na\r\n$1\r\nv\r\n');
    expect(socket.take()).toBe('*2\r\n$1\r\na\r\n$1\r\nv\r\n');
    expect(active(fake)).toBe(0);
    expect(fake.upstreams[0]!.socket.take()).toBe(command('GET', 'a'));
    fake.client().say(command('BLPOP', 'b', '0'));
    expect(sent(fake)).toEqual([command('BLPOP', 'b', '0')]);
    expect(fake.upstreams.length).toBe(2);
  });

  it('is asked once, however short its time, when a connection takes longer', () => {
    const { fake, say, socket } = start({}, { upstreamPassword: 'secret' });
    fake.answer(NODE, '+OK\r\n');
    say(command('BLPOP', 'a', '0.01'));
    const { socket: own } = fake.upstreams.at(-1)!;
    expect(own.take()).not.toContain('BLPOP');
    fake.pass(100);
    expect(socket.take()).toBe('');
    fake.answer(NODE, '+OK\r\n');
    expect(own.take()).toBe(command('BLPOP', 'a', '0.01'));
    fake.answer(NODE, '*2\r\n$1\r\na\r\n$1\r\nv\r\n');
    expect(socket.take()).toBe('*2\r\n$1\r\na\r\n$1\r\nv\r\n');
    expect(active(fake)).toBe(0);
  });

  it('has nothing to say when no connection was made in that time, and not for ever', () => {
    const { fake, say, socket } = start({}, { upstreamPassword: 'secret' });
    fake.answer(NODE, '+OK\r\n');
    say(command('BLPOP', 'a', '0.01'));
    fake.pass(400);
    expect(socket.take()).toBe('*-1\r\n');
  });

  it('waits for what its client sent before', () => {
    const { fake, say } = start();
    say(command('GET', 'a') + command('BLPOP', 'a', '0'));
    expect(fake.upstreams.length).toBe(1);
    fake.answer(NODE, '$-1\r\n');
    expect(sent(fake)).toEqual([command('BLPOP', 'a', '0')]);
  });

  it.each([
    [
      ['BLPOP', 'a', '10'],
      ['BLPOP', 'a', '6.*'],
    ],
    [
      ['BLMPOP', '10', '1', 'a', 'LEFT'],
      ['BLMPOP', '6.*', '1', 'a', 'LEFT'],
    ],
    [
      ['XREAD', 'COUNT', '1', 'BLOCK', '10000', 'STREAMS', 'a', '5-1'],
      ['XREAD', 'COUNT', '1', 'BLOCK', '6*', 'STREAMS', 'a', '5-1'],
    ],
    [
      ['BLPOP', 'a', '0'],
      ['BLPOP', 'a', '0'],
    ],
  ])('%j goes on with the time left when its connection is lost', (given, due) => {
    const { fake, say } = start();
    say(command(...given));
    fake.pass(3000);
    sent(fake);
    lose(fake);
    fake.pass(300);
    const [again] = sent(fake).filter((text) => text !== '');
    const words = again!.split('\r\n').filter((_, i) => i > 0 && i % 2 === 0);
    words.forEach((word, i) => {
      if (due[i]!.endsWith('*')) expect(word.startsWith(due[i]!.slice(0, -1)), word).toBe(true);
      else expect(word).toBe(due[i]);
    });
  });

  it.each([
    '-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)',
    '-LOADING x',
    '-CLUSTERDOWN x',
    '-READONLY x',
    '-MASTERDOWN x',
    '-TRYAGAIN x',
  ])('goes on after %s', (error) => {
    const { fake, say, socket } = start();
    say(command('BLPOP', 'a', '0'));
    sent(fake);
    fake.answer(NODE, `${error}\r\n`);
    fake.pass(300);
    expect(sent(fake)).toEqual([command('BLPOP', 'a', '0')]);
    expect(socket.take()).toBe('');
  });

  it('passes other errors on', () => {
    const { fake, say, socket } = start();
    say(command('BLPOP', 'a', '0'));
    fake.answer(NODE, '-WRONGTYPE x\r\n');
    expect(socket.take()).toBe('-WRONGTYPE x\r\n');
    say(command('BLPOP', 'a', '0'));
    fake.answer(NODE, '-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n');
    expect(socket.take()).toBe('-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n');
    expect(active(fake)).toBe(0);
  });

  it('answers nil when its time is over and no node is there', () => {
    const { fake, say, socket } = start();
    say(command('BLPOP', 'a', '2'));
    fake.core.router.slotMap.replace(new Uint16Array(16384).fill(0xffff));
    lose(fake);
    fake.pass(1000);
    expect(socket.take()).toBe('');
    fake.pass(1300);
    expect(socket.take()).toBe('*-1\r\n');
    expect(active(fake)).toBe(0);
  });

  it('gives up on a node that keeps silent long after the time', () => {
    const { fake, say, socket } = start();
    say(command('BLPOP', 'a', '1'));
    fake.pass(5800);
    expect(socket.take()).toBe('');
    fake.pass(500);
    expect(socket.take()).toBe('-upstream failure\r\n');
  });

  it('frees its connection when its client leaves, by either way', () => {
    for (const way of ['left', 'ended'] as const) {
      const { fake, say, client } = start();
      say(command('BLPOP', 'a', '0'));
      fake.pass(200);
      if (way === 'left') fake.core.left(client);
      else client.ended();
      expect(fake.upstreams[1]!.socket.terminated).toBe(true);
      expect(active(fake)).toBe(0);
      expect(fake.core.clients.size).toBe(0);
    }
  });

  it('is ended by CLIENT UNBLOCK', () => {
    const { fake, say, socket, client } = start();
    expect(unblock(client, 'timeout')).toBe(false);
    for (const [how, reply] of [
      ['timeout', '*-1\r\n'],
      ['error', '-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n'],
    ] as const) {
      say(command('BLPOP', 'a', '0'));
      expect(unblock(client, how)).toBe(true);
      fake.turn();
      expect(socket.take()).toBe(reply);
      expect(active(fake)).toBe(0);
    }
  });

  it('asks what $ stands for, and says that when it goes on', () => {
    const { fake, say } = start();
    say(command('XREAD', 'BLOCK', '0', 'STREAMS', 'a', '{a}', '$', '$'));
    const ask = (key: string) => command('XREVRANGE', key, '+', '-', 'COUNT', '1');
    expect(sent(fake)).toEqual([
      ask('a') + ask('{a}') + command('XREAD', 'BLOCK', '0', 'STREAMS', 'a', '{a}', '$', '$'),
    ]);
    fake.answer(NODE, '*1\r\n*2\r\n$3\r\n7-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n*0\r\n');
    lose(fake);
    fake.pass(300);
    expect(sent(fake).filter((text) => text !== '')).toEqual([
      command('XREAD', 'BLOCK', '0', 'STREAMS', 'a', '{a}', '7-1', '0-0'),
    ]);
  });

  it('is refused with more keys than the bound, and with more $', () => {
    const { fake, say } = start({ blockingKeysMax: 2, newestIdsMax: 1 });
    const keys = '-ERR the proxy takes at most 2 keys in one blocking command\r\n';
    expect(say(command('BLPOP', '{a}1', '{a}2', '{a}3', '0'))).toBe(keys);
    expect(say(command('BLMPOP', '0', '3', '{a}1', '{a}2', '{a}3', 'LEFT'))).toBe(keys);
    const streams = ['STREAMS', '{a}1', '{a}2', '{a}3'];
    expect(say(command('XREAD', 'BLOCK', '0', ...streams, '0', '0', '0'))).toBe(keys);
    const ids = "-ERR the proxy takes at most 1 '$' IDs in one blocking XREAD\r\n";
    expect(say(command('XREAD', 'BLOCK', '0', 'STREAMS', '{a}1', '{a}2', '$', '$'))).toBe(ids);
    expect(fake.upstreams.length).toBe(1);
    expect(say(command('BLPOP', '{a}1', '{a}2', '0'))).toBe('');
    expect(fake.client().say(command('XREAD', 'BLOCK', '0', 'STREAMS', '{a}1', '{a}2', '0', '$'))).toBe('');
    expect(active(fake)).toBe(2);
  });

  it.each(['a redirection', 'a topology whose map is there before its nodes'])(
    'goes on at the new master, which it learns from %s, when the old one keeps silent',
    (source) => {
      const fake = new FakeCore(2);
      fake.turn();
      const { router } = fake.core;
      const own = () => fake.upstreams.slice(2).map(({ address, socket }) => [address, socket.terminated]);
      fake.client().say(command('BLPOP', 'a', '0'));
      expect(own()).toEqual([['node1:7000', false]]);
      const slot = router.keySpace.slotOf(Buffer.from('a'), 0, 1);
      const moved = new Uint16Array(16384).fill(1);
      if (source === 'a redirection') router.slotMap.assign(slot, 0);
      else {
        moved[slot] = 2;
        router.slotMap.replace(moved);
        fake.pass(200);
        router.applyNodes([
          { index: 1, host: 'node1', port: 7000 },
          { index: 2, host: 'node2', port: 7000 },
        ]);
        fake.turn();
      }
      fake.pass(900);
      expect(own()[0]).toEqual(['node1:7000', false]);
      fake.pass(500);
      const to = source === 'a redirection' ? 'node0:7000' : 'node2:7000';
      expect(own()[0]).toEqual(['node1:7000', true]);
      expect(own().at(-1)).toEqual([to, false]);
      expect(fake.upstream(to).socket.take()).toBe(command('BLPOP', 'a', '0'));
    },
  );

  it('stays where it is when its slot comes back in time', () => {
    const fake = new FakeCore(2);
    fake.turn();
    const { router } = fake.core;
    fake.client().say(command('BLPOP', 'a', '0'));
    const slot = router.keySpace.slotOf(Buffer.from('a'), 0, 1);
    router.slotMap.assign(slot, 0);
    fake.pass(600);
    router.slotMap.assign(slot, 1);
    fake.pass(3000);
    expect(fake.upstreams.slice(2).map(({ socket }) => socket.terminated)).toEqual([false]);
  });

  it('is refused above the bound', () => {
    const { fake, say } = start({}, { dedicatedMax: 1 });
    say(command('BLPOP', 'a', '0'));
    expect(fake.client().say(command('BLPOP', 'a', '0'))).toContain('-ERR max number of dedicated connections');
    expect(fake.counter('upstream_cx_dedicated_overflow')).toBe(1);
  });

  it('keeps few idle connections, and those not for ever', () => {
    const { fake } = start({ dedicatedIdleMax: 2 });
    for (let i = 0; i < 5; i++) fake.client().say(command('BLPOP', 'a', '0'));
    for (const { events } of fake.upstreams.slice(1)) {
      fake.core.beginEvent();
      events.received(Buffer.from('*-1\r\n'));
      fake.turn();
    }
    const alive = () => fake.upstreams.slice(1).filter(({ socket }) => !socket.terminated).length;
    expect(alive()).toBe(2);
    fake.pass(31_000);
    expect(alive()).toBe(0);
    expect(fake.core.router.dedicated.idle).toBe(0);
  });
});

describe('WAIT', () => {
  it('marks a connection of its own and asks on it; what is refused counts as nothing', () => {
    const { fake, say, socket } = start();
    for (const [exec, due] of [
      ['*2\r\n+OK\r\n:1\r\n', ':2\r\n'],
      ['-EXECABORT Transaction discarded.\r\n', ':0\r\n'],
    ]) {
      say(command('SET', 'a', 'b'));
      fake.upstreams[0]!.events.received(Buffer.from('+OK\r\n'));
      fake.turn();
      socket.take();
      say(command('WAIT', '1', '100'));
      expect(fake.upstreams[1]!.socket.take()).toMatch(/^\*1\r\n\$5\r\nMULTI.*redisforge:wait:0.*WAIT/s);
      fake.upstreams[1]!.events.received(Buffer.from(`+OK\r\n+QUEUED\r\n+QUEUED\r\n${exec}:2\r\n`));
      fake.turn();
      expect(socket.take()).toBe(due);
      expect(active(fake)).toBe(0);
    }
  });

  describe.each([
    ['that is over counts', '100', 200],
    ['without an end counts, a second later,', '0', 1200],
  ])('at a master that hangs and has lost its slots', (what, timeout, afterMs) => {
    it(`${what} 0, and does not last for an op_timeout`, () => {
      const fake = new FakeCore(2);
      fake.turn();
      const { say, socket } = fake.client();
      say(command('SET', 'foo', 'b'));
      fake.upstream('node1:7000').events.received(Buffer.from('+OK\r\n'));
      fake.turn();
      socket.take();
      say(command('WAIT', '1', timeout));
      fake.pass(2000);
      expect(socket.take()).toBe('');
      fake.core.router.slotMap.replace(new Uint16Array(SLOT_COUNT).fill(0));
      fake.core.router.mapChanged();
      if (timeout === '0') {
        fake.pass(800);
        expect(socket.take()).toBe('');
      }
      fake.pass(timeout === '0' ? afterMs - 800 : afterMs);
      expect(socket.take()).toBe(':0\r\n');
      expect(active(fake)).toBe(0);
    });
  });

  it('asks all masters, plainly, for a client that wrote nothing', () => {
    const fake = new FakeCore(2);
    fake.turn();
    const { say, socket } = fake.client();
    say(command('WAIT', '1', '100'));
    const own = fake.upstreams.slice(2);
    expect(own.map((each) => each.socket.take())).toEqual([command('WAIT', '1', '100'), command('WAIT', '1', '100')]);
    own[0]!.events.received(Buffer.from(':3\r\n'));
    own[1]!.events.received(Buffer.from(':2\r\n'));
    fake.turn();
    expect(socket.take()).toBe(':2\r\n');
  });
});
