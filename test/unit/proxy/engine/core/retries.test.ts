import { describe, expect, it } from 'vitest';
import { FakeCore } from '../support/fake-core.js';
import { encodeCommandText } from '../support/resp.js';

const command = (...args: string[]) => encodeCommandText(args).toString('latin1');
// foo is in slot 12182, bar in 5061: the second and the first of two nodes.
const two = (limits = {}, settings = {}) => {
  const fake = new FakeCore(2, settings, limits);
  fake.turn();
  return fake;
};

describe('following redirections', () => {
  it('sends a moved command to its new node, and what comes later goes there at once', () => {
    const fake = two();
    const { say, socket } = fake.client();
    say(command('GET', 'foo'));
    fake.answer('node1:7000', '-MOVED 12182 node0:7000\r\n');
    expect(fake.upstream('node0:7000').socket.take()).toBe(command('GET', 'foo'));
    expect(fake.refreshes).toContain('moved');
    fake.answer('node0:7000', '$1\r\n1\r\n');
    expect(socket.take()).toBe('$1\r\n1\r\n');
    say(command('GET', 'foo'));
    expect(fake.upstream('node0:7000').socket.take()).toBe(command('GET', 'foo'));
  });

  it('says ASKING before a command that was told to ask, and leaves the map as it is', () => {
    const fake = two();
    const { say, socket } = fake.client();
    say(command('GET', 'foo') + command('INCR', '{foo}2'));
    fake.answer('node1:7000', '-ASK 12182 node0:7000\r\n-ASK 12182 node0:7000\r\n');
    const asking = '*1\r\n$6\r\nASKING\r\n';
    expect(fake.upstream('node0:7000').socket.take()).toBe(
      asking + command('GET', 'foo') + asking + command('INCR', '{foo}2'),
    );
    fake.answer('node0:7000', '+OK\r\n$1\r\n1\r\n+OK\r\n:1\r\n');
    expect(socket.take()).toBe('$1\r\n1\r\n:1\r\n');
    fake.upstream('node1:7000').socket.take();
    say(command('GET', 'foo'));
    expect(fake.upstream('node1:7000').socket.take()).toBe(command('GET', 'foo'));
  });

  it('connects to nodes that the topology does not list, up to a bound', () => {
    const fake = two({ upstreamUnknownMax: 1 });
    const { say, socket } = fake.client();
    say(command('GET', 'foo') + command('GET', 'foo'));
    fake.answer('node1:7000', '-MOVED 12182 new:1\r\n-MOVED 12182 other:1\r\n');
    expect(fake.upstream('new:1').socket.take()).toBe(command('GET', 'foo'));
    fake.answer('new:1', '$-1\r\n');
    expect(socket.take()).toBe('$-1\r\n-upstream failure\r\n');
    expect(fake.counter('max_upstream_unknown_connections_reached')).toBe(1);
  });

  it('waits in between when nodes send a command round in circles, and gives up at the op_timeout', () => {
    const fake = two({}, { opTimeoutMs: 1000 });
    const { say, socket } = fake.client();
    say(command('SET', 'foo', '1'));
    let sent = 0;
    for (let ms = 0; ms < 2000 && socket.sent.length === 0; ms += 20) {
      for (const [at, next] of [
        ['node1:7000', 'node0:7000'],
        ['node0:7000', 'node1:7000'],
      ] as const) {
        if (fake.upstream(at).socket.take() === '') continue;
        sent++;
        fake.answer(at, `-MOVED 12182 ${next}\r\n`);
      }
      fake.pass(20);
    }
    expect(socket.take()).toBe('-upstream failure\r\n');
    expect(sent).toBeGreaterThan(5);
    expect(sent).toBeLessThan(30);
  });
});

