import { describe, expect, it } from 'vitest';
import { FakeCore } from '../support/fake-core.js';
import { encodeCommandText } from '../support/resp.js';

const command = (...args: string[]) => encodeCommandText(args).toString('latin1');
const BLOCK = command('MULTI') + command('INCR', 'a') + command('EXEC');
const DONE = '+OK\r\n+QUEUED\r\n*1\r\n:1\r\n';

function start(nodes = 1, limits = {}) {
  const fake = new FakeCore(nodes, {}, limits);
  fake.turn();
  return { fake, ...fake.client() };
}

const largeBytes = (fake: FakeCore) => (fake.core as unknown as { largeBytes: number }).largeBytes;

describe('a transaction', () => {
  it('is sent in one piece with EXEC, and not before', () => {
    const { fake, say, socket } = start();
    expect(say(command('MULTI') + command('INCR', 'a'))).toBe('+OK\r\n+QUEUED\r\n');
    expect(fake.upstream('node0:7000').socket.take()).toBe('');
    expect(say(command('EXEC') + command('GET', 'a'))).toBe('');
    expect(fake.upstream('node0:7000').socket.take()).toBe(BLOCK + command('GET', 'a'));
    fake.answer('node0:7000', `${DONE}$1\r\n1\r\n`);
    expect(socket.take()).toBe('*1\r\n:1\r\n$1\r\n1\r\n');
    expect(largeBytes(fake)).toBe(0);
  });

  it('takes what any node can answer, and says of the rest what it concerns', () => {
    const { fake, say } = start();
    const taken = [['PING'], ['PING', 'x'], ['ECHO', 'x'], ['TIME'], ['INFO', 'server'], ['SELECT', '0'], ['UNWATCH']];
    say(command('MULTI'));
    for (const args of taken) expect(say(command(...args)), args.join(' ')).toBe('+QUEUED\r\n');
    say(command('EXEC'));
    const block = [['MULTI'], ...taken, ['EXEC']].map((args) => command(...args)).join('');
    expect(fake.upstream('node0:7000').socket.take()).toBe(block);
    for (const [name, ...args] of [
      ['client|id', 'CLIENT', 'ID'],
      ['acl|whoami', 'ACL', 'WHOAMI'],
      ['hello', 'HELLO'],
      ['subscribe', 'SUBSCRIBE', 'c'],
    ]) {
      const other = fake.client();
      other.say(command('MULTI'));
      expect(other.say(command(...args)), args.join(' ')).toBe(
        `-ERR unsupported command '${name}' inside MULTI: ` +
          'it concerns the connection to the proxy, and a transaction runs on a server\r\n',
      );
      expect(other.say(command('EXEC'))).toMatch(/^-EXECABORT /);
    }
  });

  it('is put together from replies that come byte by byte', () => {
    const { fake, say, socket } = start();
    say(BLOCK);
    for (const byte of DONE) fake.answer('node0:7000', byte);
    expect(socket.take()).toBe('*1\r\n:1\r\n');
  });

  it.each([
    ['-MOVED 15495 node1:7000\r\n-EXECABORT Transaction discarded because of previous errors.\r\n', false],
    ['-ASK 15495 node1:7000\r\n-EXECABORT Transaction discarded because of previous errors.\r\n', true],
    ['+QUEUED\r\n-MOVED 15495 node1:7000\r\n', false],
    ['+QUEUED\r\n-ASK 15495 node1:7000\r\n', true],
  ])('follows %j as a whole, before what was sent after it', (reply, asking) => {
    const { fake, say, socket } = start(2);
    say(BLOCK);
    expect(fake.upstream('node1:7000').socket.take()).toBe(BLOCK);
    fake.answer('node1:7000', `+OK\r\n${reply.replace('node1', 'node0')}`);
    expect(fake.upstream('node0:7000').socket.take()).toBe((asking ? command('ASKING') : '') + BLOCK);
    fake.answer('node0:7000', (asking ? '+OK\r\n' : '') + DONE);
    expect(socket.take()).toBe('*1\r\n:1\r\n');
  });

  it.each(['-TRYAGAIN x\r\n', '-EXECABORT Transaction discarded because of: LOADING x\r\n', '-CLUSTERDOWN x\r\n'])(
    'goes again a little later after %j',
    (reply) => {
      const { fake, say, socket } = start();
      say(BLOCK);
      fake.upstream('node0:7000').socket.take();
      fake.answer('node0:7000', `+OK\r\n+QUEUED\r\n${reply}`);
      fake.pass(60);
      expect(fake.upstream('node0:7000').socket.take()).toBe(BLOCK);
      fake.answer('node0:7000', DONE);
      expect(socket.take()).toBe('*1\r\n:1\r\n');
    },
  );

  it('gives up on a cluster that stays down, with its error', () => {
    const { fake, say, socket } = start(1, { attemptsMax: 5 });
    say(BLOCK);
    for (let i = 0; i < 200 && !socket.sent.join('').includes('EXECABORT'); i++) {
      if (fake.upstream('node0:7000').socket.take() !== '') {
        fake.answer(
          'node0:7000',
          '+OK\r\n-CLUSTERDOWN x\r\n-EXECABORT Transaction discarded because of previous errors.\r\n',
        );
      }
      fake.pass(100);
    }
    expect(socket.take()).toBe('-EXECABORT Transaction discarded because of: CLUSTERDOWN x\r\n');
    expect(largeBytes(fake)).toBe(0);
  });

  it('is not repeated when its connection died after it was written, unless it only reads', () => {
    for (const [name, repeats] of [
      ['INCR', false],
      ['GET', true],
    ] as const) {
      const { fake, say, socket } = start();
      const block = command('MULTI') + command(name, 'a') + command('EXEC');
      say(block);
      socket.take();
      fake.upstream('node0:7000').socket.take();
      const { events, socket: upstream } = fake.upstream('node0:7000');
      upstream.terminated = true;
      events.closed('gone');
      fake.turn();
      fake.pass(200);
      if (repeats) expect(fake.upstream('node0:7000').socket.take()).toBe(block);
      else expect(socket.take()).toBe('-upstream failure\r\n');
    }
  });

  it('is bounded in commands and bytes, and what it holds is given back', () => {
    const { fake, say, client } = start(1, { transactionCommandsMax: 2, transactionBytesMax: 200 });
    const large = 'ERR the transaction is larger than the proxy allows';
    expect(say(command('MULTI') + command('SET', 'a', 'x'.repeat(200)) + command('EXEC'))).toBe(
      `+OK\r\n-${large}\r\n-EXECABORT Transaction discarded because of previous errors.\r\n`,
    );
    expect(say(command('MULTI') + command('GET', 'a').repeat(3))).toBe(`+OK\r\n+QUEUED\r\n+QUEUED\r\n-${large}\r\n`);
    expect(largeBytes(fake)).toBeGreaterThan(0);
    fake.core.left(client);
    expect(largeBytes(fake)).toBe(0);
  });

  it('whose client left is finished for nobody', () => {
    const { fake, say, client } = start();
    say(BLOCK);
    fake.core.left(client);
    fake.answer('node0:7000', DONE);
    expect(largeBytes(fake)).toBe(0);
  });
});

