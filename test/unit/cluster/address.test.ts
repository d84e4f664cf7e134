import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress, parseAddress, parseAddressList } from '../../../src/cluster/address.js';
import { ForgeError } from '../../../src/errors.js';

const failure = (text: string): ForgeError => {
  try {
    parseAddress(text);
  } catch (error) {
    if (error instanceof ForgeError) return error;
    throw error;
  }
  throw new Error(`${text} was accepted`);
};

describe('parseAddress', () => {
  it.each([
    ['10.0.0.1:6379', { host: '10.0.0.1', port: 6379 }],
    ['Redis-1.Example.com:7000', { host: 'redis-1.example.com', port: 7000 }],
    ['redis_1:6379', { host: 'redis_1', port: 6379 }],
    ['localhost:1', { host: 'localhost', port: 1 }],
    ['[::1]:65535', { host: '::1', port: 65_535 }],
    ['[2001:DB8::1]:6379@eu-1a', { host: '2001:db8::1', port: 6379, zone: 'eu-1a' }],
    [' host:6379@zone.b ', { host: 'host', port: 6379, zone: 'zone.b' }],
  ])('reads %s', (text, expected) => {
    expect(parseAddress(text)).toEqual(expected);
  });

  it('takes the default port only where one is given', () => {
    expect(parseAddress('host', { defaultPort: 6379 })).toEqual({ host: 'host', port: 6379 });
    expect(parseAddress('[::1]', { defaultPort: 6379 })).toEqual({ host: '::1', port: 6379 });
    expect(() => parseAddress('host')).toThrow(/port is missing/);
  });

  it.each([
    '',
    ':6379',
    'host:',
    'host:0',
    'host:65536',
    'host:6379x',
    'host:-1',
    'host:1e3',
    '1.2.3.999:6379',
    '12345:6379',
    'ho st:6379',
    '-host:6379',
    'a..b:6379',
    '[::1:6379',
    '[::1]6379',
    '[host]:6379',
    '[]:6379',
    '::1:6379',
    'host:6379@',
    'host:6379@zo ne',
    `${'a'.repeat(254)}:6379`,
  ])('refuses %j as a fault of usage, with an example', (text) => {
    expect(failure(text).kind).toBe('usage');
    expect(failure(text).next.join()).toMatch(/6379/);
  });

  it('says where brackets are needed', () => {
    expect(failure('fe80::1').next.join()).toContain('[fe80::1]:6379');
  });

  it.each(['redis://default:hunter2@host:6379', 'default:hunter2@host:6379', 'hunter2@host:6379'])(
    'does not repeat what may be a password: %s',
    (text) => {
      const error = failure(text);
      expect(JSON.stringify(error)).not.toContain('hunter2');
      expect(error.next.join()).toContain('REDIS_REQUIREPASS');
    },
  );

  it('reads back what formatAddress writes', () => {
    const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain());
    fc.assert(
      fc.property(host, fc.integer({ min: 1, max: 65_535 }), (name, port) => {
        const address = { host: name.toLowerCase(), port };
        expect(parseAddress(formatAddress(address))).toEqual(address);
      }),
    );
  });

  it('answers any text with an address or a ForgeError', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        try {
          parseAddress(text, { defaultPort: 6379 });
        } catch (error) {
          expect(error).toBeInstanceOf(ForgeError);
        }
      }),
    );
  });
});

describe('parseAddressList', () => {
  it('reads addresses between commas and white space, and skips empty ones', () => {
    expect(parseAddressList('a:1, b:2@z\n[::1]:3,').map(formatAddress)).toEqual(['a:1', 'b:2', '[::1]:3']);
  });

  it('refuses an empty list', () => {
    expect(() => parseAddressList(' , ')).toThrow(/No address/);
  });
});
