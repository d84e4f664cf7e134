import { describe, expect, it } from 'vitest';
import { OPEN_ACCESS } from '../../../../../src/proxy/engine/access/settings.js';
import { configure } from '../../../../../src/proxy/engine/core/configure.js';
import type { WorkerSettings } from '../../../../../src/proxy/engine/core/settings.js';
import { FakeCore } from '../support/fake-core.js';
import { encodeCommandText } from '../support/resp.js';

const WRONG = '-WRONGPASS invalid username-password pair or user is disabled.\r\n';
const say = (...args: string[]) => encodeCommandText(args);
const text = (...args: string[]) => say(...args).toString('latin1');

function passThrough(nodes = 1, usersMax = 10, checkIntervalMs = 1000): FakeCore {
  const fake = new FakeCore(nodes, {
    upstreamAuth: { checkIntervalMs, usersMax },
    access: { users: [], defaultUser: 'default', failureDelayMs: 0 },
  });
  fake.turn();
  return fake;
}

/** Says AUTH, and has the only node accept it. */
function logIn(fake: FakeCore, user: string, password = 'secret') {
  const client = fake.client();
  expect(client.say(say('AUTH', user, password))).toBe('');
  fake.answer('node0:7000', '+OK\r\n');
  expect(client.socket.take()).toBe('+OK\r\n');
  return client;
}

describe('a login that Redis checks', () => {
  it('goes over a connection of its own, and the commands over one that is logged in as the user', () => {
    const fake = passThrough();
    const [own] = fake.upstreams;
    const alice = logIn(fake, 'alice');
    const check = fake.upstream('node0:7000');
    expect(check.socket.take()).toBe(text('AUTH', 'alice', 'secret'));
    expect(alice.say(say('GET', 'key'))).toBe('');
    const hers = fake.upstream('node0:7000');
    expect(hers).not.toBe(check);
    expect(hers.socket.take()).toBe(text('AUTH', 'alice', 'secret'));
    fake.answer('node0:7000', '+OK\r\n');
    expect(hers.socket.take()).toBe(text('GET', 'key'));
    fake.answer('node0:7000', '-NOPERM no\r\n');
    expect(alice.socket.take()).toBe('-NOPERM no\r\n');
    expect(own?.socket.take()).toBe('');
  });

  it('shares connections with those of the same user and password, and with nobody else', () => {
    const fake = passThrough();
    const first = logIn(fake, 'alice');
    first.say(say('GET', 'key'));
    fake.answer('node0:7000', '+OK\r\n');
    fake.answer('node0:7000', '$1\r\nx\r\n');
    expect(first.socket.take()).toBe('$1\r\nx\r\n');
    const connections = fake.upstreams.length;
    const alices = fake.upstream('node0:7000');
    const socket = fake.client();
    const check = fake.upstreams.at(-2);
    socket.say(say('AUTH', 'alice', 'secret'));
    check?.events.received(Buffer.from('+OK\r\n'));
    fake.turn();
    expect(socket.socket.take()).toBe('+OK\r\n');
    alices.socket.take();
    socket.say(say('GET', 'other'));
    expect(fake.upstreams.length).toBe(connections);
    expect(alices.socket.take()).toBe(text('GET', 'other'));
    const third = fake.client();
    third.say(say('AUTH', 'alice', 'another secret'));
    check?.events.received(Buffer.from('+OK\r\n'));
    fake.turn();
    third.say(say('GET', 'key'));
    expect(fake.upstreams.length).toBe(connections + 1);
    expect(fake.counter('upstream_user_active')).toBe(2);
  });

  it('holds what the client sends behind it', () => {
    const fake = passThrough();
    const client = fake.client();
    expect(client.say(Buffer.concat([say('AUTH', 'alice', 'wrong'), say('GET', 'key'), say('QUIT')]))).toBe('');
    fake.answer('node0:7000', WRONG);
    expect(client.socket.take()).toBe(`${WRONG}-NOAUTH Authentication required.\r\n+OK\r\n`);
    expect(fake.counter('downstream_auth_failure')).toBe(1);
  });

  it('is refused only when every master refuses it', () => {
    const fake = passThrough(3);
    const client = fake.client();
    client.say(say('AUTH', 'alice', 'secret'));
    const asked: string[] = [];
    for (let i = 0; i < 3; i++) {
      const { address, socket } = fake.upstreams.at(-1) as (typeof fake.upstreams)[number];
      asked.push(address);
      expect(socket.take()).toBe(text('AUTH', 'alice', 'secret'));
      fake.answer(address, i < 2 ? WRONG : '+OK\r\n');
    }
    expect(new Set(asked).size).toBe(3);
    expect(client.socket.take()).toBe('+OK\r\n');
  });

  it('that no node answers is said to be just that', () => {
    const fake = passThrough();
    const client = fake.client();
    client.say(say('AUTH', 'alice', 'secret'));
    fake.pass(5500);
    expect(client.socket.take()).toBe('-ERR the login could not be checked: no upstream host answered\r\n');
    expect(client.say(say('GET', 'key'))).toBe('-NOAUTH Authentication required.\r\n');
  });

  it('ends quietly for a client that has left meanwhile', () => {
    const fake = passThrough();
    const client = fake.client();
    client.say(say('AUTH', 'alice', 'secret'));
    fake.core.left(client.client);
    fake.answer('node0:7000', '+OK\r\n');
    expect(fake.counter('upstream_user_active')).toBe(0);
  });

  it('of one user too many is refused until another has no clients', () => {
    const fake = passThrough(1, 1);
    const alice = logIn(fake, 'alice');
    const bob = fake.client();
    bob.say(say('AUTH', 'bob', 'secret'));
    fake.answer('node0:7000', '+OK\r\n');
    expect(bob.socket.take()).toBe('-ERR max number of upstream users reached\r\n');
    expect(fake.counter('upstream_user_overflow')).toBe(1);
    fake.core.left(alice.client);
    bob.say(say('AUTH', 'bob', 'secret'));
    fake.answer('node0:7000', '+OK\r\n');
    expect(bob.socket.take()).toBe('+OK\r\n');
    expect(fake.counter('upstream_user_active')).toBe(1);
  });
});

