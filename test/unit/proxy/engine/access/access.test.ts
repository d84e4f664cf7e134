import { describe, expect, it } from 'vitest';
import type { Authenticator } from '../../../../../src/proxy/engine/access/authenticator.js';
import type { UserSettings } from '../../../../../src/proxy/engine/access/settings.js';
import { CommandFlag, type CommandSpec } from '../../../../../src/proxy/engine/commands/spec.js';
import { configure } from '../../../../../src/proxy/engine/core/configure.js';
import { FakeCore } from '../support/fake-core.js';
import { encodeCommandText } from '../support/resp.js';
import { user, users } from '../support/users.js';

const command = (...args: string[]) => encodeCommandText(args).toString('latin1');
const WRONG = '-WRONGPASS invalid username-password pair or user is disabled.\r\n';
const NOAUTH = '-NOAUTH Authentication required.\r\n';
const KEY = '-NOPERM No permissions to access a key\r\n';
const CHANNEL = '-NOPERM No permissions to access a channel\r\n';
const noCommand = (name: string, command: string) =>
  `-NOPERM User ${name} has no permissions to run the '${command}' command\r\n`;

/** A proxy with one master, and a client of it that has logged in as `app`. */
function as(rules: string, more: Partial<UserSettings> = {}) {
  const fake = new FakeCore(1, { ...users(user('default', ['x']), user('app', ['p'], rules, more)) });
  const client = fake.client();
  expect(client.say(command('AUTH', 'app', 'p'))).toBe('+OK\r\n');
  /** What another client of the user gets at once for one command; nothing when a server is asked. */
  const ask = (...args: readonly string[]) => {
    const { say } = fake.client();
    say(command('AUTH', 'app', 'p'));
    return say(command(...args));
  };
  return { fake, ...client, ask };
}

/** Another configuration with these users. */
function reload(fake: FakeCore, ...all: UserSettings[]): void {
  const { core } = fake;
  const clusters = core.routers.map((router) => ({
    settings: router.settings,
    keySpace: router.keySpace,
    slotMap: router.slotMap,
  }));
  configure(core, { settings: { ...core.settings, ...users(...all) }, limits: core.limits, clusters });
  fake.turn();
}

