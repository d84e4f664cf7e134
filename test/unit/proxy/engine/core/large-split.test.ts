import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keySlot, SLOT_COUNT } from '../../../../../src/proxy/engine/hash/crc16.js';
import { type FakeClient, FakeCore } from '../support/fake-core.js';

const command = (...args: string[]) =>
  `*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join('')}`;

/** The commands in bytes that hold nothing else. */
function commands(text: string): string[][] {
  const parts = text.split('\r\n');
  const found: string[][] = [];
  for (let at = 0; parts[at] !== ''; ) {
    const count = Number(parts[at++].slice(1));
    found.push(Array.from({ length: count }, (_, i) => parts[at + 1 + 2 * i]));
    at += 2 * count;
  }
  return found;
}

/** Some keys have long values, some none. */
function storedOf(key: string): string {
  const number = Number(key.slice(1));
  if (number % 11 === 0) return '$-1\r\n';
  const value = `${key}.`.repeat(number % 97 === 0 ? 400 : 1 + (number % 17));
  return `$${value.length}\r\n${value}\r\n`;
}

const arrayOf = (values: readonly string[]) => `*${values.length}\r\n${values.join('')}`;
const isBroken = (key: string) => Number(key.slice(1)) % 389 === 0;
/** What a node says of one command; the slots of some keys are broken. */
function answer([, ...keys]: readonly string[]): string {
  return keys.some(isBroken) ? '-WRONGTYPE no\r\n' : arrayOf(keys.map(storedOf));
}

const slotOf = (key: string) => keySlot(Buffer.from(key), 0, key.length);

/** Nodes answer what they have got, in pieces of these sizes in turn. */
function serve(fake: FakeCore, nodes: readonly string[], sizes: readonly number[]): void {
  for (const node of nodes) {
    const text = commands(fake.upstream(node).socket.take()).map(answer).join('');
    for (let at = 0, turn = 0; at < text.length; turn++) {
      const size = sizes[turn % sizes.length];
      fake.answer(node, text.slice(at, at + size));
      at += size;
    }
  }
}

const NODES = ['node0:7000', 'node1:7000', 'node2:7000'];

describe('an MGET of many keys', () => {
  const key = fc.integer({ min: 1, max: 1000 }).map((number) => `k${number}`);
  const lists = fc.array(fc.array(key, { minLength: 400, maxLength: 1200 }), { minLength: 1, maxLength: 3 });
  const chunks = fc.array(fc.integer({ min: 200, max: 70_000 }), { minLength: 1, maxLength: 5 });

  it('gets every value in its place, however the replies are cut and whoever asks at the same time', () => {
    const fake = new FakeCore(3);
    const clients = Array.from({ length: 3 }, () => fake.client());
    fake.turn();
    fc.assert(
      fc.property(lists, chunks, (asked, sizes) => {
        const broken = asked.map((keys) => new Set(keys.filter(isBroken).map(slotOf)));
        for (const [i, keys] of asked.entries()) {
          fake.core.beginEvent();
          clients[i].client.received(Buffer.from(command('MGET', ...keys)));
        }
        fake.turn();
        serve(fake, NODES, sizes);
        for (const [i, keys] of asked.entries()) {
          const one = (name: string) => (broken[i].has(slotOf(name)) ? '-WRONGTYPE no\r\n' : storedOf(name));
          expect(clients[i].socket.take() === arrayOf(keys.map(one))).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });

  const many = Array.from({ length: 1000 }, (_, i) => `k${i * 1000 + 1}`).filter((name) => !isBroken(name));
  const expected = arrayOf(many.map(storedOf));
  const busy = (client: FakeClient) => client.say(command('MGET', ...many));

  it('follows the slots that have moved, one by one', () => {
    const fake = new FakeCore(2);
    const { socket, ...client } = fake.client();
    fake.turn();
    client.say(command('MGET', ...many));
    const moved = (name: string) => slotOf(name) < SLOT_COUNT / 2 && slotOf(name) % 10 === 0;
    const [first, second] = NODES;
    const answerOfFirst = (asked: readonly string[]) =>
      moved(asked[1]) ? `-MOVED ${slotOf(asked[1])} node1:7000\r\n` : answer(asked);
    fake.answer(second, commands(fake.upstream(second).socket.take()).map(answer).join(''));
    // What came with others is asked for once more on its own.
    for (let round = 0; round < 2; round++) {
      expect(socket.take()).toBe('');
      fake.answer(first, commands(fake.upstream(first).socket.take()).map(answerOfFirst).join(''));
    }
    fake.answer(second, commands(fake.upstream(second).socket.take()).map(answer).join(''));
    expect(socket.take() === expected).toBe(true);
  });

  it('is not overwritten by the next one while a connection has it still to send', () => {
    const fake = new FakeCore(1);
    const client = fake.client();
    fake.turn();
    const { socket } = fake.upstream(NODES[0]);
    socket.room = 1000;
    const alone = [...new Map(many.map((name) => [slotOf(name), name])).values()];
    client.say(command('MGET', ...alone));
    // A node that answers before it has the question: what is left of it must still be sent as it was.
    fake.answer(NODES[0], alone.map(() => '*1\r\n$-1\r\n').join(''));
    expect(client.socket.take()).toBe(arrayOf(alone.map(() => '$-1\r\n')));
    const other = alone.map((name) => name.replace('k', 'z'));
    client.say(command('MGET', ...other));
    socket.room = Number.POSITIVE_INFINITY;
    fake.upstream(NODES[0]).events.drained();
    fake.turn();
    const sent = commands(socket.take()).flatMap(([, ...keys]) => keys);
    expect(new Set(sent)).toEqual(new Set([...alone, ...other]));
  });

  it('keeps its reply for a client that reads slowly, while others get theirs', () => {
    const fake = new FakeCore(3);
    const slow = fake.client();
    const quick = fake.client();
    fake.turn();
    slow.socket.room = 10_000;
    busy(slow);
    serve(fake, NODES, [50_000]);
    const begun = slow.socket.take();
    for (let round = 0; round < 3; round++) {
      busy(quick);
      serve(fake, NODES, [50_000]);
      expect(quick.socket.take() === expected).toBe(true);
    }
    slow.socket.room = Number.POSITIVE_INFINITY;
    slow.client.drained();
    expect(begun + slow.socket.take() === expected).toBe(true);
  });
});