describe('the connections of a user', () => {
  /** Alice has one, and no command on it. */
  function connected() {
    const fake = passThrough(1, 10, 60_000);
    const alice = logIn(fake, 'alice');
    alice.say(say('GET', 'key'));
    fake.answer('node0:7000', '+OK\r\n');
    fake.answer('node0:7000', '$1\r\nx\r\n');
    alice.socket.take();
    return { fake, alice, hers: fake.upstream('node0:7000') };
  }

  it('are closed when nobody has been logged in as the user for a while', () => {
    const { fake, alice, hers } = connected();
    fake.core.left(alice.client);
    fake.pass(fake.core.limits.upstreamUserIdleMs - 1000);
    expect(hers.socket.terminated).toBe(false);
    fake.pass(1200);
    expect(hers.socket.terminated).toBe(true);
    expect(fake.counter('upstream_user_active')).toBe(0);
    expect(fake.refreshes).not.toContain('connection_lost');
  });

  it('of one that is gone serve nobody after it', () => {
    const { fake, alice } = connected();
    const { laneId } = alice.client;
    fake.core.left(alice.client);
    fake.pass(fake.core.limits.upstreamUserIdleMs + 200);
    const bob = logIn(fake, 'bob');
    expect(bob.client.laneId).not.toBe(laneId);
    const [node] = [...fake.core.router.nodes()];
    const stale = node?.lane(laneId);
    stale?.connect();
    fake.turn();
    expect(stale?.state).toBe(0);
    expect(node?.openLanes()).not.toContain(stale);
  });

  it('a client without a login finds none, whatever it comes to send', () => {
    const { fake } = connected();
    const nobody = fake.client().client;
    const [node] = [...fake.core.router.nodes()];
    for (const proto of [2, 3]) {
      nobody.proto = proto;
      expect(nobody.proto).toBe(proto);
      const lane = node?.lane(nobody.laneId);
      lane?.connect();
      expect(lane?.state).toBe(0);
    }
  });
});

