import { describe, expect, it } from 'vitest';
import { canRead, type Product, parseVersionLine } from '../../../../src/backup/scratch/choose.js';

const kind = (text: string) => {
  const [product = '', version = ''] = text.split(' ');
  return { product: product as Product, version };
};

describe('a server', () => {
  it.each([
    ['redis 7.0.15', 'redis 7.0.2', true],
    ['redis 7.0.15', 'redis 7.2.0', false],
    ['redis 8.0.1', 'redis 7.4.9', true],
    ['valkey 8.1.0', 'redis 7.2.9', true],
    ['valkey 9.0.0', 'redis 7.4.0', false],
    ['redis 7.2.0', 'valkey 8.1.0', true],
    ['redis 7.0.15', 'valkey 7.2.5', false],
    ['redis 8.6.0', 'valkey 9.0.0', false],
    ['valkey 9.1.0', 'valkey 9.0.1', true],
  ])('%s reads what %s has written: %s', (reader, writer, result) => {
    expect(canRead(kind(reader), kind(writer))).toBe(result);
  });

  it.each([
    ['Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc', '/usr/bin/redis-server', kind('redis 7.0.15')],
    ['Valkey server v=9.0.0 sha=0', '/usr/bin/valkey-server', kind('valkey 9.0.0')],
    ['Server v=8.1.1 sha=0', '/opt/valkey-server', kind('valkey 8.1.1')],
    ['no version', '/usr/bin/redis-server', undefined],
  ])('says %j what it is', (output, program, result) => {
    expect(parseVersionLine(output, program)).toEqual(result);
  });
});
