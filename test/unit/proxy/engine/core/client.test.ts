import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeCore } from '../support/fake-core.js';
import { encodeCommandText } from '../support/resp.js';

const command = (...args: string[]) => encodeCommandText(args).toString('latin1');

function single(limits = {}): FakeCore {
  const fake = new FakeCore(1, {}, limits);
  fake.turn();
  return fake;
}

describe('a client that closes its sending side', () => {
  it('still gets its replies, then is closed', () => {
    const fake = single();
    const { say, client, socket } = fake.client();
    say(command('GET', 'a'));
    client.ended();
    fake.turn();
    expect(socket.ended).toBe(false);
    fake.answer('node0:7000', '$1\r\na\r\n');
    expect(socket.take()).toBe('$1\r\na\r\n');
    expect(socket.ended).toBe(true);
  });

  it('is closed at once when it has asked for nothing', () => {
    const fake = single();
    const { client, socket } = fake.client();
    client.ended();
    fake.turn();
    expect(socket.ended).toBe(true);
  });

  it.each(['*2\r\n$3\r\nGET\r\n$', 'half a line', `*2\r\n$3\r\nGET\r\n$100000\r\n${'x'.repeat(70_000)}`])(
    'is closed although half a command is left of it',
    (half) => {
      const fake = single();
      const { say, client, socket } = fake.client();
      say(half);
      client.ended();
      fake.turn();
      expect(socket.ended).toBe(true);
    },
  );

  it('gets the replies to what was not yet read', () => {
    const fake = single({ clientPendingMax: 1 });
    const { say, client, socket } = fake.client();
    say(command('GET', 'a') + command('GET', 'b') + command('PING'));
    client.ended();
    fake.turn();
    fake.answer('node0:7000', '$1\r\na\r\n');
    expect(socket.ended).toBe(false);
    fake.answer('node0:7000', '$1\r\nb\r\n');
    expect(socket.take()).toBe('$1\r\na\r\n$1\r\nb\r\n+PONG\r\n');
    expect(socket.ended).toBe(true);
  });

  it('is let go when it comes to wait for what may take for ever', () => {
    const fake = single();
    const { say, client, socket } = fake.client();
    say(command('GET', 'a') + command('BLPOP', 'b', '0'));
    client.ended();
    fake.turn();
    fake.answer('node0:7000', '$1\r\na\r\n');
    expect(socket.take()).toBe('$1\r\na\r\n');
    expect(fake.core.clients.size).toBe(1);
    fake.pass(300);
    expect(fake.core.clients.size).toBe(0);
    expect(fake.counter('upstream_cx_dedicated_active')).toBe(0);
  });

  it('still gets what is there when it closes right behind the command', () => {
    const fake = single();
    const { say, client, socket } = fake.client();
    say(command('BLPOP', 'b', '0'));
    client.ended();
    fake.turn();
    fake.answer('node0:7000', '*2\r\n$1\r\nb\r\n$1\r\nv\r\n');
    expect(socket.take()).toBe('*2\r\n$1\r\nb\r\n$1\r\nv\r\n');
    expect(socket.ended).toBe(true);
  });

  it('still gets what is there at once', () => {
    const fake = single();
    const { say, client, socket } = fake.client();
    say(command('GET', 'a') + command('BLPOP', 'b', '0'));
    client.ended();
    fake.turn();
    fake.answer('node0:7000', '$1\r\na\r\n');
    fake.answer('node0:7000', '*2\r\n$1\r\nb\r\n$1\r\nv\r\n');
    expect(socket.take()).toBe('$1\r\na\r\n*2\r\n$1\r\nb\r\n$1\r\nv\r\n');
    expect(socket.ended).toBe(true);
  });
});

