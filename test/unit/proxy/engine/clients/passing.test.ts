import { describe, expect, it } from 'vitest';
import {
  isAtRest,
  isPassable,
  isPassableAfterWait,
  PASSED_INPUT_BYTES_MAX,
  PASSED_NAMES_MAX,
  PASSED_TOPICS_MAX,
  passedOf,
  subscriptionsOf,
  takeUp,
} from '../../../../../src/proxy/engine/clients/passing.js';
import { makeUnsure } from '../../../../../src/proxy/engine/core/doubts.js';
import { Hold } from '../../../../../src/proxy/engine/core/hold.js';
import { FakeCore } from '../support/fake-core.js';

const bulk = (text: string) => `$${text.length}\r\n${text}\r\n`;
const command = (...words: string[]) => `*${words.length}\r\n${words.map(bulk).join('')}`;

const cluster = () => {
  const fake = new FakeCore(3);
  fake.turn();
  return fake;
};

describe('a client that may be passed on', () => {
  it('is between two commands, held, and has said nothing that only this process knows', () => {
    const fake = cluster();
    const { client, say } = fake.client();
    expect(isPassable(client)).toBe(true);
    expect(isAtRest(client)).toBe(false);
    client.setHold(Hold.passing);
    expect(isAtRest(client)).toBe(true);
    client.liftHold(Hold.passing);
    fake.turn();
    expect(say(command('PING'))).toBe('+PONG\r\n');
  });

  it('is not at rest before its commands are answered', () => {
    const fake = cluster();
    const { client, say, socket } = fake.client();
    say(command('GET', 'hello'));
    client.setHold(Hold.passing);
    expect([isPassable(client), isAtRest(client)]).toEqual([true, false]);
    // What comes while it is held is kept, and goes with it.
    say(command('GET', 'later'));
    fake.answer('node0:7000', '$1\r\nx\r\n');
    expect(socket.take()).toBe('$1\r\nx\r\n');
    expect(isAtRest(client)).toBe(true);
    expect(Buffer.from(client.carry!).toString()).toContain('later');
  });

  it.each([
    ['in a transaction', command('MULTI')],
    ['watching', command('WATCH', 'hello')],
    ['blocked', command('BLPOP', 'hello', '0')],
    ['monitoring', command('MONITOR')],
  ])('is not one that is %s', (_, text) => {
    const { client, say } = cluster().client();
    say(text);
    expect(isPassable(client)).toBe(false);
  });

  it('is one that is subscribed, once a node has confirmed it', () => {
    const fake = cluster();
    const { client, say, socket } = fake.client();
    say(command('SUBSCRIBE', 'news'));
    expect([isPassable(client), subscriptionsOf(client)]).toEqual([true, null]);
    const { address } = fake.upstreams.at(-1)!;
    fake.answer(address, '*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n');
    fake.turn();
    expect(socket.take()).toContain('news');
    expect(subscriptionsOf(client)?.map(({ name }) => name)).toEqual(['news']);
    client.setHold(Hold.passing);
    expect([isPassable(client), isAtRest(client)]).toEqual([true, true]);
    expect(subscriptionsOf(fake.client().client)).toEqual([]);
  });

  it('is not one that is subscribed to more than can be told', () => {
    const fake = cluster();
    const { client, say } = fake.client();
    const names = Array.from({ length: PASSED_TOPICS_MAX + 1 }, (_, i) => `c${i}`);
    say(command('SUBSCRIBE', ...names));
    for (const { address, socket } of [...fake.upstreams]) {
      const asked = [...socket.take().matchAll(/SUBSCRIBE\r\n\$\d+\r\n(\w+)\r\n/g)].map(([, name]) => name);
      fake.answer(
        address,
        asked.map((name) => `*3\r\n$9\r\nsubscribe\r\n$${name!.length}\r\n${name}\r\n:1\r\n`).join(''),
      );
    }
    fake.turn();
    expect(isPassable(client)).toBe(false);
    say(command('UNSUBSCRIBE', 'c0'));
    expect([isPassable(client), subscriptionsOf(client)?.length]).toEqual([true, PASSED_TOPICS_MAX]);
  });

  it('is one that blocks, when it has what it waits for; until then its leaving is noticed', () => {
    const fake = cluster();
    const { client, say, socket } = fake.client();
    say(command('BLPOP', 'hello', '0'));
    expect([isPassable(client), isPassableAfterWait(client)]).toEqual([false, true]);
    client.setHold(Hold.passing);
    expect([socket.paused, isAtRest(client)]).toEqual([false, false]);
    // What it sends behind it is for the other process.
    say(command('GET', 'later'));
    for (const { address } of fake.upstreams.filter(({ socket: { sent } }) => String(sent).includes('BLPOP'))) {
      fake.answer(address, '*2\r\n$5\r\nhello\r\n$1\r\nx\r\n');
    }
    fake.turn();
    expect(socket.take()).toBe('*2\r\n$5\r\nhello\r\n$1\r\nx\r\n');
    expect([isPassable(client), isAtRest(client), socket.paused]).toEqual([true, true, true]);
    expect(Buffer.from(client.carry!).toString()).toContain('later');
    client.liftHold(Hold.passing);
    fake.turn();
    expect([client.carry, socket.paused]).toEqual([null, false]);
  });

  it.each([
    ['in a transaction', [command('MULTI'), command('BLPOP', 'hello', '0')]],
    ['not blocked', [command('GET', 'hello')]],
  ])('is not one after its wait that is %s', (_, texts) => {
    const { client, say } = cluster().client();
    for (const text of texts) say(text);
    expect(isPassableAfterWait(client)).toBe(false);
  });

  it('is not one with a name that is too long to be told', () => {
    const { client, say } = cluster().client();
    say(command('CLIENT', 'SETNAME', 'x'.repeat(PASSED_NAMES_MAX)));
    expect(isPassable(client)).toBe(true);
    say(command('CLIENT', 'SETINFO', 'LIB-NAME', 'y'));
    expect(isPassable(client)).toBe(false);
  });

  it('is not one that sends a long command', () => {
    const { client, say } = cluster().client();
    say(`*3\r\n$3\r\nSET\r\n$5\r\nhello\r\n$100000\r\n${'x'.repeat(PASSED_INPUT_BYTES_MAX)}`);
    expect(isPassable(client)).toBe(false);
  });
});