describe('a user', () => {
  it('gives the commands of its rules, and no others', () => {
    const { ask, fake } = as('+get +config|get +@connection ~* &*');
    expect(ask('SET', 'a', 'b')).toBe(noCommand('app', 'set'));
    expect(ask('config', 'SET', 'a', 'b')).toBe(noCommand('app', 'config|set'));
    expect(ask('PING')).toBe('+PONG\r\n');
    expect(ask('GET', 'a')).toBe('');
    expect(fake.counter('downstream_acl_denied_cmd')).toBe(2);
  });

  it('touches the keys of its rules only, each as they say', () => {
    const { ask, fake } = as('+@all ~app:* %R~r:* %W~w:*');
    for (const [args, refused] of [
      [['GET', 'app:1'], false],
      [['GET', 'r:1'], false],
      [['SET', 'r:1', 'v'], true],
      [['SET', 'w:1', 'v'], false],
      [['SET', 'w:1', 'v', 'GET'], true],
      [['GET', 'w:1'], true],
      [['GET', 'other'], true],
      [['MGET', 'app:1', 'other'], true],
      [['COPY', 'r:1', 'w:1'], false],
      [['COPY', 'w:1', 'r:1'], true],
      [['SORT', 'r:1', 'STORE', 'r:2'], true],
      [['SORT', 'r:1', 'LIMIT', '0', '1', 'STORE', 'w:2'], false],
      [['GEORADIUS', 'r:1', '0', '0', '1', 'm', 'STORE', 'w:1', 'STORE', 'other'], true],
      [['EVAL', 'x', '2', 'app:1', 'other'], true],
      [['XREAD', 'STREAMS', 'r:1', 'other', '0', '0'], true],
      [['EXISTS', 'w:1'], false],
    ] as const) {
      const reply = ask(...args);
      if (refused) expect(reply, args.join(' ')).toBe(KEY);
      else expect(reply, args.join(' ')).not.toMatch(/NOPERM/);
    }
    expect(fake.counter('downstream_acl_denied_key')).toBe(10);
  });

  it('sorts by keys of a pattern only when it may read all', () => {
    const { ask } = as('+@all ~a');
    expect(ask('SORT', 'a', 'BY', 'w_*')).toBe(
      '-ERR BY option of SORT denied due to insufficient ACL permissions.\r\n',
    );
    expect(ask('SORT_RO', 'a', 'GET', 'other_*')).toBe(
      '-ERR GET option of SORT denied due to insufficient ACL permissions.\r\n',
    );
    expect(ask('SORT', 'a', 'BY', 'nosort')).toBe('');
    expect(as('+@all %R~* ~a').ask('SORT', 'a', 'BY', 'w_*')).toBe('');
  });

  it('hears and publishes what its rules say; patterns letter by letter', () => {
    const { ask } = as('+@all ~* &news.* &p?');
    expect(ask('PUBLISH', 'other', 'm')).toBe(CHANNEL);
    expect(ask('SUBSCRIBE', 'news.eu', 'other')).toBe(CHANNEL);
    expect(ask('PSUBSCRIBE', 'news.e*')).toBe(CHANNEL);
    expect(ask('PUBLISH', 'news.eu', 'm')).not.toMatch(/NOPERM/);
    expect(ask('PSUBSCRIBE', 'news.*', 'p?')).not.toMatch(/NOPERM/);
    expect(as('+@all ~*').ask('SPUBLISH', 'any', 'm')).toBe(CHANNEL);
  });

  it('may do what one of its selectors allows as a whole', () => {
    const { ask } = as('+get ~a (+set ~b) (+get ~c)');
    expect(ask('GET', 'b')).toBe(KEY);
    expect(ask('SET', 'a', 'v')).toBe(KEY);
    expect(ask('DEL', 'a')).toBe(noCommand('app', 'del'));
    for (const args of [
      ['GET', 'a'],
      ['SET', 'b', 'v'],
      ['GET', 'c'],
    ])
      expect(ask(...args)).toBe('');
  });

  it('that is read-only writes nothing, whatever its rules say', () => {
    const { ask } = as('+@all ~* &*', { readOnly: true });
    for (const args of [['SET', 'a', 'v'], ['EVAL', 'x', '1', 'a'], ['FLUSHALL'], ['BITFIELD', 'a'], ['SORT', 'a']]) {
      expect(ask(...args), args[0]).toBe(noCommand('app', (args[0] as string).toLowerCase()));
    }
    for (const args of [
      ['GET', 'a'],
      ['EVAL_RO', 'x', '1', 'a'],
    ])
      expect(ask(...args), args[0]).toBe('');
  });

  it('is refused a part of a container that administers nodes by the part it is', () => {
    const { ask } = as('+cluster|info ~*');
    expect(ask('CLUSTER', 'NODES')).toBe(noCommand('app', 'cluster|nodes'));
    expect(ask('CLUSTER', 'INFO')).toMatch(/^-ERR unsupported command/);
  });

  it('is refused a part of such a container also when it may give the others', () => {
    const { ask } = as('+@all -cluster|nodes ~*');
    expect(ask('CLUSTER', 'NODES')).toBe(noCommand('app', 'cluster|nodes'));
    expect(ask('CLUSTER', 'INFO')).toMatch(/^-ERR unsupported command/);
  });

  it('with a key pattern gives no command of which only a server can tell the keys', () => {
    const { ask, fake } = as('+@all ~app:*');
    const spec: CommandSpec = {
      ...{ name: 'odd.command', arity: -2, flags: CommandFlag.movablekeys, acl: 0, keys: [] },
      ...{ request: '', response: '', servers: 0, container: false },
    };
    fake.core.catalog.learn([spec]);
    expect(ask('ODD.COMMAND', 'app:1')).toBe(KEY);
  });

  it('may give commands that are learned later when its rules name them, or their category', () => {
    const { ask, fake } = as('+json.get +@json -@all +@search ~*');
    const spec = {
      arity: -2,
      flags: 2,
      acl: 0,
      keys: [],
      request: '',
      response: '',
      servers: 0,
      container: false,
    } as const;
    expect(ask('FT.SEARCH', 'a')).toMatch(/unknown command/);
    fake.core.catalog.learn([
      { ...spec, name: 'ft.search', ownCategories: ['search'] },
      { ...spec, name: 'json.get', ownCategories: ['json'] },
    ]);
    expect(ask('FT.SEARCH', 'a')).toBe('');
    expect(ask('JSON.GET', 'a')).toBe(noCommand('app', 'json.get'));
  });

  it('that may do everything has no guard', () => {
    expect(as('+@all ~* &*').client.guard).toBeNull();
    expect(as('allcommands allkeys allchannels').client.guard).toBeNull();
    expect(as('+@all -debug ~* &*').client.guard).not.toBeNull();
  });

  it('has its transaction refused when one of its commands is', () => {
    const { say } = as('+@all ~app:* &*');
    expect(say(command('MULTI') + command('GET', 'other') + command('EXEC'))).toBe(
      `+OK\r\n${KEY}-EXECABORT Transaction discarded because of previous errors.\r\n`,
    );
  });

  it('is looked at by the keys that it gives, also where a route gives them other names', () => {
    const routes = {
      routes: [{ prefix: 'in:', removePrefix: true, keyFormatter: null, cluster: 0, mirrors: [] }],
      caseInsensitive: false,
      catchAll: null,
    };
    const fake = new FakeCore(1, { ...users(user('app', ['p'], '+@all ~in:*')), routes: routes as never });
    const { say } = fake.client();
    say(command('AUTH', 'p'));
    expect(say(command('GET', 'key'))).toBe(KEY);
    expect(say(command('GET', 'in:key'))).toBe('');
    expect(fake.upstream('node0:7000').socket.take()).toContain('\r\n$3\r\nkey\r\n');
  });
});