describe('a client that waits for what may take for ever', () => {
  it('is read, whatever held it before, so that its leaving is noticed', () => {
    const fake = single();
    const { say, socket } = fake.client();
    say(command('GET', 'a') + command('BLPOP', 'b', '0') + command('PING'));
    expect(socket.paused).toBe(true);
    fake.answer('node0:7000', '$1\r\na\r\n');
    expect(socket.paused).toBe(false);
  });

  it('is not read when it has sent too much meanwhile', () => {
    const fake = single({ blockedInputBytesMax: 100 });
    const { say, socket } = fake.client();
    say(command('GET', 'a') + command('BLPOP', 'b', '0') + command('SET', 'c', 'x'.repeat(200)));
    fake.answer('node0:7000', '$1\r\na\r\n');
    expect(socket.paused).toBe(true);
  });
});

describe('what a client sends', () => {
  it('means the same in pieces of any size', () => {
    const stream = [
      command('GET', 'a'),
      'PING\r\n',
      command('SET', 'k', '\r\n*1\r\n'),
      '\r\n*0\r\n',
      command('ECHO', 'x'.repeat(100)),
      command('MGET', 'a', '{a}b'),
      command('SET', 'k', 'y'.repeat(1000)),
    ].join('');
    const answers = '$1\r\na\r\n+OK\r\n*2\r\n$-1\r\n$-1\r\n+OK\r\n';
    const whole = (pieces: string[]) => {
      const fake = single();
      const { say, socket } = fake.client();
      const early = pieces.map((piece) => say(piece)).join('');
      const sent = fake.upstream('node0:7000').socket.take();
      fake.answer('node0:7000', answers);
      return { sent, replies: early + socket.take() };
    };
    const expected = whole([stream]);
    expect(expected.replies).toContain('+PONG');
    fc.assert(
      fc.property(fc.array(fc.nat({ max: stream.length }), { maxLength: 20 }), (cuts) => {
        const places = [0, ...cuts.sort((a, b) => a - b), stream.length];
        expect(whole(places.slice(1).map((place, i) => stream.slice(places[i], place)))).toEqual(expected);
      }),
      { numRuns: 100 },
    );
    expect(whole([...stream])).toEqual(expected);
  });

  it('is held once when it is large, and its bytes are counted while they are unfinished', () => {
    const fake = single({ requestBytesMax: 300_000 });
    const inside = fake.core as unknown as { largeBytes: number };
    for (let round = 0; round < 3; round++) {
      const { say, client } = fake.client();
      const large = command('SET', 'k', 'x'.repeat(200_000));
      say(large.slice(0, 100_000));
      expect(inside.largeBytes).toBe(100_000);
      if (round === 1) fake.core.left(client);
      else {
        say(large.slice(100_000));
        expect(fake.upstream('node0:7000').socket.take()).toBe(large);
        fake.answer('node0:7000', '+OK\r\n');
      }
      expect(inside.largeBytes).toBe(0);
    }
  });

  it('is refused when large commands take too much memory, and others are served', () => {
    const fake = single({ requestBytesMax: 150_000 });
    const one = fake.client();
    const other = fake.client();
    one.say(command('SET', 'k', 'x'.repeat(200_000)).slice(0, 100_000));
    expect(other.say(command('SET', 'k', 'x'.repeat(200_000)).slice(0, 100_000))).toMatch(
      /^-ERR the proxy holds too many/,
    );
    expect(other.socket.ended).toBe(true);
    expect(fake.counter('downstream_rq_too_large')).toBe(1);
    expect(fake.client().say('PING\r\n')).toBe('+PONG\r\n');
  });

  it('is not read while too many commands are on their way', () => {
    const fake = single({ clientPendingMax: 10 });
    const { say, socket } = fake.client();
    say(command('GET', 'a').repeat(25));
    expect(socket.paused).toBe(true);
    expect(fake.upstream('node0:7000').socket.take()).toBe(command('GET', 'a').repeat(10));
    fake.answer('node0:7000', '$-1\r\n'.repeat(10));
    expect(fake.upstream('node0:7000').socket.take()).toBe(command('GET', 'a').repeat(10));
    fake.answer('node0:7000', '$-1\r\n'.repeat(10));
    fake.answer('node0:7000', '$-1\r\n'.repeat(5));
    expect(socket.take()).toBe('$-1\r\n'.repeat(25));
    expect(socket.paused).toBe(false);
  });

  it('never makes the engine throw, whatever bytes they are', () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
      fc
        .array(
          fc.constantFrom(
            '*2\r\n$3\r\nGET\r\n',
            '$1\r\na\r\n',
            '*',
            '$',
            '\r\n',
            '-1',
            '3',
            'PING',
            ' ',
            '"',
            'HELLO 3\r\n',
            '\0',
          ),
          { maxLength: 12 },
        )
        .map((words) => Buffer.from(words.join(''))),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
        const fake = single();
        const { say, socket } = fake.client();
        for (const bytes of pieces) say(bytes);
        const bystander = fake.client();
        expect(bystander.say('PING\r\n')).toBe('+PONG\r\n');
        if (!socket.ended) fake.core.left([...fake.core.clients][0]!);
      }),
      { numRuns: 300 },
    );
  });
});