describe('a client that is taken up', () => {
  it('is what it was, and goes on with what it had begun to say', () => {
    const old = cluster();
    const before = old.client();
    before.say(command('SET', 'hello', 'x'));
    old.answer('node0:7000', '+OK\r\n');
    before.say(command('HELLO', '3', 'SETNAME', 'tester'));
    before.say(command('CLIENT', 'SETINFO', 'LIB-NAME', 'lib'));
    before.say('*1\r\n$4\r\nPI');
    const passed = structuredClone(passedOf(before.client));
    const input = Buffer.from(before.client.carry!).toString('latin1');

    const fake = cluster();
    const after = fake.client();
    expect(takeUp(fake.core, after.client, passed, input)).toBe(true);
    fake.turn();
    expect(after.say('NG\r\n')).toBe('+PONG\r\n');
    expect(after.client.proto).toBe(3);
    expect(after.client.details).toMatchObject({ name: 'tester', libName: 'lib' });
    expect(after.client.wrote).not.toBe(0);
  });

  it('is told by WAIT that nothing is known to be kept, when that was so before', () => {
    const old = cluster();
    const { client, say, socket } = old.client();
    say(command('SET', 'hello', 'x'));
    old.answer('node0:7000', '+OK\r\n');
    socket.take();
    expect(passedOf(client).unsure).toBe(false);
    makeUnsure(client);
    const fake = cluster();
    const after = fake.client();
    expect(takeUp(fake.core, after.client, structuredClone(passedOf(client)), '')).toBe(true);
    expect(after.say(command('WAIT', '1', '100'))).toBe(':0\r\n');
  });

  it('goes when its user may not come in any more', () => {
    const { client, say } = cluster().client();
    say(command('PING'));
    const passed = passedOf(client);
    const closed = new FakeCore(3, {
      access: {
        defaultUser: 'default',
        users: [
          {
            name: 'default',
            enabled: true,
            passwords: ['0'.repeat(64)],
            rules: '+@all ~* &*',
            readOnly: false,
            sourceCidrs: [],
          },
        ],
      },
    } as never);
    closed.turn();
    expect(takeUp(closed.core, closed.client().client, passed, '')).toBe(false);
    expect(takeUp(closed.core, closed.client().client, { ...passed, nopass: false }, '')).toBe(true);
    expect(takeUp(closed.core, closed.client().client, { ...passed, user: 'nobody' }, '')).toBe(false);
    // Who had not logged in yet has to.
    const late = closed.client();
    expect(takeUp(closed.core, late.client, { ...passed, user: null }, '')).toBe(true);
    expect(late.say(command('GET', 'x'))).toContain('NOAUTH');
  });
});