describe('commands that a node refuses because of the cluster', () => {
  /** A command that has waited long enough to be tried rarely. */
  const refusedOften = () => {
    const fake = two();
    const { say, socket } = fake.client();
    const incr = command('INCR', 'foo');
    say(incr);
    for (let tries = 0; tries < 6; tries++) {
      expect(fake.upstream('node1:7000').socket.take()).toBe(incr);
      fake.answer('node1:7000', '-CLUSTERDOWN The cluster is down\r\n');
      if (tries < 5) fake.pass(260);
    }
    fake.upstream('node0:7000').socket.take();
    return { fake, socket, incr };
  };

  it('go at once to the master that the slot has then', () => {
    const { fake, socket, incr } = refusedOften();
    fake.core.router.slotMap.assign(12182, 0);
    fake.core.router.mapChanged();
    fake.turn();
    expect(fake.upstream('node0:7000').socket.take()).toBe(incr);
    fake.answer('node0:7000', ':1\r\n');
    expect(socket.take()).toBe(':1\r\n');
  });

  it('go on waiting when only other slots have another one', () => {
    const { fake } = refusedOften();
    fake.core.router.slotMap.assign(5061, 1);
    fake.core.router.mapChanged();
    fake.turn();
    expect(fake.upstream('node1:7000').socket.take()).toBe('');
  });

  it('have the topology read again ten times a second as long as one waits', () => {
    const { fake, socket } = refusedOften();
    fake.refreshes.length = 0;
    fake.pass(100);
    expect(fake.upstream('node1:7000').socket.take()).toBe('');
    expect(fake.refreshes.length).toBe(1);
    fake.pass(200);
    fake.answer('node1:7000', ':1\r\n');
    expect(socket.take()).toBe(':1\r\n');
    fake.refreshes.length = 0;
    fake.pass(1_000);
    expect(fake.refreshes).toEqual([]);
  });
});

describe('commands that a node refuses for now', () => {
  it.each(['TRYAGAIN x', 'LOADING x', 'CLUSTERDOWN x', 'MASTERDOWN x', 'READONLY x'])(
    'are sent again a little later: %s',
    (error) => {
      const fake = two();
      const { say, socket } = fake.client();
      say(command('SET', 'foo', '1'));
      fake.upstream('node1:7000').socket.take();
      fake.answer('node1:7000', `-${error}\r\n`);
      expect(fake.upstream('node1:7000').socket.take()).toBe('');
      fake.pass(60);
      expect(fake.upstream('node1:7000').socket.take()).toBe(command('SET', 'foo', '1'));
      fake.answer('node1:7000', '+OK\r\n');
      expect(socket.take()).toBe('+OK\r\n');
    },
  );

  it('keep their order, however often each is refused', () => {
    const fake = two();
    const { say, socket } = fake.client();
    const all = ['1', '2', '3', '4', '5'].map((value) => command('APPEND', 'foo', value));
    say(all.join(''));
    for (let round = 0; round < 4; round++) {
      fake.upstream('node1:7000').socket.take();
      // The replies come in two pieces, at different times.
      fake.answer('node1:7000', '-LOADING x\r\n'.repeat(2));
      fake.pass(20);
      fake.answer('node1:7000', '-LOADING x\r\n'.repeat(3));
      fake.pass(300);
    }
    expect(fake.upstream('node1:7000').socket.take()).toBe(all.join(''));
    fake.answer('node1:7000', ':1\r\n:2\r\n:3\r\n:4\r\n:5\r\n');
    expect(socket.take()).toBe(':1\r\n:2\r\n:3\r\n:4\r\n:5\r\n');
  });

  it('are not overtaken by what their client sends meanwhile', () => {
    const fake = two();
    const { say, socket } = fake.client();
    say(command('APPEND', 'foo', '1'));
    fake.upstream('node1:7000').socket.take();
    fake.answer('node1:7000', '-LOADING x\r\n');
    expect(socket.paused).toBe(true);
    say(command('APPEND', 'foo', '2'));
    expect(fake.upstream('node1:7000').socket.take()).toBe('');
    fake.pass(60);
    expect(fake.upstream('node1:7000').socket.take()).toBe(command('APPEND', 'foo', '1'));
    fake.answer('node1:7000', ':1\r\n');
    expect(socket.paused).toBe(false);
    expect(fake.upstream('node1:7000').socket.take()).toBe(command('APPEND', 'foo', '2'));
  });

  it('end when the op_timeout is over with what the node says; a slot that moves is a failure', () => {
    for (const [error, reply] of [
      ['LOADING x', '-LOADING x\r\n'],
      ['TRYAGAIN x', '-upstream failure\r\n'],
    ]) {
      const fake = two({}, { opTimeoutMs: 500 });
      const { say, socket } = fake.client();
      say(command('SET', 'foo', '1'));
      for (let ms = 0; ms < 1500 && socket.sent.length === 0; ms += 20) {
        if (fake.upstream('node1:7000').socket.take() !== '') fake.answer('node1:7000', `-${error}\r\n`);
        fake.pass(20);
      }
      expect(socket.take()).toBe(reply);
    }
  });

  it('are forgotten when their client leaves', () => {
    const fake = two();
    const { say, client } = fake.client();
    say(command('MSET', 'foo', '1', 'bar', '2') + command('SET', 'foo', '1'));
    fake.answer('node1:7000', '-LOADING x\r\n-LOADING x\r\n');
    fake.core.left(client);
    fake.answer('node0:7000', '+OK\r\n');
    fake.upstream('node1:7000').socket.take();
    fake.pass(1000);
    expect(fake.upstream('node1:7000').socket.take()).toBe('');
  });
});

