import { describe, expect, it } from 'vitest';
import { FakeCore } from '../support/fake-core.js';
import { encodeCommandText } from '../support/resp.js';
import { user, users } from '../support/users.js';

const command = (...args: string[]) => encodeCommandText(args).toString('latin1');
const bulk = (text: string) => `$${text.length}\r\n${text}\r\n`;

/** Two workers of one proxy, each with a client. */
function workers(settings = {}) {
  const first = new FakeCore(1, { worker: 0, workers: 2, ...settings });
  const second = new FakeCore(1, { worker: 1, workers: 2, ...settings });
  first.others.push(second);
  second.others.push(first);
  for (const each of [first, second]) each.turn();
  return { first, second, one: first.client(), two: second.client() };
}

describe('CLIENT LIST', () => {
  it("shows the clients of all workers in Redis's form, by id", () => {
    const { one, two } = workers();
    two.say(command('CLIENT', 'SETNAME', 'second'));
    const text = one.say(command('CLIENT', 'LIST'));
    const lines = text.split('\r\n').slice(1, -1).join('').trim().split('\n');
    expect(lines.map((line) => /^id=(\d+) /.exec(line)?.[1])).toEqual(['1', '2']);
    expect(lines[0]).toBe(
      'id=1 addr=192.0.2.1:1234 laddr= fd=-1 name= age=0 idle=0 flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 watch=0 ' +
        'qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=0 events=r cmd=client|list ' +
        'user=default redir=-1 resp=2 lib-name= lib-ver= worker=0',
    );
    expect(lines[1]).toContain(' name=second ');
  });

  it('is a verbatim string in RESP3', () => {
    const { one } = workers();
    one.say(command('HELLO', '3'));
    expect(one.say(command('CLIENT', 'LIST'))).toMatch(/^=\d+\r\ntxt:id=1 /);
    expect(one.say(command('CLIENT', 'INFO'))).toMatch(/^=\d+\r\ntxt:id=1 /);
  });

  it.each<[string[], string[]]>([
    [['ID', '2', '7'], ['2']],
    [
      ['ID', '1', '2', 'TYPE', 'normal'],
      ['1', '2'],
    ],
    [['TYPE', 'pubsub'], []],
    [['TYPE', 'replica'], []],
    [['USER', 'default', 'SKIPME', 'YES'], ['2']],
    [['USER', 'somebody'], []],
    [
      ['ADDR', '192.0.2.1:1234'],
      ['1', '2'],
    ],
    [['LADDR', '192.0.2.9:1'], []],
    [['MAXAGE', '5'], []],
  ])('takes %j', (args, ids) => {
    const { one } = workers();
    const text = one.say(command('CLIENT', 'LIST', ...args));
    expect([...text.matchAll(/^id=(\d+) /gm)].map((match) => match[1])).toEqual(ids);
  });

  it.each([
    [['TYPE', 'foo'], "Unknown client type 'foo'"],
    [['TYPE'], 'syntax error'],
    [['ID'], 'syntax error'],
    [['ID', 'x'], 'Invalid client ID'],
    [['FOO', 'bar'], 'syntax error'],
    [['MAXAGE', 'x'], 'maxage is not an integer or out of range'],
    [['SKIPME', 'x'], 'syntax error'],
  ])('refuses %j', (args, error) => {
    expect(workers().one.say(command('CLIENT', 'LIST', ...args))).toBe(`-ERR ${error}\r\n`);
  });
});

describe('CLIENT KILL', () => {
  it('closes clients of all workers and counts them; the one that asks only when it says so', () => {
    const { first, second, one, two } = workers();
    const third = first.client();
    expect(one.say(command('CLIENT', 'KILL', 'TYPE', 'normal'))).toBe(':2\r\n');
    expect([one, two, third].map(({ socket }) => socket.terminated)).toEqual([false, true, true]);
    expect(second.core.clients.size).toBe(0);
    expect(one.say(command('CLIENT', 'KILL', 'ID', '1', 'SKIPME', 'no') + command('PING'))).toBe(':1\r\n+PONG\r\n');
    expect(one.socket.ended).toBe(true);
  });

  it('in its old form kills by address, or says that there is none', () => {
    const { one } = workers();
    expect(one.say(command('CLIENT', 'KILL', '1.2.3.4:5'))).toBe('-ERR No such client\r\n');
    expect(one.say(command('CLIENT', 'KILL', '192.0.2.1:1234'))).toBe('+OK\r\n');
    expect(one.socket.ended).toBe(true);
  });

  it.each([
    [['ID', 'x'], 'client-id should be greater than 0'],
    [['TYPE', 'foo'], "Unknown client type 'foo'"],
    [['SKIPME', 'maybe'], 'syntax error'],
    [['ID', '5', 'ADDR'], 'syntax error'],
    [['USER', 'nobody'], "No such user 'nobody'"],
    [['MAXAGE', '-1'], 'maxage should be greater than 0'],
  ])('refuses %j', (args, error) => {
    expect(workers().one.say(command('CLIENT', 'KILL', ...args))).toBe(`-ERR ${error}\r\n`);
  });
});

