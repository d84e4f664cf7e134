import { describe, expect, it } from 'vitest';
import { compareVersions, parseServerVersion, serverVersionOf } from '../../../src/redis-config/version.js';

describe('the version of a server', () => {
  it.each([
    ['7.0', 'redis', 7, 0, '7.0'],
    ['8.0.6', 'redis', 8, 0, '8.0.6'],
    ['8', 'redis', 8, 0, '8'],
    ['8.10', 'redis', 8, 10, '8.10'],
    ['v8.2', 'redis', 8, 2, '8.2'],
    ['redis-8.0', 'redis', 8, 0, '8.0'],
    ['8.0-alpine', 'redis', 8, 0, '8.0-alpine'],
    ['valkey-9.1', 'valkey', 9, 1, 'valkey-9.1'],
    ['valkey-7.2', 'valkey', 7, 2, 'valkey-7.2'],
  ])('is read as people write it: %s', (text, product, major, minor, kept) => {
    expect(parseServerVersion(text)).toEqual({ product, major, minor, text: kept });
  });

  it.each(['', 'latest', '8.x', '8.0.6.1', '8.0 extra', 'keydb-6.3', '8.0\n7.0', `8.0-${'x'.repeat(40)}`])(
    'is refused when it is none: %j',
    (text) => {
      expect(() => parseServerVersion(text)).toThrow(/no version/);
    },
  );

  it.each(['6.2', '5', 'valkey-7.0', 'valkey-6'])('is refused when it is too old: %s', (text) => {
    expect(() => parseServerVersion(text)).toThrow(/too old/);
  });

  it('is told by servers themselves', () => {
    expect(serverVersionOf('Redis server v=7.0.15 sha=0:0 malloc=libc bits=64')).toMatchObject({ text: '7.0' });
    expect(serverVersionOf('Valkey server v=9.1.2 sha=0:0')).toMatchObject({ product: 'valkey', text: 'valkey-9.1' });
    // Valkey says a version of Redis as well, for old clients.
    expect(serverVersionOf('redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2')).toMatchObject({
      product: 'valkey',
      major: 9,
    });
    expect(serverVersionOf('hello')).toBeUndefined();
  });

  it('is compared by numbers', () => {
    const [old, mid, late] = ['8.2', '8.10', '9.0'].map(parseServerVersion) as [never, never, never];
    expect(compareVersions(old, mid)).toBeLessThan(0);
    expect(compareVersions(late, mid)).toBeGreaterThan(0);
    expect(compareVersions(mid, mid)).toBe(0);
  });
});
