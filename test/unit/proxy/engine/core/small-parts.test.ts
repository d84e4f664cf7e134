import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readRedirect } from '../../../../../src/proxy/engine/core/redirect.js';
import {
  acquireRequest,
  type Request,
  RequestState,
  releaseRequest,
} from '../../../../../src/proxy/engine/core/request.js';
import { NO_NODE, SlotMap } from '../../../../../src/proxy/engine/core/slot-map.js';
import { TokenBucket } from '../../../../../src/proxy/engine/core/token-bucket.js';
import { formatAddress } from '../../../../../src/proxy/engine/core/upstream-node.js';
import { SLOT_COUNT } from '../../../../../src/proxy/engine/hash/crc16.js';

describe('a token bucket', () => {
  it('allows the burst at once and the rate in the long run', () => {
    const bucket = new TokenBucket(50, 100, 0);
    const take = (ms: number) => bucket.take(ms);
    expect(Array.from({ length: 100 }, () => take(0)).every(Boolean)).toBe(true);
    expect(take(0)).toBe(false);
    expect(take(19)).toBe(false);
    expect(take(21)).toBe(true);
    expect(take(21)).toBe(false);
    let taken = 0;
    for (let ms = 22; ms <= 10_022; ms++) if (take(ms)) taken++;
    expect(taken).toBeGreaterThanOrEqual(499);
    expect(taken).toBeLessThanOrEqual(501);
  });

  it('never allows more than burst plus rate, whatever the clock does', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -50, max: 200 }), { maxLength: 200 }), (steps) => {
        const bucket = new TokenBucket(20, 5, 0);
        let now = 0;
        let latest = 0;
        let elapsed = 0;
        let taken = 0;
        for (const step of steps) {
          now += step;
          elapsed += Math.max(0, now - latest);
          latest = now;
          if (bucket.take(now)) taken++;
        }
        expect(taken).toBeLessThanOrEqual(5 + (elapsed * 20) / 1000 + 1e-6);
      }),
    );
  });
});

describe('the slot map', () => {
  it('begins without nodes, and is one memory for all who share it', () => {
    const memory = SlotMap.create();
    const one = new SlotMap(memory);
    const other = new SlotMap(memory);
    expect(one.covered()).toBe(0);
    expect(one.nodeOf(16383)).toBe(NO_NODE);
    const before = one.version();
    expect(other.assign(16383, 7)).toBe(true);
    expect(other.nodeOf(16383)).toBe(7);
    // Another thread goes on by what it has, until it looks: a command must not go by a map that was not looked at.
    expect(one.nodeOf(16383)).toBe(NO_NODE);
    expect(one.version()).toBeGreaterThan(before);
    expect(one.nodeOf(16383)).toBe(7);
    expect(one.covered()).toBe(1);
  });

  it('changes its version when, and only when, something changed', () => {
    const map = new SlotMap(SlotMap.create());
    const slots = new Uint16Array(SLOT_COUNT).fill(3);
    expect(map.replace(slots)).toBe(true);
    const first = map.version();
    expect(map.replace(slots)).toBe(false);
    expect(map.assign(5, 3)).toBe(false);
    expect(map.version()).toBe(first);
    expect(map.assign(5, 4)).toBe(true);
    const second = map.version();
    expect(second).toBeGreaterThan(first);
    expect(map.replace(slots)).toBe(true);
    expect(map.version()).toBeGreaterThan(second);
    expect(map.covered()).toBe(SLOT_COUNT);
  });
});