describe('CLIENT REPLY', () => {
  it('OFF silences everything until ON, which is answered', () => {
    const { one, first } = workers();
    const commands = ['PING', 'NOSUCH', 'GET k', 'MGET k l', 'CLIENT ID'].map((text) => command(...text.split(' ')));
    expect(one.say(command('CLIENT', 'REPLY', 'OFF') + commands.join(''))).toBe('');
    first.answer('node0:7000', `${bulk('v')}${'*1\r\n$-1\r\n*1\r\n$-1\r\n'}`);
    expect(one.socket.take()).toBe('');
    expect(one.say(command('CLIENT', 'REPLY', 'ON') + command('PING'))).toBe('+OK\r\n+PONG\r\n');
  });

  it('SKIP silences itself and the next command, wherever that is answered', () => {
    const { one, first } = workers();
    const skip = command('CLIENT', 'REPLY', 'SKIP');
    expect(one.say(skip + command('PING') + command('PING', 'a'))).toBe(bulk('a'));
    expect(one.say(command('GET', 'a') + skip + command('GET', 'b') + command('GET', 'c') + command('PING'))).toBe('');
    first.answer('node0:7000', bulk('a') + bulk('b') + bulk('c'));
    expect(one.socket.take()).toBe(`${bulk('a')}${bulk('c')}+PONG\r\n`);
    expect(one.say(skip + command('GET'))).toBe('');
    expect(one.say(command('PING'))).toBe('+PONG\r\n');
  });

  it('silences large replies that come in pieces', () => {
    const { one, first } = workers();
    one.say(command('CLIENT', 'REPLY', 'SKIP') + command('GET', 'a') + command('PING'));
    first.answer('node0:7000', `$100000\r\n${'x'.repeat(50_000)}`);
    first.answer('node0:7000', `${'x'.repeat(50_000)}\r\n`);
    expect(one.socket.take()).toBe('+PONG\r\n');
  });
});

describe('CLIENT PAUSE', () => {
  it('stops the commands of all clients of all workers until its time is over', () => {
    const { first, second, one, two } = workers();
    expect(one.say(command('CLIENT', 'PAUSE', '200'))).toBe('+OK\r\n');
    expect(two.say(command('GET', 'a') + command('PING'))).toBe('');
    expect(one.say(command('PING'))).toBe('');
    expect(second.upstream('node0:7000').socket.take()).toBe('');
    second.pass(220);
    first.pass(220);
    expect(second.upstream('node0:7000').socket.take()).toBe(command('GET', 'a'));
    expect(one.socket.take()).toBe('+PONG\r\n');
    second.answer('node0:7000', bulk('v'));
    expect(two.socket.take()).toBe(`${bulk('v')}+PONG\r\n`);
    expect(two.client.hold).toBe(0);
    expect(two.socket.paused).toBe(false);
    expect(first.core.attention).toBe(0);
  });

  it('WRITE stops only clients that write, and UNPAUSE ends it', () => {
    const { first, one } = workers();
    const other = first.client();
    one.say(command('CLIENT', 'PAUSE', '100000', 'WRITE'));
    other.say(command('GET', 'a') + command('SET', 'a', '1') + command('GET', 'b'));
    expect(first.upstream('node0:7000').socket.take()).toBe(command('GET', 'a'));
    first.answer('node0:7000', bulk('v'));
    expect(other.socket.take()).toBe(bulk('v'));
    expect(one.say(command('CLIENT', 'UNPAUSE'))).toBe('+OK\r\n');
    expect(first.upstream('node0:7000').socket.take()).toBe(command('SET', 'a', '1') + command('GET', 'b'));
  });

  it('notices who leaves meanwhile, whose commands are not run then; who has only said all gets its replies', () => {
    const { first, one } = workers();
    const [leaver, finisher] = [first.client(), first.client()];
    one.say(command('CLIENT', 'PAUSE', '60000', 'WRITE'));
    leaver.say(command('SET', 'a', '1'));
    finisher.say(command('SET', 'b', '1'));
    expect([leaver, finisher].map(({ socket }) => socket.paused)).toEqual([false, false]);
    finisher.say(command('SET', 'c', 'x'.repeat(100_000)));
    expect(finisher.socket.paused).toBe(true);
    first.core.left(leaver.client);
    finisher.client.ended();
    first.turn();
    expect(finisher.socket.ended).toBe(false);
    one.say(command('CLIENT', 'UNPAUSE'));
    const sent = first.upstream('node0:7000').socket.take();
    expect(sent).toBe(command('SET', 'b', '1') + command('SET', 'c', 'x'.repeat(100_000)));
    first.answer('node0:7000', '+OK\r\n+OK\r\n');
    expect(finisher.socket.take()).toBe('+OK\r\n+OK\r\n');
    expect(finisher.socket.ended).toBe(true);
  });

  it('is ended by UNPAUSE from another worker, also when it holds everything', () => {
    const { first, one, two } = workers();
    one.say(command('CLIENT', 'PAUSE', '100000'));
    expect(one.say(command('PING'))).toBe('');
    expect(two.say(command('CLIENT', 'UNPAUSE'))).toBe('+OK\r\n');
    first.turn();
    expect(one.socket.take()).toBe('+PONG\r\n');
  });

  it.each([
    [['x'], 'timeout is not an integer or out of range'],
    [['-1'], 'timeout is negative'],
    [['1', 'foo'], 'CLIENT PAUSE mode must be WRITE or ALL'],
  ])('refuses %j', (args, error) => {
    expect(workers().one.say(command('CLIENT', 'PAUSE', ...args))).toBe(`-ERR ${error}\r\n`);
  });
});

