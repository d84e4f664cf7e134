import { describe, expect, it } from 'vitest';
import { sha1 } from '../../../../../src/proxy/engine/scripting/sha1.js';
import { FakeCore } from '../support/fake-core.js';
import { encodeCommandText } from '../support/resp.js';

const BODY = 'return redis.call("GET", KEYS[1])';
const SHA = sha1(Buffer.from(BODY));
const NO_SCRIPT = '-NOSCRIPT No matching script. Please use EVAL.\r\n';
/** Its slot is 866, which the first of two masters has; `foo` is the second one's. */
const FIRST = 'hello';
const command = (...args: string[]) => encodeCommandText(args).toString('latin1');
const bulk = (text: string) => `$${text.length}\r\n${text}\r\n`;

/** A proxy with two masters, whose connections are open. */
function two() {
  const fake = new FakeCore(2);
  fake.turn();
  return fake;
}

function sent(fake: FakeCore, node: number): string {
  return fake.upstream(`node${node}:7000`).socket.take();
}

/** Loads the script through a client. */
function load(fake: FakeCore) {
  const { say } = fake.client();
  for (const node of [0, 1]) sent(fake, node);
  say(command('SCRIPT', 'LOAD', BODY));
  for (const node of [0, 1]) {
    expect(sent(fake, node)).toBe(command('SCRIPT', 'LOAD', BODY));
    fake.answer(`node${node}:7000`, bulk(SHA));
  }
}

describe('SCRIPT', () => {
  it('LOAD goes to all masters and answers when all have it', () => {
    const fake = two();
    const { say, socket } = fake.client();
    expect(say(command('SCRIPT', 'LOAD', BODY))).toBe('');
    fake.answer('node0:7000', bulk(SHA));
    expect(socket.take()).toBe('');
    fake.answer('node1:7000', bulk(SHA));
    expect(socket.take()).toBe(bulk(SHA));
  });

  it('LOAD names the masters that failed', () => {
    const fake = two();
    const { say, socket } = fake.client();
    say(command('SCRIPT', 'LOAD', BODY));
    fake.answer('node0:7000', bulk(SHA));
    fake.answer('node1:7000', '-OOM no memory\r\n');
    expect(socket.take()).toBe('-finished with 1 error(s): node1:7000: OOM no memory\r\n');
    say(command('SCRIPT', 'LOAD', 'nonsense'));
    for (const node of [0, 1]) fake.answer(`node${node}:7000`, '-ERR Error compiling script\r\n');
    expect(socket.take()).toBe('-ERR Error compiling script\r\n');
  });

  it('EXISTS says 1 for what is on all masters, or is brought there when it is called', () => {
    const fake = two();
    load(fake);
    const { say, socket } = fake.client();
    say(command('SCRIPT', 'EXISTS', 'a', 'b', SHA.toUpperCase(), 'c'));
    fake.answer('node0:7000', '*4\r\n:1\r\n:1\r\n:0\r\n:0\r\n');
    fake.answer('node1:7000', '*4\r\n:1\r\n:0\r\n:0\r\n:0\r\n');
    expect(socket.take()).toBe('*4\r\n:1\r\n:0\r\n:1\r\n:0\r\n');
  });

  it('FLUSH is forgotten by every worker', () => {
    const fake = two();
    const other = new FakeCore();
    fake.others.push(other);
    load(fake);
    other.core.scripting.scripts.set(SHA, Buffer.from(BODY));
    const { say, socket } = fake.client();
    say(command('SCRIPT', 'FLUSH'));
    for (const node of [0, 1]) fake.answer(`node${node}:7000`, '+OK\r\n');
    expect(socket.take()).toBe('+OK\r\n');
    expect(other.core.scripting.scripts.get(SHA)).toBeNull();
    expect(fake.core.scripting.scripts.get(SHA)).toBeNull();
  });

  it('KILL goes over both connections of every node, and one success is enough', () => {
    const fake = two();
    const { say, socket } = fake.client();
    say(command('SCRIPT', 'KILL'));
    expect(fake.upstreams.map((each) => each.address).sort()).toEqual([
      'node0:7000',
      'node0:7000',
      'node1:7000',
      'node1:7000',
    ]);
    for (const upstream of fake.upstreams) {
      const hello = upstream.socket.take().includes('HELLO') ? '%0\r\n' : '';
      if (hello !== '') upstream.events.received(Buffer.from(hello));
    }
    fake.turn();
    fake.upstreams.forEach((upstream, i) => {
      upstream.events.received(Buffer.from(i === 2 ? '+OK\r\n' : '-NOTBUSY No scripts in execution right now.\r\n'));
    });
    fake.turn();
    expect(socket.take()).toBe('+OK\r\n');
  });

  it('DEBUG is refused', () => {
    expect(
      two()
        .client()
        .say(command('SCRIPT', 'DEBUG', 'YES')),
    ).toMatch(/^-ERR unsupported command 'script\|debug'/);
  });
});