describe('WATCH', () => {
  it('has a connection of its own, which the next client gets', () => {
    const { fake, say, socket } = start();
    expect(say(command('WATCH', 'a') + command('GET', 'a'))).toBe('');
    expect(fake.upstreams.length).toBe(2);
    const [shared, own] = fake.upstreams;
    expect(own!.socket.take()).toBe(command('WATCH', 'a'));
    expect(shared!.socket.take()).toBe('');
    fake.answer('node0:7000', '+OK\r\n');
    expect(shared!.socket.take()).toBe(command('GET', 'a'));
    shared!.events.received(Buffer.from('$1\r\n0\r\n'));
    fake.turn();
    expect(socket.take()).toBe('+OK\r\n$1\r\n0\r\n');
    say(BLOCK);
    expect(own!.socket.take()).toBe(BLOCK);
    expect(fake.counter('upstream_cx_dedicated_active')).toBe(1);
    fake.answer('node0:7000', '+OK\r\n+QUEUED\r\n*-1\r\n');
    expect(fake.counter('upstream_cx_dedicated_active')).toBe(0);
    fake.client().say(command('WATCH', 'b'));
    expect(fake.upstreams.length).toBe(2);
    expect(own!.socket.take()).toBe(command('WATCH', 'b'));
  });

  it.each(['connection', 'redirection'])('ends in nil when its %s shows that nobody watched', (what) => {
    const { fake, say, socket } = start();
    say(command('WATCH', 'a'));
    fake.answer('node0:7000', '+OK\r\n');
    socket.take();
    const { events } = fake.upstreams[1]!;
    if (what === 'connection') events.closed('gone');
    let reply = say(BLOCK);
    if (what !== 'connection') {
      fake.answer('node0:7000', '+OK\r\n-MOVED 1 node9:7000\r\n-EXECABORT x\r\n');
      reply += socket.take();
    }
    expect(reply).toBe('+OK\r\n+QUEUED\r\n*-1\r\n');
    expect(fake.counter('upstream_cx_dedicated_active')).toBe(0);
  });

  it('is given up when the client leaves', () => {
    const { fake, say, client } = start();
    say(command('WATCH', 'a'));
    fake.answer('node0:7000', '+OK\r\n');
    fake.core.left(client);
    expect(fake.upstreams[1]!.socket.terminated).toBe(true);
    expect(fake.counter('upstream_cx_dedicated_active')).toBe(0);
  });
});