describe('CLIENT TRACKING', () => {
  it('is refused, and everything about it says that it is off', () => {
    const { one } = workers();
    expect(one.say(command('CLIENT', 'TRACKING', 'ON'))).toMatch(/^-ERR CLIENT TRACKING is not supported by the proxy/);
    expect(one.say(command('CLIENT', 'TRACKING', 'OFF'))).toBe('+OK\r\n');
    expect(one.say(command('CLIENT', 'TRACKING', 'foo'))).toBe('-ERR syntax error\r\n');
    expect(one.say(command('CLIENT', 'GETREDIR'))).toBe(':-1\r\n');
    expect(one.say(command('CLIENT', 'CACHING', 'YES'))).toMatch(/^-ERR CLIENT CACHING can be called only/);
    const info = `${bulk('flags')}?1\r\n${bulk('off')}${bulk('redirect')}:-1\r\n${bulk('prefixes')}*0\r\n`;
    expect(one.say(command('CLIENT', 'TRACKINGINFO'))).toBe(`*6\r\n${info.replace('?', '*')}`);
    one.say(command('HELLO', '3'));
    expect(one.say(command('CLIENT', 'TRACKINGINFO'))).toBe(`%3\r\n${info.replace('?', '~')}`);
  });
});

describe('RESET', () => {
  it('leaves everything that the connection had become, and asks for the login again', () => {
    const { one } = workers(users(user('app', ['secret'])));
    one.say(command('HELLO', '3', 'AUTH', 'app', 'secret', 'SETNAME', 'me') + command('CLIENT', 'REPLY', 'OFF'));
    expect(one.say(command('RESET'))).toBe('+RESET\r\n');
    expect(one.say(command('PING'))).toBe('-NOAUTH Authentication required.\r\n');
    expect(one.say(command('AUTH', 'secret') + command('CLIENT', 'GETNAME'))).toBe('+OK\r\n$-1\r\n');
    expect(one.client.proto).toBe(2);
  });

  it('may be said before the login, and waits for the replies to what came before', () => {
    const { one } = workers(users(user('default', ['secret'])));
    expect(one.say(command('RESET'))).toBe('+RESET\r\n');
    const { one: two, first } = workers();
    expect(two.say(command('GET', 'a') + command('RESET') + command('PING'))).toBe('');
    first.answer('node0:7000', bulk('v'));
    expect(two.socket.take()).toBe(`${bulk('v')}+RESET\r\n+PONG\r\n`);
  });

  it('gives back what belongs to the client, once', () => {
    const { one, first } = workers();
    let given = 0;
    one.client.belongings.add(() => given++);
    one.say(command('RESET'));
    first.core.left(one.client);
    expect(given).toBe(1);
  });
});