describe('commands whose connection dies', () => {
  it('are answered with a failure when they write, and repeated when they read', () => {
    const fake = two();
    const { say, socket } = fake.client();
    say(command('SET', 'foo', '1') + command('GET', 'foo'));
    fake.upstream('node1:7000').events.closed('reset');
    fake.turn();
    expect(socket.take()).toBe('-upstream failure\r\n');
    fake.pass(100);
    expect(fake.upstream('node1:7000').socket.take()).toBe(command('GET', 'foo'));
    fake.answer('node1:7000', '$1\r\n1\r\n');
    expect(socket.take()).toBe('$1\r\n1\r\n');
  });

  it('are sent again when they were not wholly written', () => {
    const fake = two();
    const { say, socket } = fake.client();
    const upstream = fake.upstream('node1:7000');
    const first = command('SET', 'foo', '1');
    // The socket takes the first command and a part of the second.
    let room = first.length + 5;
    const write = upstream.socket.write.bind(upstream.socket);
    upstream.socket.write = (bytes, offset, length) => {
      const taken = write(bytes, offset, Math.min(length, room));
      room -= taken;
      return taken;
    };
    say(first + command('SET', 'foo', '2'));
    upstream.events.closed('reset');
    fake.pass(100);
    expect(socket.take()).toBe('-upstream failure\r\n');
    expect(fake.upstream('node1:7000').socket.take()).toBe(command('SET', 'foo', '2'));
    fake.answer('node1:7000', '+OK\r\n');
    expect(socket.take()).toBe('+OK\r\n');
  });

  it('get whole replies or none: less than 16 KB of one is kept back', () => {
    const fake = two();
    const { say, socket } = fake.client();
    say(command('GET', 'foo'));
    fake.answer('node1:7000', `$10000\r\n${'x'.repeat(5000)}`);
    fake.upstream('node1:7000').events.closed('reset');
    fake.pass(100);
    expect(socket.take()).toBe('');
    fake.answer('node1:7000', '$2\r\nok\r\n');
    expect(socket.take()).toBe('$2\r\nok\r\n');
    say(command('GET', 'foo'));
    fake.answer('node1:7000', `$100000\r\n${'x'.repeat(50_000)}`);
    expect(socket.take().length).toBeGreaterThan(50_000);
    fake.upstream('node1:7000').events.closed('reset');
    expect(socket.terminated).toBe(true);
  });
});

describe('time-outs', () => {
  it('answer each command at the op_timeout, and drop its late reply', () => {
    const fake = two({}, { opTimeoutMs: 1000 });
    const { say, socket } = fake.client();
    say(command('GET', 'foo'));
    fake.pass(600);
    say(command('GET', 'foo'));
    fake.pass(600);
    expect(socket.take()).toBe('-upstream failure\r\n');
    fake.answer('node1:7000', '$4\r\nlate\r\n$2\r\nok\r\n');
    expect(socket.take()).toBe('$2\r\nok\r\n');
  });

  it('come for an older command that stands behind a younger one', () => {
    const fake = two({}, { opTimeoutMs: 1000 });
    const first = fake.client();
    const second = fake.client();
    first.say(command('GET', 'bar'));
    fake.pass(800);
    second.say(command('GET', 'foo'));
    fake.answer('node0:7000', '-ASK 5061 node1:7000\r\n');
    fake.pass(400);
    expect(first.socket.take()).toBe('-upstream failure\r\n');
    fake.answer('node1:7000', '$1\r\n2\r\n+OK\r\n$4\r\nlate\r\n');
    expect(second.socket.take()).toBe('$1\r\n2\r\n');
    expect(first.socket.take()).toBe('');
  });

  it('say that there is no upstream host when nothing could be sent', () => {
    const fake = new FakeCore(0, { opTimeoutMs: 500 });
    const { say, socket } = fake.client();
    say(command('GET', 'foo'));
    expect(fake.refreshes).toContain('unassigned_slot');
    fake.pass(800);
    expect(socket.take()).toBe('-no upstream host\r\n');
  });
});