describe('reading a redirection', () => {
  const read = (text: string) => {
    const bytes = Buffer.from(`..-${text}\r\n..`, 'latin1');
    return readRedirect(bytes, 2, bytes.length - 2);
  };

  it.each([
    ['MOVED 3999 127.0.0.1:6381', { type: 'moved', slot: 3999, host: '127.0.0.1', port: 6381 }],
    ['ASK 0 host.example:1', { type: 'ask', slot: 0, host: 'host.example', port: 1 }],
    ['MOVED 16383 ::1:7000', { type: 'moved', slot: 16383, host: '::1', port: 7000 }],
    ['MOVED 1 [::1]:7000', { type: 'moved', slot: 1, host: '::1', port: 7000 }],
    ['MOVED 1 :7000', { type: 'moved', slot: 1, host: '', port: 7000 }],
    ['MOVED 1 ?:7000', { type: 'moved', slot: 1, host: '', port: 7000 }],
    ['TRYAGAIN Multiple keys', { type: 'retry', reason: 'tryagain' }],
    ['CLUSTERDOWN The cluster is down', { type: 'retry', reason: 'cluster_down' }],
    ['LOADING Redis is loading', { type: 'retry', reason: 'loading' }],
    ['MASTERDOWN Link with MASTER is down', { type: 'retry', reason: 'master_down' }],
    ["READONLY You can't write", { type: 'retry', reason: 'read_only' }],
  ])('understands %j', (text, redirect) => {
    expect(read(text)).toEqual(redirect);
  });

  it.each([
    'ERR unknown command',
    'WRONGTYPE Operation',
    'MOVED',
    'MOVED 1',
    'MOVED x 127.0.0.1:1',
    'MOVED -1 127.0.0.1:1',
    'MOVED  127.0.0.1:1',
    'MOVED 16384 127.0.0.1:1',
    'MOVED 1e3 127.0.0.1:1',
    'MOVED 1 127.0.0.1',
    'MOVED 1 127.0.0.1:',
    'MOVED 1 127.0.0.1:0',
    'MOVED 1 127.0.0.1:65536',
    'MOVED 1 127.0.0.1:0x10',
    'MOVEDX 1 127.0.0.1:1',
    'ASKING me',
    'TRYAGAINX',
    'moved 1 127.0.0.1:1',
    `MOVED 1 ${'x'.repeat(600)}:1`,
    '',
  ])('leaves %j to the client', (text) => {
    expect(read(text)).toBeNull();
  });

  it('never throws, and never gives a slot or a port out of range', () => {
    const words = fc.string({
      unit: fc.constantFrom('MOVED', 'ASK', ' ', ':', '-', '0', '9', '16384', '[', ']', 'x', '\xff'),
      maxLength: 12,
    });
    fc.assert(
      fc.property(words, (text) => {
        const redirect = read(text);
        if (redirect === null || redirect.type === 'retry') return;
        expect(redirect.slot).toBeGreaterThanOrEqual(0);
        expect(redirect.slot).toBeLessThan(SLOT_COUNT);
        expect(redirect.port).toBeGreaterThan(0);
        expect(redirect.port).toBeLessThan(65536);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('requests', () => {
  it('are never held by two at once, and come back empty', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 200 }), (steps) => {
        const held: Request[] = [];
        let newest = 0;
        for (const acquire of steps) {
          if (acquire) {
            const request = acquireRequest();
            expect(held).not.toContain(request);
            expect(request).toMatchObject({
              next: null,
              client: null,
              state: RequestState.waiting,
              slot: -1,
              attempts: 0,
            });
            expect(request).toMatchObject({ reply: null, earlier: null, fanout: null, parent: null, recovery: null });
            expect(request).toMatchObject({ asking: false, streaming: false, held: 0 });
            expect(request.order).toBeGreaterThan(newest);
            newest = request.order;
            Object.assign(request, { slot: 5, attempts: 3, asking: true, streaming: true, held: 7 });
            held.push(request);
          } else if (held.length > 0) releaseRequest(held.pop() as Request);
        }
        for (const request of held) releaseRequest(request);
      }),
      { numRuns: 100 },
    );
  });
});

describe('addresses of nodes', () => {
  it('have brackets around IPv6', () => {
    expect(formatAddress('127.0.0.1', 1)).toBe('127.0.0.1:1');
    expect(formatAddress('::1', 7000)).toBe('[::1]:7000');
  });
});