describe('a script that a node lacks', () => {
  it('is loaded there, and its command goes again; replies keep their order', () => {
    const fake = two();
    load(fake);
    const { say, socket } = fake.client();
    say(command('EVALSHA', SHA, '1', FIRST) + command('GET', FIRST) + command('GET', 'foo'));
    expect(sent(fake, 0)).toBe(command('EVALSHA', SHA, '1', FIRST) + command('GET', FIRST));
    fake.answer('node1:7000', bulk('foo'));
    fake.answer('node0:7000', NO_SCRIPT + bulk('value'));
    expect(socket.take()).toBe('');
    expect(sent(fake, 0)).toBe(command('SCRIPT', 'LOAD', BODY) + command('EVALSHA', SHA, '1', FIRST));
    // What the client says now waits.
    expect(say(command('GET', FIRST))).toBe('');
    expect(sent(fake, 0)).toBe('');
    fake.answer('node0:7000', bulk(SHA) + bulk('done'));
    expect(socket.take()).toBe(bulk('done') + bulk('value') + bulk('foo'));
    expect(sent(fake, 0)).toBe(command('GET', FIRST));
    expect(fake.counter('upstream_rq_script_reload')).toBe(1);
  });

  it('is taken from the worker that knows it', () => {
    const fake = two();
    const other = new FakeCore();
    fake.others.push(other);
    other.core.scripting.scripts.set(SHA, Buffer.from(BODY));
    const { say, socket } = fake.client();
    say(command('EVALSHA', SHA, '1', FIRST));
    sent(fake, 0);
    fake.answer('node0:7000', NO_SCRIPT);
    expect(sent(fake, 0)).toBe(command('SCRIPT', 'LOAD', BODY) + command('EVALSHA', SHA, '1', FIRST));
    fake.answer('node0:7000', `${bulk(SHA)}:5\r\n`);
    expect(socket.take()).toBe(':5\r\n');
  });

  it('is known after EVAL as well', () => {
    const fake = two();
    const { say, socket } = fake.client();
    say(command('EVAL', BODY, '1', 'foo'));
    fake.answer('node1:7000', ':1\r\n');
    socket.take();
    say(command('EVALSHA', SHA.toUpperCase(), '1', FIRST));
    sent(fake, 0);
    fake.answer('node0:7000', NO_SCRIPT);
    expect(sent(fake, 0)).toContain(command('SCRIPT', 'LOAD', BODY));
    fake.answer('node0:7000', `${bulk(SHA)}:5\r\n`);
    expect(socket.take()).toBe(':5\r\n');
  });

  it('and that nobody knows is an error, as is one that a node will not take', () => {
    const fake = two();
    const { say, socket } = fake.client();
    say(command('EVALSHA', SHA, '1', FIRST));
    fake.answer('node0:7000', NO_SCRIPT);
    expect(socket.take()).toBe(NO_SCRIPT);
    load(fake);
    say(command('EVALSHA', SHA, '1', FIRST));
    for (let i = 0; i < 3; i++) fake.answer('node0:7000', i === 0 ? NO_SCRIPT : `-OOM\r\n${NO_SCRIPT}`);
    expect(socket.take()).toBe('');
    fake.answer('node0:7000', `-OOM\r\n${NO_SCRIPT}`);
    expect(socket.take()).toBe(NO_SCRIPT);
  });

  it('costs nothing when the client has left meanwhile', () => {
    const fake = two();
    const { say, client } = fake.client();
    say(command('EVALSHA', SHA, '1', FIRST));
    fake.core.beginEvent();
    fake.upstream('node0:7000').events.received(Buffer.from(NO_SCRIPT));
    fake.core.left(client);
    fake.turn();
    load(fake);
    const second = fake.client();
    second.say(command('EVALSHA', SHA, '1', FIRST));
    fake.core.left(second.client);
    fake.answer('node0:7000', NO_SCRIPT);
    const { say: next } = fake.client();
    next(command('GET', FIRST));
    expect(sent(fake, 0)).toContain(command('GET', FIRST));
  });
});

