import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeCore } from '../support/fake-core.js';
import { decodeValue, encodeCommandText, type Value } from '../support/resp.js';
import { user, users } from '../support/users.js';

function ask(say: (bytes: Buffer) => string, ...args: string[]): Value {
  const reply = Buffer.from(say(encodeCommandText(args)), 'latin1');
  const decoded = decodeValue(reply, 0);
  if (decoded === null || decoded.end !== reply.length) throw new Error(`not one reply: ${reply}`);
  return decoded.value;
}

describe('commands that the proxy answers', () => {
  const { say } = new FakeCore().client();

  it.each<[string[], Value]>([
    [['PING'], '+PONG'],
    [['ping', 'hi \r\n'], '$hi \r\n'],
    [['PING', 'a', 'b'], "-ERR wrong number of arguments for 'ping' command"],
    [['ECHO', '\0\xff'], '$\0\xff'],
    [['ECHO'], "-ERR wrong number of arguments for 'echo' command"],
    [['SELECT', '0'], '+OK'],
    [['SELECT', '1'], '-ERR DB index is out of range'],
    [['SELECT', 'x'], '-ERR value is not an integer or out of range'],
    [['CLIENT', 'GETNAME'], null],
    [['CLIENT', 'SETNAME', 'a b'], '-ERR Client names cannot contain spaces, newlines or special characters.'],
    [['CLIENT', 'SETINFO', 'lib-name', 'x y'], '-ERR lib-name cannot contain spaces, newlines or special characters.'],
    [['CLIENT', 'SETINFO', 'LIB-Ver', 'x y'], '-ERR LIB-Ver cannot contain spaces, newlines or special characters.'],
    [['CLIENT', 'SETINFO', 'what', 'x'], "-ERR Unrecognized option 'what'"],
    [['CLIENT', 'NO-EVICT', 'on'], '+OK'],
    [['CLIENT', 'NO-TOUCH', 'maybe'], '-ERR syntax error'],
    [['CLIENT', 'ID', 'x'], "-ERR wrong number of arguments for 'client|id' command"],
    [['CLIENT'], "-ERR wrong number of arguments for 'client' command"],
    [['CLIENT', 'NOSUCH'], "-ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP."],
    [
      ['AUTH', 'x'],
      '-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?',
    ],
    [['AUTH', 'default', 'x'], '+OK'],
    [['AUTH', 'nobody', 'x'], '-WRONGPASS invalid username-password pair or user is disabled.'],
    [['HELLO', 'x'], '-ERR Protocol version is not an integer or out of range'],
    [['HELLO', '4'], '-NOPROTO unsupported protocol version'],
    [['HELLO', '3', 'SETNAME'], "-ERR Syntax error in HELLO option 'SETNAME'"],
  ])('%j', (args, reply) => {
    expect(ask(say, ...args)).toEqual(reply);
  });

  it('keep what a client says of itself', () => {
    const fake = new FakeCore();
    const { say: mine } = fake.client();
    const { say: other } = fake.client();
    expect(ask(mine, 'CLIENT', 'SETNAME', 'me')).toBe('+OK');
    expect(ask(mine, 'CLIENT', 'SETINFO', 'LIB-NAME', 'lib')).toBe('+OK');
    expect(ask(mine, 'CLIENT', 'SETINFO', 'LIB-VER', '1.0')).toBe('+OK');
    expect(ask(mine, 'CLIENT', 'GETNAME')).toBe('$me');
    expect(ask(mine, 'CLIENT', 'INFO')).toMatch(/ name=me .* lib-name=lib lib-ver=1\.0 worker=0\n$/);
    expect(ask(other, 'CLIENT', 'GETNAME')).toBeNull();
    expect([ask(mine, 'CLIENT', 'ID'), ask(other, 'CLIENT', 'ID')]).toEqual([':1', ':2']);
  });

  it('number clients so that no two workers give the same id', () => {
    const ids = [0, 1, 2].flatMap((worker) => {
      const fake = new FakeCore(0, { worker, workers: 3 });
      return [fake.client().client.id, fake.client().client.id];
    });
    expect(new Set(ids).size).toBe(6);
  });

  it('tell the time in seconds and microseconds', () => {
    const before = Date.now();
    const [seconds, microseconds] = (ask(say, 'TIME') as string[]).map((text) => Number(text.slice(1))) as [
      number,
      number,
    ];
    expect(Math.abs(seconds * 1000 + microseconds / 1000 - before)).toBeLessThan(2000);
    expect(microseconds).toBeLessThan(1_000_000);
  });

  it('say with HELLO what the servers are, and their modules, in both versions of RESP', () => {
    const fake = new FakeCore();
    const modules = [{ name: 'lua', version: 1, path: 'p', args: ['a'] }];
    fake.core.router.facts = { redisVersion: '7.2.4', server: 'valkey', version: '9.1.2', modules };
    const { say: mine } = fake.client();
    const list =
      '$4\r\nname\r\n$3\r\nlua\r\n$3\r\nver\r\n:1\r\n$4\r\npath\r\n$1\r\np\r\n$4\r\nargs\r\n*1\r\n$1\r\na\r\n';
    const start = '$6\r\nserver\r\n$6\r\nvalkey\r\n$7\r\nversion\r\n$5\r\n9.1.2\r\n';
    const two = mine(encodeCommandText(['HELLO']));
    expect(two).toContain(`*14\r\n${start}`);
    expect(two.endsWith(`$7\r\nmodules\r\n*1\r\n*8\r\n${list}`)).toBe(true);
    const three = mine(encodeCommandText(['HELLO', '3']));
    expect(three).toContain(`%7\r\n${start}`);
    expect(three.endsWith(`$7\r\nmodules\r\n*1\r\n%4\r\n${list}`)).toBe(true);
    fake.core.router.facts = { ...fake.core.facts, modules: [{ name: 'lua', version: 1, path: null, args: null }] };
    expect(mine(encodeCommandText(['HELLO']))).toMatch(
      /\*1\r\n%2\r\n\$4\r\nname\r\n\$3\r\nlua\r\n\$3\r\nver\r\n:1\r\n$/,
    );
  });

  it('change the protocol with HELLO, and answer in it at once', () => {
    const { say: mine } = new FakeCore().client();
    const fields = ask(mine, 'HELLO', '3', 'SETNAME', 'n') as string[];
    expect(mine(encodeCommandText(['HELLO', '3'])).startsWith('%7\r\n')).toBe(true);
    expect(fields.slice(0, 6)).toEqual(['$server', '$redis', '$version', '$7.0.0', '$proto', ':3']);
    expect(mine(encodeCommandText(['CLIENT', 'GETNAME']))).toBe('$1\r\nn\r\n');
    expect(mine(encodeCommandText(['HELLO', '2'])).startsWith('*14\r\n')).toBe(true);
  });

  it('say goodbye and close behind it', () => {
    const fake = new FakeCore();
    const { say: mine, socket } = fake.client();
    expect(mine('QUIT\r\nPING\r\n')).toBe('+OK\r\n');
    expect(socket.ended).toBe(true);
  });

  it('give one well-formed reply to any arguments', () => {
    const names = ['PING', 'ECHO', 'SELECT', 'TIME', 'CLIENT', 'AUTH', 'HELLO', 'RESET'];
    const word = fc.oneof(
      fc.constantFrom(
        'SETNAME',
        'GETNAME',
        'ID',
        'INFO',
        'HELP',
        'SETINFO',
        'LIB-NAME',
        'AUTH',
        '2',
        '3',
        '-1',
        '',
        'on',
        'LIST',
        'KILL',
        'TRACKING',
        '\r\n',
      ),
      fc.string({ unit: 'binary-ascii', maxLength: 6 }),
    );
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.array(word, { maxLength: 5 }), (name, words) => {
        const { say: mine, socket } = new FakeCore().client();
        ask(mine, name, ...words);
        expect(socket.ended).toBe(false);
      }),
      { numRuns: 300 },
    );
  });
});

