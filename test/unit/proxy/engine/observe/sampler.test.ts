import { describe, expect, it } from 'vitest';
import { FakeCore } from '../support/fake-core.js';
import { Random } from '../support/random.js';

const COMMANDS = 100_000;

/** A core with a seeded choice, and a client whose commands are answered here. */
function start(seed: number) {
  const fake = new FakeCore(1);
  const random = new Random(seed);
  fake.core.random = () => random.next();
  const { client } = fake.client();
  const ping = Buffer.from('*1\r\n$4\r\nPING\r\n'.repeat(100));
  const give = (commands: number) => {
    for (let i = 0; i < commands; i += 100) {
      client.received(ping);
      fake.turn();
    }
  };
  return { fake, sampler: fake.core.sampler, give };
}

/** So many chosen of so many, at that rate, lie within five standard deviations. */
function expectRate(chosen: number, commands: number, every: number): void {
  const mean = commands / every;
  expect(Math.abs(chosen - mean)).toBeLessThan(5 * Math.sqrt(mean * (1 - 1 / every)) + 1);
}

describe('a sampler', () => {
  it('chooses one command in so many, on average', () => {
    for (const [seed, every] of [
      [1, 2],
      [2, 10],
      [3, 100],
      [4, 5000],
    ] as const) {
      const { sampler, give } = start(seed);
      let chosen = 0;
      sampler.add({ every, came: () => chosen++ });
      give(COMMANDS);
      expectRate(chosen, COMMANDS, every);
    }
  });

  it('shows every command to whoever wants all of them', () => {
    const { sampler, give } = start(5);
    let came = 0;
    let sent = 0;
    sampler.add({ every: 1, came: () => came++, sent: () => sent++ });
    give(1000);
    expect([came, sent]).toEqual([1000, 1000]);
  });

  it('does not choose in step with the commands: distances differ', () => {
    const { sampler, fake } = start(6);
    const { client } = fake.client();
    const distances = new Map<number, number>();
    let at = 0;
    let last = 0;
    sampler.add({
      every: 8,
      came: () => {
        distances.set(at - last, (distances.get(at - last) ?? 0) + 1);
        last = at;
      },
    });
    for (at = 1; at <= 20_000; at++) {
      client.received(Buffer.from('*1\r\n$4\r\nPING\r\n'));
      fake.turn();
    }
    // Geometric: the next command is the likeliest, and what is far away is rare.
    const all = [...distances.values()].reduce((sum, count) => sum + count, 0);
    expect((distances.get(1) ?? 0) / all).toBeGreaterThan(0.09);
    expect((distances.get(1) ?? 0) / all).toBeLessThan(0.16);
    const far = [...distances].filter(([distance]) => distance > 16).reduce((sum, [, count]) => sum + count, 0);
    expect(far / all).toBeGreaterThan(0.06);
    expect(far / all).toBeLessThan(0.2);
  });

  it('serves several at once, each at its own rate and independent of the others', () => {
    const { sampler, give } = start(7);
    const every = [3, 50, 50, 1000];
    const chosen = every.map(() => 0);
    let together = 0;
    let turn = -1;
    every.forEach((each, index) => {
      sampler.add({
        every: each,
        came: () => {
          chosen[index]!++;
          if (index === 1) turn = chosen[0]! + chosen[1]!;
          if (index === 2 && turn === chosen[0]! + chosen[1]!) together++;
        },
      });
    });
    give(COMMANDS);
    for (const [index, each] of every.entries()) expectRate(chosen[index]!, COMMANDS, each);
    // Two of the same rate do not always choose the same.
    expect(together).toBeLessThan(chosen[2]! / 2);
  });

  it('keeps the rates of the others when one comes or goes', () => {
    const { sampler, give } = start(8);
    let steady = 0;
    sampler.add({ every: 40, came: () => steady++ });
    let passing = 0;
    for (let round = 0; round < 100; round++) {
      const guest = { every: 7, came: () => passing++ };
      sampler.add(guest);
      give(500);
      sampler.remove(guest);
      give(500);
    }
    expectRate(steady, 100_000, 40);
    expectRate(passing, 50_000, 7);
  });

  it('shows nothing to whoever has been removed, and may be told twice', () => {
    const { sampler, give } = start(9);
    let seen = 0;
    const sampling = { every: 1, came: () => seen++ };
    sampler.add(sampling);
    give(100);
    sampler.remove(sampling);
    sampler.remove(sampling);
    give(1000);
    expect(seen).toBe(100);
  });

  it('lets commands through when nobody looks', () => {
    const { fake } = start(10);
    const { say } = fake.client();
    expect(say('*1\r\n$4\r\nPING\r\n'.repeat(1000))).toBe('+PONG\r\n'.repeat(1000));
    expect(fake.counter('downstream_rq_total')).toBe(1000);
  });

  it('says which request a command became, and null for what was answered at once', () => {
    const { fake, sampler } = start(11);
    const { say } = fake.client();
    fake.turn();
    const seen: (string | null)[] = [];
    sampler.add({ every: 1, sent: (_client, entry, request) => seen.push(request === null ? null : entry.name) });
    say('*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n');
    expect(seen).toEqual([null, 'get', 'set']);
  });
});