describe('FUNCTION', () => {
  const CODE = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";
  const described = (functions: string[]) =>
    `*1\r\n*8\r\n${bulk('library_name')}${bulk('lib')}${bulk('engine')}${bulk('LUA')}${bulk('functions')}` +
    `*${functions.length}\r\n${functions.map((name) => `*2\r\n${bulk('name')}${bulk(name)}`).join('')}` +
    `${bulk('library_code')}${bulk(CODE)}`;

  function loadLibrary(fake: FakeCore) {
    const { say, socket } = fake.client();
    say(command('FUNCTION', 'LOAD', CODE));
    for (const node of [0, 1]) {
      expect(sent(fake, node)).toBe(command('FUNCTION', 'LOAD', CODE));
      fake.answer(`node${node}:7000`, bulk('lib'));
    }
    expect(sent(fake, 0)).toBe(command('FUNCTION', 'LIST', 'WITHCODE'));
    expect(socket.take()).toBe('');
    fake.answer('node0:7000', described(['f', 'g']));
    expect(socket.take()).toBe(bulk('lib'));
  }

  it('LOAD goes to all masters, and all workers know the functions before the client hears of it', () => {
    const fake = two();
    const other = new FakeCore();
    fake.others.push(other);
    loadLibrary(fake);
    expect(other.core.scripting.libraries.withFunction('G')?.code).toBe(CODE);
  });

  it('is loaded where FCALL does not find it', () => {
    const fake = two();
    loadLibrary(fake);
    const { say, socket } = fake.client();
    say(command('FCALL', 'f', '1', FIRST));
    sent(fake, 0);
    fake.answer('node0:7000', '-ERR Function not found\r\n');
    expect(sent(fake, 0)).toBe(command('FUNCTION', 'LOAD', 'REPLACE', CODE) + command('FCALL', 'f', '1', FIRST));
    fake.answer('node0:7000', `${bulk('lib')}:1\r\n`);
    expect(socket.take()).toBe(':1\r\n');
    say(command('FCALL', 'nosuch', '1', FIRST));
    fake.answer('node0:7000', '-ERR Function not found\r\n');
    expect(socket.take()).toBe('-ERR Function not found\r\n');
  });

  it('DELETE and FLUSH are remembered, and what failed is named', () => {
    const fake = two();
    loadLibrary(fake);
    const { say, socket } = fake.client();
    say(command('FUNCTION', 'DELETE', 'lib'));
    fake.answer('node0:7000', '-ERR Library not found\r\n');
    fake.answer('node1:7000', '+OK\r\n');
    fake.answer('node1:7000', '*0\r\n');
    expect(socket.take()).toBe('-finished with 1 error(s): node0:7000: ERR Library not found\r\n');
    expect(fake.core.scripting.libraries.withFunction('f')).toBeNull();
  });

  it('STATS is that of the master that runs something', () => {
    const fake = two();
    const { say, socket } = fake.client();
    const idle = `*4\r\n${bulk('running_script')}$-1\r\n${bulk('engines')}*0\r\n`;
    const busy = `*4\r\n${bulk('running_script')}*0\r\n${bulk('engines')}*0\r\n`;
    say(command('FUNCTION', 'STATS'));
    fake.answer('node0:7000', idle);
    fake.answer('node1:7000', busy);
    expect(socket.take()).toBe(busy);
  });
});
