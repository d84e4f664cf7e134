import { describe, expect, it } from 'vitest';
import { checkSameShape, newShape } from '../../../src/local/shape.js';
import type { ClusterState } from '../../../src/local/state.js';

describe('the shape of a new cluster', () => {
  it('has three masters, a replica each, and a proxy, when nothing is said', () => {
    expect(newShape({})).toEqual({
      masters: 3,
      replicas: 1,
      runtime: 'process',
      basePort: 7001,
      proxy: { port: 7379, adminPort: 9901 },
    });
  });

  it('has all ports chosen with --base-port auto, but for those that are given', () => {
    expect(newShape({ basePort: 'auto' }).proxy).toEqual({ port: 'auto', adminPort: 'auto' });
    expect(newShape({ basePort: 'auto', proxyPort: 6380 }).proxy).toEqual({ port: 6380, adminPort: 'auto' });
  });

  it('is so many servers without replicas with --sharded', () => {
    expect(newShape({ sharded: 1, basePort: 'auto' })).toEqual({
      sharded: true,
      masters: 1,
      replicas: 0,
      runtime: 'process',
      basePort: 'auto',
      proxy: { port: 'auto', adminPort: 'auto' },
    });
  });

  it('has no proxy with --no-proxy', () => {
    expect(newShape({ proxy: false }).proxy).toBeNull();
  });

  it.each([
    [{ masters: 2 }, /at least 3 masters/],
    [{ replicas: -1 }, /0 or more/],
    [{ sharded: 0 }, /1 or more/],
    [{ sharded: 101 }, /101 nodes are more than 100/],
    [{ sharded: 3, masters: 3 }, /--sharded and --masters exclude each other/],
    [{ sharded: 3, replicas: 1, proxy: false }, /--sharded and --replicas and --no-proxy exclude/],
    [{ masters: 50, replicas: 2 }, /150 nodes are more than 100/],
  ])('cannot be %j', (asked, message) => {
    expect(() => newShape(asked)).toThrow(message);
  });
});

describe('an existing cluster', () => {
  const state: ClusterState = {
    version: 1,
    createdAt: '2026-11-21T00:00:00.000Z',
    runtime: 'process',
    masters: 3,
    replicas: 1,
    nodePorts: [7001, 7002, 7003, 7004, 7005, 7006],
    proxy: { port: 7379, adminPort: 9901 },
    formed: true,
  };

  it.each([
    {},
    { masters: 3, replicas: 1, basePort: 7001, proxyPort: 7379, adminPort: 9901, proxy: true },
    { basePort: 'auto', proxyPort: 'auto' },
    { runtime: 'process' },
  ] as const)('is what was asked for by %j', (asked) => {
    expect(() => checkSameShape(asked, state, 'local')).not.toThrow();
  });

  it('of another shape is refused, with every difference and the ways out', () => {
    expect(() => checkSameShape({ masters: 4, basePort: 8001, proxy: false }, state, 'local')).toThrow(
      expect.objectContaining({
        kind: 'refused',
        message: expect.stringMatching(/--masters 4, but it has 3; --base-port 8001, but it has 7001; --no-proxy/),
        next: expect.arrayContaining([expect.stringContaining('forge down --purge --name local')]),
      }),
    );
  });

  it('without a proxy may be given one later', () => {
    expect(() => checkSameShape({ proxyPort: 6380 }, { ...state, proxy: null }, 'local')).not.toThrow();
  });
});
