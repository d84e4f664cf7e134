import { describe, expect, it } from 'vitest';
import { isRecentEnough, parseVersion } from '../../../scripts/setup/requirements.js';
import { byHand } from '../../../scripts/setup/system-packages.js';

describe('a redis-server', () => {
  it.each([
    ['Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=8b2d7f', [7, 0]],
    ['Redis server v=6.2.7 sha=0 malloc=libc bits=64 build=0', [6, 2]],
    ['Valkey server v=8.1.1 sha=00000000:1 malloc=jemalloc-5.3.0 bits=64 build=2a', [8, 1]],
    ['command not found', undefined],
  ])('says its version: %s', (text, version) => {
    expect(parseVersion(text)).toEqual(version);
  });

  it('is recent enough from 7.0 on', () => {
    expect(
      [
        [5, 9],
        [6, 2],
        [7, 0],
        [7, 4],
        [10, 0],
      ].map(([major, minor]) => isRecentEnough([major, minor])),
    ).toEqual([false, false, true, true, true]);
  });
});

describe('the command to type by hand', () => {
  it('is complete', () => {
    const apt = { name: 'apt-get', root: true, install: [], refresh: ['apt-get', 'update'] };
    expect(byHand(apt, ['redis-server'])).toBe('sudo apt-get update && sudo apt-get install -y redis-server');
    expect(byHand({ name: 'brew', root: false, install: [] }, ['redis'])).toBe('brew install redis');
  });
});
