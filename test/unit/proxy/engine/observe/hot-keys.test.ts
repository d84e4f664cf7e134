import { describe, expect, it } from 'vitest';
import { HotKeys } from '../../../../../src/proxy/engine/observe/hot-keys.js';
import { Ask } from '../../../../../src/proxy/engine/observe/observer.js';
import { Sampler } from '../../../../../src/proxy/engine/observe/sampler.js';
import { OBSERVE_TIMES } from '../../../../../src/proxy/engine/observe/settings.js';
import { FakeCore } from '../support/fake-core.js';
import { Random } from '../support/random.js';

const WINDOW_MS = 60_000;

function start() {
  const random = new Random(1);
  return new HotKeys(new Sampler(() => random.next()), 1000, WINDOW_MS, 0);
}

describe('an account of keys', () => {
  it('has every key with more than one in 512 of all accesses, among a million others', () => {
    const keys = start();
    const random = new Random(2);
    const exact = new Map<string, number>();
    for (let i = 0; i < 200_000; i++) {
      const hot = random.chance(0.3);
      const key = hot ? `hot${random.int(0, 29)}` : `cold${random.int(0, 1_000_000)}`;
      exact.set(key, (exact.get(key) ?? 0) + 1);
      keys.count(key, false, 1);
    }
    keys.tick(1000);
    const top = keys.top(1000);
    const found = top.slice(0, 30).map(({ key }) => key);
    expect(found.filter((key) => key.startsWith('hot'))).toHaveLength(30);
    for (const { key, per_second: perSecond, error } of top.slice(0, 30)) {
      expect(Math.abs(perSecond - exact.get(key)!), key).toBeLessThan(error + exact.get(key)! * 0.05);
    }
    expect(top.length).toBe(512);
  });

  it('tells writes', () => {
    const keys = start();
    for (let i = 0; i < 1000; i++) keys.count('counter', i % 4 === 0, 1);
    const [top] = keys.top(1000);
    expect(top!.writes_per_second / top!.per_second).toBeCloseTo(0.25, 5);
  });

  it('shows a steady rate as it is, from the beginning and for ever', () => {
    const keys = start();
    for (let ms = 0; ms <= 300_000; ms += 100) {
      for (let i = 0; i < 5; i++) keys.count('steady', false, 4);
      keys.tick(ms);
      if (ms === 3000 || ms === 30_000 || ms === 300_000) {
        const [{ per_second: perSecond }] = keys.top(ms) as unknown as [{ per_second: number }];
        expect(perSecond, `${ms}`).toBeGreaterThan(190);
        expect(perSecond, `${ms}`).toBeLessThan(215);
      }
    }
  });

  it('forgets: what was hot is gone some windows later', () => {
    const keys = start();
    for (let i = 0; i < 1000; i++) keys.count('past', false, 1);
    for (let ms = 0; ms < WINDOW_MS; ms += 1000) keys.tick(ms);
    expect(keys.top(WINDOW_MS)[0]!.per_second).toBeLessThan((1000 / 60) * 0.7);
    for (let ms = WINDOW_MS; ms < WINDOW_MS * 12; ms += 1000) keys.tick(ms);
    expect(keys.top(WINDOW_MS * 12)).toEqual([]);
  });
});

describe('a worker', () => {
  const OBSERVE = { ...OBSERVE_TIMES, hotKeySamples: 1000, hotKeysWindowMs: WINDOW_MS };

  /** So many commands a second for some seconds; one in ten is for the hot key. */
  function serve(perSecond: number, seconds: number) {
    const random = new Random(perSecond);
    const fake = new FakeCore(1, { observe: OBSERVE });
    fake.core.random = () => random.next();
    const { client, socket } = fake.client();
    fake.turn();
    const perTick = perSecond / 50;
    for (let tick = 0; tick < seconds * 50; tick++) {
      let text = '';
      for (let i = 0; i < perTick; i++) {
        const key = random.chance(0.1) ? 'hot' : `cold:${random.int(0, 100_000)}`;
        text += random.chance(0.5)
          ? `*2\r\n$3\r\nGET\r\n$${key.length}\r\n${key}\r\n`
          : `*2\r\n$4\r\nINCR\r\n$${key.length}\r\n${key}\r\n`;
      }
      client.received(Buffer.from(text));
      fake.turn();
      fake.answer('node0:7000', ':1\r\n'.repeat(perTick));
      socket.take();
      fake.pass(20);
    }
    const keys = fake.core.relay.answer(Ask.hotKeys, null) as ReturnType<HotKeys['top']>;
    return { keys, every: samplingEvery(fake) };
  }

  function samplingEvery(fake: FakeCore): number {
    const { samplings } = fake.core.sampler as unknown as { samplings: { sampling: { every: number } }[] };
    return samplings[0]!.sampling.every;
  }

  it('estimates the rate of a hot key within what it says, at any load', () => {
    for (const perSecond of [500, 5000, 50_000]) {
      const { keys, every } = serve(perSecond, 5);
      const [top] = keys;
      expect(top?.key).toBe('hot');
      expect(Math.abs(top!.per_second - perSecond / 10), `${perSecond}`).toBeLessThan(
        top!.error * 1.5 + perSecond * 0.01,
      );
      expect(Math.abs(top!.writes_per_second / top!.per_second - 0.5)).toBeLessThan(0.2);
      // It looks at about a thousand a second.
      expect(every).toBeGreaterThanOrEqual(Math.max(1, perSecond / 2000));
      expect(every).toBeLessThanOrEqual(Math.max(1, perSecond / 500));
    }
  });

  it('looks at few commands from the first moment of a flood on', () => {
    const fake = new FakeCore(1, { observe: OBSERVE });
    const { client } = fake.client();
    fake.turn();
    client.received(Buffer.from('*2\r\n$3\r\nGET\r\n$1\r\na\r\n'.repeat(10_000)));
    // 50 of each rate: all, every second, every fourth, …
    expect(samplingEvery(fake)).toBeGreaterThanOrEqual(64);
    expect(samplingEvery(fake)).toBeLessThanOrEqual(512);
  });

  it('looks at none when hot keys are off, and stops when they are turned off', () => {
    const fake = new FakeCore(1, { observe: OBSERVE });
    fake.turn();
    const { say } = fake.client();
    say('*2\r\n$3\r\nGET\r\n$1\r\na\r\n');
    expect(fake.core.relay.answer(Ask.hotKeys, null)).toHaveLength(0);
    fake.pass(1000);
    expect(fake.core.relay.answer(Ask.hotKeys, null)).toMatchObject([{ key: 'a' }]);
    fake.core.settings = { ...fake.core.settings, observe: OBSERVE_TIMES };
    fake.pass(20);
    expect(fake.core.relay.answer(Ask.hotKeys, null)).toEqual([]);
    expect(fake.core.sampler.left).toBeGreaterThan(1_000_000);
  });

  it('counts every key of a command that has several', () => {
    const fake = new FakeCore(1, { observe: OBSERVE });
    fake.turn();
    const { say } = fake.client();
    say('*3\r\n$4\r\nMGET\r\n$2\r\nk1\r\n$2\r\nk2\r\n');
    fake.pass(1000);
    const keys = fake.core.relay.answer(Ask.hotKeys, null) as { key: string }[];
    expect(keys.map(({ key }) => key).sort()).toEqual(['k1', 'k2']);
  });
});
