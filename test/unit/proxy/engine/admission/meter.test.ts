import { describe, expect, it } from 'vitest';
import { ledgerBytes } from '../../../../../src/proxy/engine/admission/ledger.js';
import {
  type AdmissionSettings,
  NO_LIMITS,
  NO_USER_LIMITS,
} from '../../../../../src/proxy/engine/admission/settings.js';
import { Attention } from '../../../../../src/proxy/engine/clients/attention.js';
import { configure } from '../../../../../src/proxy/engine/core/configure.js';
import { DEFAULT_WORKER_LIMITS } from '../../../../../src/proxy/engine/core/limits.js';
import { type FakeClient, FakeCore } from '../support/fake-core.js';
import { encodeCommandText } from '../support/resp.js';

const say = (client: FakeClient, ...words: string[]) => client.say(encodeCommandText(words).toString('latin1'));
const REFUSED = "-ERR rate limit of user 'default' exceeded: 100 commands per second\r\n";

const perUser = (limits: Partial<typeof NO_USER_LIMITS>): AdmissionSettings => ({
  ...NO_LIMITS,
  perUser: { ...NO_USER_LIMITS, ...limits },
});

/** PINGs until one is refused; how many were served. */
function spend(client: FakeClient, most = 1000): number {
  for (let i = 0; i < most; i++) if (say(client, 'PING') !== '+PONG\r\n') return i;
  return most;
}

describe('commands of a user', () => {
  it('are served at the rate by workers together, and what one has not used another can', () => {
    const memory = new SharedArrayBuffer(ledgerBytes(2));
    const workers = [0, 1].map(
      (worker) =>
        new FakeCore(0, {
          worker,
          workers: 2,
          admission: perUser({ commandsPerSecond: 100 }),
          shared: { memory, nowMs: 1000 },
        }),
    ) as [FakeCore, FakeCore];
    const clients = workers.map((each) => each.client()) as [FakeClient, FakeClient];
    expect(say(clients[0], 'PING')).toBe('+PONG\r\n');
    // One of its lease of two is left, and goes back in time.
    expect(spend(clients[1])).toBeLessThanOrEqual(24);
    expect(say(clients[1], 'PING')).toBe(REFUSED);
    let served = 0;
    for (let ms = 0; ms < 5000; ms += 20) {
      for (const worker of workers) worker.pass(20);
      for (const client of clients) served += spend(client);
    }
    expect(served).toBeGreaterThan(495);
    expect(served).toBeLessThan(506);
    expect(workers[0].counter('downstream_rq_rate_limited')).toBeGreaterThan(0);
  });

  it('that have to wait for earlier ones are counted once', () => {
    const fake = new FakeCore(1, { admission: perUser({ commandsPerSecond: 100 }) });
    fake.turn();
    const client = fake.client();
    let served = 0;
    for (; served < 20; served++) {
      client.say(encodeCommandText(['GET', 'a']).toString('latin1'));
      if (fake.counter('downstream_rq_rate_limited') > 0) break;
      // RESET waits until GET is answered, and comes again.
      client.say(encodeCommandText(['RESET']).toString('latin1'));
      fake.answer('node0:7000', '$1\r\nx\r\n');
      expect(client.socket.take()).toBe('$1\r\nx\r\n+RESET\r\n');
    }
    // 25 at once, two of them in each round; three would be eight rounds.
    expect(served).toBeGreaterThanOrEqual(12);
    expect(served).toBeLessThanOrEqual(13);
  });

  it('are refused in MULTI as any other refused one, and EXEC with it', () => {
    const fake = new FakeCore(1, { admission: perUser({ commandsPerSecond: 100 }) });
    const client = fake.client();
    expect(say(client, 'MULTI')).toBe('+OK\r\n');
    while (say(client, 'SET', 'a', '1') === '+QUEUED\r\n');
    expect(say(client, 'EXEC')).toBe(`-EXECABORT Transaction discarded because of: ${REFUSED.slice(1)}`);
    expect(say(client, 'RESET')).toBe('+RESET\r\n');
  });

  it('are limited anew after a reload, and not at all when the limit is gone', () => {
    const fake = new FakeCore(1, {});
    const client = fake.client();
    expect(client.client.guard).toBeNull();
    const apply = (admission: AdmissionSettings) => {
      const { settings, router } = fake.core;
      const cluster = { settings: router.settings, keySpace: router.keySpace, slotMap: router.slotMap };
      configure(fake.core, {
        settings: { ...settings, admission },
        limits: DEFAULT_WORKER_LIMITS,
        clusters: [cluster],
      });
    };
    apply(perUser({ commandsPerSecond: 100 }));
    expect(spend(client)).toBe(25);
    apply(perUser({ commandsPerSecond: 1000 }));
    expect(spend(client)).toBeLessThan(300);
    apply(NO_LIMITS);
    expect(client.client.guard).toBeNull();
    expect(client.client.meter).toBeNull();
    expect(spend(client, 500)).toBe(500);
  });
});

describe('connections of a user that needs no login', () => {
  it('are refused with an error and closed, and come in when another leaves', () => {
    const fake = new FakeCore(0, { admission: perUser({ maxConnections: 1 }) });
    const first = fake.client();
    expect(say(first, 'PING')).toBe('+PONG\r\n');
    const second = fake.client();
    fake.turn();
    expect(second.socket.take()).toBe("-ERR max number of clients of user 'default' reached\r\n");
    expect(second.socket.ended).toBe(true);
    fake.core.left(second.client);
    expect(fake.counter('downstream_cx_user_overflow')).toBe(1);
    fake.core.left(first.client);
    expect(say(fake.client(), 'PING')).toBe('+PONG\r\n');
  });
});

describe('bytes of a user', () => {
  it('of replies are a debt that must be paid first', () => {
    const fake = new FakeCore(1, { admission: perUser({ bytesPerSecond: 10_000 }) });
    fake.turn();
    const client = fake.client();
    client.say(encodeCommandText(['GET', 'a']).toString('latin1'));
    fake.answer('node0:7000', `$20000\r\n${'x'.repeat(20_000)}\r\n`);
    client.socket.take();
    expect(say(client, 'PING')).toBe("-ERR rate limit of user 'default' exceeded: 10000 bytes per second\r\n");
    fake.pass(1500);
    expect(say(client, 'PING')).toContain('bytes per second');
    fake.pass(500);
    expect(say(client, 'PING')).toBe('+PONG\r\n');
    expect(fake.counter('downstream_rq_bytes_rate_limited')).toBe(2);
  });
});

describe('a client without limits', () => {
  it('has no guard, no meter, nothing to do in time, and no attention', () => {
    const fake = new FakeCore(1);
    const { client } = fake.client();
    expect(client.guard).toBeNull();
    expect(client.meter).toBeNull();
    expect(client.watch).toBeNull();
    expect(fake.core.attention & Attention.overload).toBe(0);
  });
});

describe('what clients cause', () => {
  it('is logged once a second, with how many there were', () => {
    const fake = new FakeCore(1);
    for (let i = 0; i < 50; i++) say(fake.client(), 'x');
    for (let i = 0; i < 50; i++) fake.client().say('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(fake.logged.filter((line) => line.includes('HTTP'))).toHaveLength(1);
    fake.pass(1100);
    fake.client().say('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(fake.logged.filter((line) => line.includes('HTTP'))).toHaveLength(2);
  });
});
