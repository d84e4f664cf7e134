import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../../../../src/proxy/engine/commands/table.generated.js';
import type { FaultSettings } from '../../../../../src/proxy/engine/faults/settings.js';
import { commandStatAt } from '../../../../../src/proxy/engine/stats.js';
import { FakeCore } from '../support/fake-core.js';

const NODE = 'node0:7000';
const FAULT = '-Fault Injected: Error\r\n';

const encode = (...args: string[]) =>
  `*${args.length}\r\n${args.map((arg) => `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`).join('')}`;
const GET = encode('GET', 'k');

const fault = (given: Partial<FaultSettings>): FaultSettings => ({
  type: 'ERROR',
  fraction: 1,
  delayMs: 0,
  commands: [],
  ...given,
});

function start(...faults: FaultSettings[]) {
  const fake = new FakeCore(1, { faults });
  fake.turn();
  fake.upstream(NODE).socket.take();
  const stat = (name: string, which: number) =>
    fake.stats[commandStatAt(COMMANDS.findIndex((each) => each.name === name)) + which];
  return {
    fake,
    client: fake.client(),
    sent: () => fake.upstream(NODE).socket.take(),
    errorFaults: (name: string) => stat(name, 2),
    delayFaults: (name: string) => stat(name, 3),
    configure(...other: FaultSettings[]) {
      fake.core.settings = { ...fake.core.settings, faults: other };
      for (const follow of fake.core.followers) follow();
    },
  };
}

describe('an ERROR fault', () => {
  it("answers with Envoy's text, and the node is not asked", () => {
    const { client, sent, errorFaults, fake } = start(fault({ commands: ['get'] }));
    expect(client.say(GET)).toBe(FAULT);
    expect(sent()).toBe('');
    expect([errorFaults('get'), fake.counter('downstream_rq_total')]).toEqual([1, 1]);
  });

  it('leaves other commands alone', () => {
    const { client, sent } = start(fault({ commands: ['get'] }));
    expect(client.say(encode('SET', 'k', 'v'))).toBe('');
    expect(sent()).toBe(encode('SET', 'k', 'v'));
  });

  it('keeps its place in a pipeline', () => {
    const { client, fake } = start(fault({ commands: ['get'] }));
    expect(client.say(encode('SET', 'k', 'v') + GET + encode('INCR', 'n'))).toBe('');
    fake.answer(NODE, '+OK\r\n:1\r\n');
    expect(client.socket.take()).toBe(`+OK\r\n${FAULT}:1\r\n`);
  });

  it('comes late when it has a delay', () => {
    const { client, fake, delayFaults } = start(fault({ delayMs: 100 }));
    expect(client.say(GET)).toBe('');
    fake.pass(80);
    expect(client.socket.take()).toBe('');
    fake.pass(60);
    expect(client.socket.take()).toBe(FAULT);
    expect(delayFaults('get')).toBe(0);
  });

  it('for a container is for all of its parts', () => {
    const { client } = start(fault({ commands: ['object'] }));
    expect(client.say(encode('OBJECT', 'ENCODING', 'k'))).toBe(FAULT);
  });
});

describe('a DELAY fault', () => {
  it('sends the command at once and holds its reply back', () => {
    const { client, fake, sent, delayFaults } = start(fault({ type: 'DELAY', delayMs: 100 }));
    client.say(GET);
    expect(sent()).toBe(GET);
    fake.answer(NODE, '$1\r\nv\r\n');
    fake.pass(80);
    expect(client.socket.take()).toBe('');
    fake.pass(60);
    expect(client.socket.take()).toBe('$1\r\nv\r\n');
    expect([delayFaults('get'), fake.core.faults.waiting]).toEqual([1, 0]);
  });

  it('comes on top of what the node takes', () => {
    const { client, fake } = start(fault({ type: 'DELAY', delayMs: 100 }));
    client.say(GET);
    fake.pass(400);
    fake.core.beginEvent();
    fake.answer(NODE, '$1\r\nv\r\n');
    fake.pass(80);
    expect(client.socket.take()).toBe('');
    fake.pass(80);
    expect(client.socket.take()).toBe('$1\r\nv\r\n');
  });

  it('delays all of a pipeline together, in its order', () => {
    const { client, fake } = start(fault({ type: 'DELAY', delayMs: 100, commands: ['get'] }));
    client.say(GET.repeat(50) + encode('INCR', 'n'));
    fake.answer(NODE, `${Array.from({ length: 50 }, (_, i) => `:${i}\r\n`).join('')}:50\r\n`);
    fake.pass(80);
    expect(client.socket.take()).toBe('');
    fake.pass(80);
    expect(client.socket.take()).toBe(Array.from({ length: 51 }, (_, i) => `:${i}\r\n`).join(''));
    expect(client.client.pending).toBe(0);
  });

  it('holds nobody up when its client has left', () => {
    const { client, fake } = start(fault({ type: 'DELAY', delayMs: 100 }));
    const other = fake.client();
    client.say(GET);
    fake.core.left(client.client);
    fake.answer(NODE, ':1\r\n');
    fake.pass(140);
    expect(fake.core.faults.waiting).toBe(0);
    other.say(GET);
    fake.answer(NODE, ':2\r\n');
    fake.pass(140);
    expect(other.socket.take()).toBe(':2\r\n');
  });
});

describe('faults', () => {
  it('are left out where they would break what a client is in the middle of', () => {
    const { client, fake } = start(fault({}));
    expect(client.say(encode('PING'))).toBe('+PONG\r\n');
    expect(client.say(encode('MULTI'))).toBe('+OK\r\n');
    expect(client.say(GET)).toBe('+QUEUED\r\n');
    expect(client.say(encode('DISCARD'))).toBe('+OK\r\n');
    const others = [encode('SUBSCRIBE', 'c'), encode('BLPOP', 'l', '0')];
    for (const other of others) expect(fake.client().say(other)).not.toContain('Fault');
  });

  it('come and go with a reload, and cost nothing without', () => {
    const { client, configure, fake } = start();
    expect(fake.core.attention).toBe(0);
    configure(fault({ commands: ['get'] }));
    expect(client.say(GET)).toBe(FAULT);
    configure(fault({ fraction: 0 }));
    expect(fake.core.attention).toBe(0);
    expect(client.say(GET)).toBe('');
  });

  it('share one draw: together they are their sum', () => {
    const { client, fake, errorFaults, delayFaults } = start(
      fault({ fraction: 0.3, commands: ['get'] }),
      fault({ type: 'DELAY', delayMs: 20, fraction: 0.2 }),
    );
    const commands = 20_000;
    for (let i = 0; i < commands; i++) {
      client.say(GET);
      if (fake.upstream(NODE).socket.take() !== '') fake.answer(NODE, ':1\r\n');
      if (i % 100 === 0) fake.pass(60);
    }
    fake.pass(60);
    // Five standard deviations.
    expect(Math.abs((errorFaults('get') as number) / commands - 0.3)).toBeLessThan(0.017);
    expect(Math.abs((delayFaults('get') as number) / commands - 0.2)).toBeLessThan(0.015);
    expect(client.client.pending).toBe(0);
  });
});