describe('WATCH', () => {
  const watching = (limits = {}) => {
    const started = start(1, limits);
    const own = () => started.fake.upstreams.slice(1).filter(({ socket }) => !socket.terminated);
    const answer = (text: string) => {
      started.fake.core.beginEvent();
      own()[0]!.events.received(Buffer.from(text));
      started.fake.turn();
      return started.socket.take();
    };
    return { ...started, own, answer };
  };

  it('counts each key once in CLIENT LIST, until the watch ends', () => {
    const { say, answer } = watching();
    const watched = () => /watch=(\d+)/.exec(say(command('CLIENT', 'INFO')))?.[1];
    expect(watched()).toBe('0');
    say(command('WATCH', '{a}1', '{a}2', '{a}1'));
    expect(answer('+OK\r\n')).toBe('+OK\r\n');
    expect(watched()).toBe('2');
    say(command('WATCH', '{a}2', '{a}3'));
    answer('+OK\r\n');
    expect(watched()).toBe('3');
    say(command('UNWATCH'));
    answer('+OK\r\n');
    expect(watched()).toBe('0');
    say(command('WATCH', 'a'));
    answer('+OK\r\n');
    say(command('MULTI') + command('EXEC'));
    answer('+OK\r\n*0\r\n');
    expect(watched()).toBe('0');
  });

  it('is refused above the bound of keys, those of earlier ones counted in', () => {
    const { say, answer, own } = watching({ watchedKeysMax: 2 });
    const refused = '-ERR a client of the proxy can watch at most 2 keys\r\n';
    expect(say(command('WATCH', '{a}1', '{a}2', '{a}3'))).toBe(refused);
    expect(own()).toEqual([]);
    say(command('WATCH', '{a}1', '{a}2'));
    answer('+OK\r\n');
    expect(say(command('WATCH', '{a}3'))).toBe(refused);
    say(command('WATCH', '{a}2'));
    expect(answer('+OK\r\n')).toBe('+OK\r\n');
  });

  it.each(['WATCH', 'EXEC', 'UNWATCH'])('has an op_timeout at %s, whenever the connection was lent', (name) => {
    const { fake, say, socket, answer, own } = watching();
    say(command('WATCH', 'a'));
    if (name !== 'WATCH') {
      answer('+OK\r\n');
      fake.pass(60_000);
      socket.take();
      say(name === 'EXEC' ? command('MULTI') + command('GET', 'a') + command('EXEC') : command('UNWATCH'));
      socket.take();
    }
    fake.pass(4900);
    expect(socket.take()).toBe('');
    expect(own().length).toBe(1);
    fake.pass(300);
    expect(socket.take()).toBe(name === 'UNWATCH' ? '+OK\r\n' : '-upstream failure\r\n');
    expect(own()).toEqual([]);
    expect(fake.counter('upstream_rq_timeout')).toBe(1);
  });
});