describe('a login', () => {
  it('is not needed when the default user has none, and then its rules hold', () => {
    const fake = new FakeCore(1, users(user('default', [], 'nopass +get ~a'), user('app', ['p'])));
    const { say, client } = fake.client();
    expect(say(command('SET', 'a', 'b'))).toBe(noCommand('default', 'set'));
    expect(say(command('GET', 'a'))).toBe('');
    expect(say(command('AUTH', 'app', 'p'))).toBe('');
    fake.answer('node0:7000', '$1\r\nv\r\n');
    expect(client.user).toBe('app');
    expect(client.guard).toBeNull();
    say(command('RESET'));
    expect(client.user).toBe('default');
    expect(say(command('SET', 'a', 'b'))).toBe(noCommand('default', 'set'));
  });

  it.each([
    ['a user that is off', user('default', ['p'], 'off +@all')],
    ['a user that is not enabled', user('default', ['p'], '+@all', { enabled: false })],
    ['a user from elsewhere', user('default', ['p'], '+@all', { sourceCidrs: ['198.51.100.0/24', '::1'] })],
    ['another user', user('app', ['p'])],
  ])('does not work for %s', (_, each) => {
    const fake = new FakeCore(1, { access: { users: [each], defaultUser: 'default', failureDelayMs: 0 } });
    const { say } = fake.client();
    expect(say(command('AUTH', 'p'))).toBe(WRONG);
    expect(say(command('AUTH', 'default', 'p'))).toBe(WRONG);
    expect(say(command('PING'))).toBe(NOAUTH);
  });

  it('works from a range of the user, with each of its passwords', () => {
    const fake = new FakeCore(1, users(user('app', ['old', 'new'], '+@all', { sourceCidrs: ['192.0.2.0/24'] })));
    for (const password of ['old', 'new']) expect(fake.client().say(command('AUTH', password))).toBe('+OK\r\n');
  });

  it('compares passwords byte by byte', () => {
    const fake = new FakeCore(1, users(user('app', ['\ufffd'])));
    const { say } = fake.client();
    expect(say(Buffer.from('*2\r\n$4\r\nAUTH\r\n$1\r\n\xff\r\n', 'latin1'))).toBe(WRONG);
  });

  it('with any password is right for a user that needs none, and not asked for by a password alone', () => {
    const fake = new FakeCore(1);
    const { say } = fake.client();
    expect(say(command('AUTH', 'default', 'anything'))).toBe('+OK\r\n');
    expect(say(command('AUTH', 'anything'))).toMatch(/^-ERR AUTH <password> called without any password/);
    expect(say(command('AUTH', 'other', 'anything'))).toBe(WRONG);
  });

  it('that waits for somebody else holds the client, and nothing more', () => {
    const fake = new FakeCore(1, users(user('app', ['p'])));
    const answers: ((error: string) => void)[] = [];
    const elsewhere: Authenticator = { login: (_client, _name, _password, done) => answers.push(done) };
    fake.core.access.authenticator = elsewhere;
    const [one, two] = [fake.client(), fake.client()];
    expect(one.say(command('AUTH', 'p') + command('PING'))).toBe('');
    expect(one.socket.paused).toBe(true);
    expect(two.say(command('HELLO', '3', 'AUTH', 'a', 'p') + command('PING'))).toBe('');
    fake.core.access.admit(one.client, 'somebody', null, answers[0] as (error: string) => void);
    fake.turn();
    expect(one.socket.take()).toBe('+OK\r\n+PONG\r\n');
    expect(one.socket.paused).toBe(false);
    expect(one.client.user).toBe('somebody');
    answers[1]?.('ERR upstream failure');
    fake.turn();
    expect(two.socket.take()).toBe(`-ERR upstream failure\r\n${NOAUTH}`);
    expect(two.client.proto).toBe(2);
    expect(fake.counter('downstream_auth_failure')).toBe(0);
  });

  it('that comes back when the client has left harms nobody', () => {
    const fake = new FakeCore(1, users(user('app', ['p'])));
    let answer: (error: string) => void = () => {};
    fake.core.access.authenticator = { login: (_client, _name, _password, done) => (answer = done) };
    const { client, say, socket } = fake.client();
    say(command('AUTH', 'p'));
    fake.core.left(client);
    answer('');
    fake.turn();
    expect(socket.take()).toBe('');
  });
});