describe('logging in', () => {
  const settings = users(user('app', ['old', 'new']));

  it('is asked for before anything else', () => {
    const { say, client } = new FakeCore(0, settings).client();
    for (const command of ['PING', 'GET', 'NOSUCH', 'CLIENT', 'COMMAND']) {
      expect(ask(say, command), command).toBe('-NOAUTH Authentication required.');
    }
    expect(ask(say, 'HELLO', '3')).toMatch(/^-NOAUTH HELLO must be called/);
    expect(client.authenticated).toBe(false);
  });

  it.each([[['AUTH', 'old']], [['AUTH', 'new']], [['AUTH', 'app', 'new']]])('works with %j', (args) => {
    const { say } = new FakeCore(0, settings).client();
    expect(ask(say, ...args)).toBe('+OK');
    expect(ask(say, 'PING')).toBe('+PONG');
    expect(ask(say, 'CLIENT', 'INFO')).toContain('user=app');
  });

  it('works with HELLO', () => {
    const { say } = new FakeCore(0, settings).client();
    expect(ask(say, 'HELLO', '3', 'AUTH', 'app', 'old')).toContain('$redis');
    expect(ask(say, 'PING')).toBe('+PONG');
  });

  it.each([
    [['AUTH', '']],
    [['AUTH', 'ol']],
    [['AUTH', 'oldd']],
    [['AUTH', 'default', 'old']],
    [['HELLO', '2', 'AUTH', 'app', 'wrong']],
  ])('does not work with %j', (args) => {
    const fake = new FakeCore(0, settings);
    const { say, client } = fake.client();
    expect(ask(say, ...args)).toMatch(/^-WRONGPASS /);
    expect(client.authenticated).toBe(false);
    expect(fake.counter('downstream_auth_failure')).toBe(1);
  });

  it('is refused when it has too many arguments', () => {
    const { say } = new FakeCore(0, settings).client();
    expect(ask(say, 'AUTH', 'a', 'b', 'c')).toBe('-ERR syntax error');
  });

  it('comes before large commands, also when they arrive in pieces', () => {
    const { say, socket } = new FakeCore(0, settings).client();
    const early = `*10\r\n${`$16384\r\n${'x'.repeat(16384)}\r\n`.repeat(5)}`;
    expect(say(early)).toBe('');
    expect(say('$500000\r\n')).toBe('-ERR Protocol error: unauthenticated bulk length\r\n');
    expect(socket.ended).toBe(true);
  });
});
