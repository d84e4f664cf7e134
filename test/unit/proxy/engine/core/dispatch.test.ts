import { describe, expect, it } from 'vitest';
import { subscribedMode } from '../../../../../src/proxy/engine/pubsub/mode.js';
import { FakeCore } from '../support/fake-core.js';
import { encodeCommandText } from '../support/resp.js';

const command = (...args: string[]) => encodeCommandText(args).toString('latin1');

/** One node, its connection made. */
function single(): FakeCore {
  const fake = new FakeCore(1);
  fake.turn();
  return fake;
}

describe('serving commands', () => {
  it('sends a command on unchanged and its reply back', () => {
    const fake = single();
    const { say, socket } = fake.client();
    expect(say(command('SET', 'k', 'v'))).toBe('');
    expect(fake.upstream('node0:7000').socket.take()).toBe(command('SET', 'k', 'v'));
    fake.answer('node0:7000', '+OK\r\n');
    expect(socket.take()).toBe('+OK\r\n');
  });

  it('sends an inline command on as RESP', () => {
    const fake = single();
    fake.client().say('set k "a b"\r\n');
    expect(fake.upstream('node0:7000').socket.take()).toBe(command('set', 'k', 'a b'));
  });

  it('writes once for a turn, whatever came in it', () => {
    const fake = single();
    fake.client().say(command('GET', 'a') + command('GET', 'b') + command('GET', 'c'));
    expect(fake.upstream('node0:7000').socket.sent.length).toBe(1);
  });

  it('keeps the order of local and upstream replies', () => {
    const fake = single();
    const { say, socket } = fake.client();
    expect(
      say(command('GET', 'a') + command('PING') + command('NOSUCH') + command('GET', 'b') + command('ECHO', 'x')),
    ).toBe('');
    fake.answer('node0:7000', '$1\r\na\r\n');
    expect(socket.take()).toBe("$1\r\na\r\n+PONG\r\n-ERR unknown command 'NOSUCH', with args beginning with: \r\n");
    fake.answer('node0:7000', '$-1\r\n');
    expect(socket.take()).toBe('$-1\r\n$1\r\nx\r\n');
  });

  it.each([
    [['NOSUCH', 'a\r\nb', 'c'], "ERR unknown command 'NOSUCH', with args beginning with: 'a  b' 'c' "],
    [['GET'], "ERR wrong number of arguments for 'get' command"],
    [['GET', 'a', 'b'], "ERR wrong number of arguments for 'get' command"],
    [['MSET', 'a'], "ERR wrong number of arguments for 'mset' command"],
    [['MSET', 'a', '1', 'b'], "ERR wrong number of arguments for 'mset' command"],
    [['OBJECT'], "ERR wrong number of arguments for 'object' command"],
    [['OBJECT', 'NOSUCH', 'k'], "ERR unknown subcommand 'NOSUCH'. Try OBJECT HELP."],
    [['object|encoding', 'x', 'k'], "ERR unknown command 'object|encoding', with args beginning with: 'x' 'k' "],
    [['CLIENT'], "ERR wrong number of arguments for 'client' command"],
    [['CLIENT', 'ID', 'a'], "ERR wrong number of arguments for 'client|id' command"],
    [['CLIENT', 'NOSUCH'], "ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP."],
    // A module counts for itself, and names the command as it was written.
    [['VCard'], "ERR wrong number of arguments for 'VCard' command"],
    [['EXEC'], 'ERR EXEC without MULTI'],
    [['DISCARD'], 'ERR DISCARD without MULTI'],
    [['EXEC', 'a'], "EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command"],
    [
      ['SHUTDOWN'],
      "ERR unsupported command 'shutdown': it is refused by the proxy: it administers a node, not the cluster",
    ],
  ])('answers %j with an error of its own', (args, error) => {
    const fake = single();
    expect(fake.client().say(command(...args))).toBe(`-${error}\r\n`);
    expect(fake.upstream('node0:7000').socket.take()).toBe('');
  });

  it.each(['MULTI', 'SUBSCRIBE'])(
    'looks at subcommands and numbers of arguments before the mode of %s does',
    (mode) => {
      const { client, say } = single().client();
      if (mode === 'MULTI') say(command('MULTI'));
      else client.mode = subscribedMode;
      expect(say(command('CLIENT', 'ID', 'a'))).toBe("-ERR wrong number of arguments for 'client|id' command\r\n");
      expect(say(command('CLIENT', 'NOSUCH'))).toBe("-ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP.\r\n");
      expect(say(command('EXEC'))).toMatch(
        mode === 'MULTI'
          ? /^-EXECABORT Transaction discarded because of previous errors/
          : /^-EXECABORT Transaction discarded because of: Can't execute 'exec': only /,
      );
    },
  );

  it.each([
    [['XREAD', 'BLOCK', '0', 'STREAMS', 'k', '0']],
    [['XREAD', 'COUNT', '1', 'block', '0', 'streams', 'k', '0']],
    [['XREADGROUP', 'GROUP', 'g', 'c', 'BLOCK', '0', 'STREAMS', 'k', '>']],
    [['XREADGROUP', 'GROUP', 'streams', 'streams', 'BLOCK', '0', 'STREAMS', 'k', '>']],
    [['XREADGROUP', 'NOACK', 'COUNT', '1', 'GROUP', 'streams', 'c', 'BLOCK', '0', 'STREAMS', 'k', '>']],
  ])('sends %j over a connection of its own: it would block everyone', (args) => {
    const fake = single();
    expect(fake.client().say(command(...args))).toBe('');
    expect(fake.upstreams.map(({ socket }) => socket.take())).toEqual(['', command(...args)]);
  });

  it.each([
    [['XREAD', 'COUNT', '1', 'STREAMS', 'block', '0']],
    [['XREADGROUP', 'GROUP', 'block', 'block', 'STREAMS', 'k', '>']],
  ])('sends %j on, which does not block', (args) => {
    const fake = single();
    expect(fake.client().say(command(...args))).toBe('');
    expect(fake.upstream('node0:7000').socket.take()).toBe(command(...args));
  });

  it.each([
    ['*1\r\n$-1\r\n', '-ERR Protocol error: invalid bulk length\r\n'],
    ['*x\r\n', '-ERR Protocol error: invalid multibulk length\r\n'],
    ['SET "a\r\n', '-ERR Protocol error: unbalanced quotes in request\r\n'],
  ])('answers %j with a protocol error, after the earlier replies, and closes', (junk, error) => {
    const fake = single();
    const { say, socket } = fake.client();
    say(command('GET', 'a') + junk);
    expect(socket.ended).toBe(false);
    fake.answer('node0:7000', '$-1\r\n');
    expect(socket.take()).toBe(`$-1\r\n${error}`);
    expect(socket.ended).toBe(true);
    expect(fake.counter('downstream_cx_protocol_error')).toBe(1);
  });

  it('closes on HTTP without a word', () => {
    const { say, socket } = single().client();
    expect(say('POST / HTTP/1.1\r\nHost: x\r\n\r\n')).toBe('');
    expect(socket.ended).toBe(true);
  });
});