describe('an upstream', () => {
  it.each([
    ['bytes that are not RESP', 'hello\r\n'],
    ['a reply that nobody asked for', '+OK\r\n+OK\r\n+OK\r\n'],
  ])('that sends %s is disconnected, and its commands fail or are repeated', (_what, junk) => {
    const fake = single();
    const { say, socket } = fake.client();
    say(command('SET', 'a', '1') + command('GET', 'a'));
    const { socket: upstream } = fake.upstream('node0:7000');
    fake.answer('node0:7000', junk);
    expect(upstream.terminated).toBe(true);
    expect(fake.counter('upstream_cx_protocol_error')).toBe(1);
    fake.pass(200);
    if (junk.startsWith('h')) {
      expect(socket.take()).toBe('-upstream protocol error\r\n');
      fake.answer('node0:7000', '$1\r\n1\r\n');
      expect(socket.take()).toBe('$1\r\n1\r\n');
    } else expect(socket.take()).toBe('+OK\r\n+OK\r\n');
  });

  it('may send push messages between replies, in pieces too', () => {
    const fake = new FakeCore(1);
    fake.turn();
    const { say, socket } = fake.client();
    say('HELLO 3\r\n');
    say(command('GET', 'a') + command('GET', 'b'));
    fake.answer('node0:7000', '%1\r\n+proto\r\n:3\r\n');
    const pushed = '>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n';
    const stream = `${pushed}$1\r\na\r\n${pushed}${pushed}_\r\n${pushed}`;
    for (const byte of stream) fake.answer('node0:7000', byte);
    expect(socket.take()).toBe('$1\r\na\r\n_\r\n');
  });

  it('is not taken for another one when an array is cut before its last element', () => {
    const fake = single();
    const { say, socket } = fake.client();
    say(command('LRANGE', 'a', '0', '-1') + command('GET', 'a'));
    fake.answer('node0:7000', '*2\r\n$1\r\nx\r\n');
    fake.answer('node0:7000', '-MOVED 1 node0:7000\r\n$1\r\ny\r\n');
    expect(socket.take()).toBe('*2\r\n$1\r\nx\r\n-MOVED 1 node0:7000\r\n$1\r\ny\r\n');
  });
});

describe('a client whose slot moves to another node', () => {
  it('is answered by the old one before anything goes to the new one, so that its commands keep their order', () => {
    const fake = new FakeCore(2);
    fake.turn();
    const { say, socket } = fake.client();
    // The slot of `a` is 15495: it belongs to the second node.
    say(command('GET', 'a'));
    expect(fake.upstream('node1:7000').socket.take()).toBe(command('GET', 'a'));
    fake.core.router.slotMap.assign(15495, 0);
    say(command('APPEND', 'a', 'x'));
    expect(fake.upstream('node0:7000').socket.take()).toBe('');
    fake.answer('node1:7000', '$1\r\n1\r\n');
    expect(socket.take()).toBe('$1\r\n1\r\n');
    expect(fake.upstream('node0:7000').socket.take()).toBe(command('APPEND', 'a', 'x'));
    fake.answer('node0:7000', ':2\r\n');
    expect(socket.take()).toBe(':2\r\n');
  });
});