describe('a failed login', () => {
  const DELAY_MS = 200;
  const guessed = (fake: FakeCore) => {
    const client = fake.client();
    client.say(command('AUTH', 'app', 'wrong'));
    return client;
  };
  /** Milliseconds until something comes. */
  const wait = (fake: FakeCore, socket: { take(): string }) => {
    for (let ms = 0; ms < 60_000; ms += 20) {
      const text = socket.take();
      if (text !== '') return { ms, text };
      fake.pass(20);
    }
    throw new Error('nothing comes');
  };
  const proxy = () => {
    const settings = users(user('app', ['p']), user('other', ['p']));
    return new FakeCore(1, { access: { ...settings.access, failureDelayMs: DELAY_MS } });
  };

  it('is answered late, later each time, up to a bound; meanwhile the client is not read', () => {
    const fake = proxy();
    const { say, socket } = fake.client();
    const delays: number[] = [];
    for (let i = 0; i < 10; i++) {
      expect(say(command('AUTH', 'app', 'wrong') + command('PING'))).toBe('');
      const { ms, text } = wait(fake, socket);
      delays.push(ms);
      expect(text).toBe(`${WRONG}${NOAUTH}`);
    }
    for (const [i, expected] of [200, 200, 200, 400, 800, 1600, 3200, 4000, 4000, 4000].entries()) {
      expect(delays[i], `${i}`).toBeGreaterThanOrEqual(expected);
      expect(delays[i], `${i}`).toBeLessThan(expected + 60);
    }
    expect(fake.counter('downstream_auth_failure')).toBe(10);
    expect(say(command('AUTH', 'app', 'p'))).toBe('+OK\r\n');
  });

  it('holds the next ones from that address for that user: leaving and coming again gains nothing', () => {
    const fake = proxy();
    fake.core.left(guessed(fake).client);
    const next = fake.client();
    expect(next.say(command('AUTH', 'app', 'p'))).toBe('');
    const { ms, text } = wait(fake, next.socket);
    expect(text).toBe('+OK\r\n');
    expect(ms).toBeGreaterThanOrEqual(DELAY_MS);
  });

  it('keeps nothing of clients that leave meanwhile', () => {
    const fake = proxy();
    const { steps } = fake.core.deadlines as unknown as { steps: ReadonlyMap<number, ReadonlySet<unknown>> };
    const scheduled = () => [...steps.values()].reduce((sum, each) => sum + each.size, 0);
    const before = scheduled();
    const clients = [guessed(fake), guessed(fake), guessed(fake)];
    expect(scheduled()).toBeGreaterThan(before);
    for (const { client } of clients) {
      fake.core.left(client);
      expect(client.belongings.size).toBe(0);
    }
    expect(scheduled()).toBe(before);
  });

  it('has bounds for what those cost that wait: their passwords, and what they have said behind', () => {
    const fake = proxy();
    guessed(fake);
    const long = Array.from({ length: 400 }, () => fake.client());
    const answers = long.map(({ say }) => say(command('AUTH', 'app', 'x'.repeat(16_000))));
    expect(answers.filter((text) => text === '').length).toBe(262);
    expect(answers.at(-1)).toMatch(/^-ERR too many logins wait/);
    for (const { client } of long) fake.core.left(client);
    // Nothing of theirs is left.
    const next = fake.client();
    expect(next.say(command('AUTH', 'app', 'x'.repeat(16_000)))).toBe('');
    const talker = fake.client();
    talker.say(command('AUTH', 'app', 'wrong') + command('PING').repeat(5000));
    fake.turn();
    expect(talker.client.closed).toBe(true);
  });

  it('holds nobody who logs in as another user', () => {
    const fake = proxy();
    guessed(fake);
    expect(fake.client().say(command('AUTH', 'other', 'p'))).toBe('+OK\r\n');
  });

  it('of many at once is one after another', () => {
    const fake = proxy();
    const all = Array.from({ length: 4 }, () => guessed(fake));
    const times = all.map(({ socket }) => {
      const { ms } = wait(fake, socket);
      return ms;
    });
    // Each waited for the one before, and then for itself.
    expect(times.reduce((sum, ms) => sum + ms, 0)).toBeGreaterThanOrEqual(4 * DELAY_MS);
    expect(fake.counter('downstream_auth_failure')).toBe(4);
  });

  it('is logged with user and address, never with the password, and not more than some a second', () => {
    const fake = proxy();
    const logged: Record<string, unknown>[] = [];
    fake.log = (_level, _message, fields?: Record<string, unknown>) => void logged.push(fields ?? {});
    for (let i = 0; i < 100; i++) fake.client().say(command('AUTH', `nobody\n${'x'.repeat(500)}`, 'hunter2'));
    for (let i = 0; i < 400; i++) fake.pass(1000);
    expect(JSON.stringify(logged)).not.toContain('hunter2');
    expect(logged[0]).toMatchObject({ client: '192.0.2.1:1234', user: `nobody?${'x'.repeat(57)}` });
    expect(fake.counter('downstream_auth_failure')).toBe(100);
  });
});