describe('commands over several slots', () => {
  // foo is in slot 12182, bar in 5061: the second and the first of two nodes.
  const two = () => {
    const fake = new FakeCore(2);
    fake.turn();
    return fake;
  };

  it('are sent in parts, one a slot, and answered in the order of the keys', () => {
    const fake = two();
    const { say, socket } = fake.client();
    say(command('MGET', 'foo', 'bar', '{foo}2', 'bar'));
    expect(fake.upstream('node1:7000').socket.take()).toBe(command('MGET', 'foo', '{foo}2'));
    expect(fake.upstream('node0:7000').socket.take()).toBe(command('MGET', 'bar', 'bar'));
    fake.answer('node1:7000', '*2\r\n$1\r\n1\r\n$-1\r\n');
    expect(socket.take()).toBe('');
    fake.answer('node0:7000', '*2\r\n$1\r\n2\r\n$1\r\n3\r\n');
    expect(socket.take()).toBe('*4\r\n$1\r\n1\r\n$1\r\n2\r\n$-1\r\n$1\r\n3\r\n');
  });

  it('are sent unchanged when all keys are in one slot', () => {
    const fake = two();
    fake.client().say(command('mset', 'foo', '1', '{foo}2', '2'));
    expect(fake.upstream('node1:7000').socket.take()).toBe(command('mset', 'foo', '1', '{foo}2', '2'));
  });

  it('sum integers, and say OK when all parts do', () => {
    const fake = two();
    const { say, socket } = fake.client();
    say(command('DEL', 'foo', 'bar') + command('MSET', 'foo', '1', 'bar', '2'));
    fake.answer('node0:7000', ':1\r\n+OK\r\n');
    fake.answer('node1:7000', ':1\r\n+OK\r\n');
    expect(socket.take()).toBe(':2\r\n+OK\r\n');
  });

  it.each([
    ['one part fails', ':1\r\n', '-WRONGTYPE x\r\n', '-finished with 1 error(s)\r\n'],
    ['all fail for one reason', '-NOPERM x\r\n', '-NOPERM x\r\n', '-NOPERM x\r\n'],
    ['all fail for different reasons', '-NOPERM x\r\n', '-NOPERM y\r\n', '-finished with 2 error(s)\r\n'],
    ['a reply is no integer', ':1\r\n', '+OK\r\n', '-upstream protocol error\r\n'],
  ])('give one error when %s', (_what, first, second, reply) => {
    const fake = two();
    const { say, socket } = fake.client();
    say(command('DEL', 'foo', 'bar'));
    fake.answer('node0:7000', first);
    fake.answer('node1:7000', second);
    expect(socket.take()).toBe(reply);
  });

  it('put an error in the place of the values that could not be had', () => {
    const fake = two();
    const { say, socket } = fake.client();
    say(command('MGET', 'foo', 'bar'));
    fake.answer('node0:7000', '-NOPERM x\r\n');
    fake.answer('node1:7000', '*1\r\n$1\r\n1\r\n');
    expect(socket.take()).toBe('*2\r\n$1\r\n1\r\n-NOPERM x\r\n');
  });
});