describe('a user is checked again', () => {
  it('within every interval; when Redis refuses it its clients go', () => {
    const fake = passThrough();
    const alice = logIn(fake, 'alice');
    const check = fake.upstream('node0:7000');
    check.socket.take();
    for (let i = 0; i < 3; i++) {
      fake.pass(1100);
      expect(check.socket.take()).toBe(text('AUTH', 'alice', 'secret'));
      check.events.received(Buffer.from('+OK\r\n'));
    }
    fake.pass(1100);
    // It is refused where it was asked, and then by every master.
    check.events.received(Buffer.from(WRONG));
    fake.turn();
    expect(alice.socket.terminated).toBe(true);
    expect(fake.counter('upstream_user_revoked')).toBe(1);
    expect(fake.logged.join()).toContain('Redis does not accept a user any more');
    expect(fake.logged.join()).not.toContain('secret');
  });

  it('and stays when no node answers', () => {
    const fake = passThrough();
    const alice = logIn(fake, 'alice');
    fake.pass(8000);
    expect(alice.socket.terminated).toBe(false);
    expect(fake.counter('upstream_auth_check_failure')).toBeGreaterThan(0);
  });
});

describe('a command that the proxy serves itself', () => {
  it('is asked of Redis in a form that changes nothing, once in an interval', () => {
    const fake = passThrough();
    const alice = logIn(fake, 'alice');
    expect(alice.say(say('CLIENT', 'KILL', 'ID', '7'))).toBe('');
    const hers = fake.upstream('node0:7000');
    hers.socket.take();
    fake.answer('node0:7000', '+OK\r\n');
    expect(hers.socket.take()).toBe(text('CLIENT', 'KILL', '-'));
    fake.answer('node0:7000', '-NOPERM no kill\r\n');
    expect(alice.socket.take()).toBe('-NOPERM no kill\r\n');
    expect(alice.say(say('CLIENT', 'KILL', 'ID', '7'))).toBe('-NOPERM no kill\r\n');
    expect(alice.say(Buffer.concat([say('PING'), say('PING')]))).toBe('');
    expect(hers.socket.take()).toBe(text('PING'));
    fake.answer('node0:7000', '+PONG\r\n');
    expect(alice.socket.take()).toBe('+PONG\r\n+PONG\r\n');
  });
});

describe('a reload', () => {
  const reload = (fake: FakeCore, settings: Partial<WorkerSettings>) => {
    const { core } = fake;
    const { settings: cluster, keySpace, slotMap } = core.router;
    configure(core, {
      settings: { ...core.settings, ...settings },
      limits: core.limits,
      clusters: [{ settings: cluster, keySpace, slotMap }],
    });
    fake.turn();
  };

  it('to pass-through disconnects who was let in without it, and lets nobody in', () => {
    const fake = new FakeCore(1);
    fake.turn();
    const open = fake.client();
    open.say(say('GET', 'key'));
    fake.answer('node0:7000', '$-1\r\n');
    expect(open.socket.take()).toBe('$-1\r\n');
    reload(fake, {
      upstreamAuth: { checkIntervalMs: 1000, usersMax: 10 },
      access: { users: [], defaultUser: 'default', failureDelayMs: 0 },
    });
    expect(open.socket.terminated).toBe(true);
    const client = fake.client();
    expect(client.say(say('GET', 'key'))).toBe('-NOAUTH Authentication required.\r\n');
  });

  it('away from it leaves clients the rights that they have until they log in anew', () => {
    const fake = passThrough();
    const alice = logIn(fake, 'alice');
    reload(fake, { upstreamAuth: null, access: OPEN_ACCESS });
    expect(alice.socket.terminated).toBe(false);
    alice.say(say('GET', 'key'));
    const hers = fake.upstream('node0:7000');
    expect(hers.socket.take()).toBe(text('AUTH', 'alice', 'secret'));
    fake.answer('node0:7000', '+OK\r\n');
    fake.answer('node0:7000', '$-1\r\n');
    expect(alice.socket.take()).toBe('$-1\r\n');
    expect(alice.say(say('AUTH', 'default', 'x'))).toBe('+OK\r\n');
    expect(alice.client.identity).toBe(null);
    expect(alice.client.laneId).toBe(0);
  });
});