describe('another configuration', () => {
  it('gives a client what its user may do now, at once, without another login', () => {
    const { fake, say, client } = as('+@all ~* &*');
    reload(fake, user('app', ['another'], '+get ~a'));
    expect(say(command('SET', 'a', 'b'))).toBe(noCommand('app', 'set'));
    reload(fake, user('app', ['another'], '+@all ~* &*'));
    expect(client.guard).toBeNull();
    expect(say(command('SET', 'a', 'b'))).toBe('');
  });

  it.each([
    ['is gone', user('x', ['p'])],
    ['is disabled', user('app', ['p'], '+@all ~*', { enabled: false })],
    ['is off', user('app', ['p'], 'off +@all ~*')],
    ['may not come from there', user('app', ['p'], '+@all ~*', { sourceCidrs: ['198.51.100.1'] })],
  ])('disconnects a client whose user %s, and nobody else', (_, next) => {
    const { fake, socket } = as('+@all ~*');
    const other = fake.client();
    other.say(command('AUTH', 'default', 'x'));
    reload(fake, user('default', ['x']), next);
    expect(socket.terminated).toBe(true);
    expect(other.socket.terminated).toBe(false);
    expect(other.say(command('PING'))).toBe('+PONG\r\n');
  });

  it('disconnects a client that had needed no login and would need one now', () => {
    const fake = new FakeCore(1);
    const { say, socket } = fake.client();
    expect(say(command('PING'))).toBe('+PONG\r\n');
    reload(fake, user('default', ['p']));
    expect(socket.terminated).toBe(true);
  });

  it('lets in who waits for a login that is needed no more', () => {
    const fake = new FakeCore(1, users(user('default', ['p'])));
    const { say } = fake.client();
    expect(say(command('PING'))).toBe(NOAUTH);
    reload(fake, user('default', [], 'nopass +@all ~*'));
    expect(say(command('PING'))).toBe('+PONG\r\n');
  });

  it('ends a transaction that other rules allowed', () => {
    const { fake, say } = as('+@all ~*');
    expect(say(command('MULTI') + command('SET', 'a', 'b'))).toBe('+OK\r\n+QUEUED\r\n');
    reload(fake, user('default', ['x']), user('app', ['p'], '+get +@transaction ~*'));
    expect(say(command('EXEC'))).toMatch(/^-EXECABORT/);
  });

  it('disconnects a subscriber of what its user may not hear any more', () => {
    const { fake, say, socket } = as('+@all ~* &news &other');
    const two = fake.client();
    two.say(command('AUTH', 'app', 'p') + command('SUBSCRIBE', 'other'));
    say(command('SUBSCRIBE', 'news'));
    reload(fake, user('default', ['x']), user('app', ['p'], '+@all ~* &other'));
    expect(socket.terminated).toBe(true);
    expect(two.socket.terminated).toBe(false);
  });

  it('that says the same of users changes nothing', () => {
    const { fake, client } = as('+get ~a');
    const { guard } = client;
    reload(fake, user('default', ['x']), user('app', ['p'], '+get ~a'));
    expect(client.guard).toBe(guard);
    expect(guard).not.toBeNull();
  });
});
