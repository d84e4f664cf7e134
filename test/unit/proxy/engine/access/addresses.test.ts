import { describe, expect, it } from 'vitest';
import { Cidr, hostOf, readIp } from '../../../../../src/proxy/engine/access/addresses.js';

const contains = (range: string, address: string) => {
  const ip = readIp(address);
  return ip !== null && new Cidr(range).contains(ip);
};

describe('a range of addresses', () => {
  it.each([
    ['10.0.0.0/8', '10.255.1.2', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.0.0.0/8', '::ffff:10.1.1.1', true],
    ['192.0.2.128/25', '192.0.2.127', false],
    ['192.0.2.128/25', '192.0.2.200', true],
    ['192.0.2.1', '192.0.2.1', true],
    ['192.0.2.1', '192.0.2.2', false],
    ['0.0.0.0/0', '203.0.113.9', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['::/0', '203.0.113.9', true],
    ['2001:db8::/32', '2001:db8:1::2', true],
    ['2001:db8::/32', '2001:db9::', false],
    ['fe80::/10', 'fe80::1%eth0', true],
    ['::ffff:192.0.2.0/120', '192.0.2.77', true],
    ['::1', '::1', true],
    ['::1', '0:0:0:0:0:0:0:1', true],
  ])('%s contains %s: %j', (range, address, expected) => {
    expect(contains(range, address)).toBe(expected);
  });
});

describe('an address', () => {
  it.each([
    '',
    'localhost',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    '::1::2',
    '1:2:3',
    ':::',
    '12345::',
    '/run/redis.sock',
    'g::',
  ])('%j is none', (text) => {
    expect(readIp(text)).toBeNull();
  });

  it.each([
    ['192.0.2.1:1234', '192.0.2.1'],
    ['::1:1234', '::1'],
    ['[::1]:1234', '::1'],
    ['::ffff:192.0.2.1:80', '::ffff:192.0.2.1'],
    ['', ''],
  ])('of a client, %s, is %s', (address, host) => {
    expect(hostOf(address)).toBe(host);
  });
});
