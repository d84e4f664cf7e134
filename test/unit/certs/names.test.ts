import { describe, expect, it } from 'vitest';
import {
  canonicalIp,
  commonNameOf,
  covers,
  NAMES_MAX,
  parseClientName,
  parseHostNames,
  parseSubjectName,
  shown,
  uniqueNames,
} from '../../../src/certs/names.js';
import { ForgeError } from '../../../src/errors.js';

const dns = (value: string) => ({ type: 'dns' as const, value });
const ip = (value: string) => ({ type: 'ip' as const, value });
const failure = (work: () => unknown): ForgeError => {
  try {
    work();
  } catch (error) {
    if (error instanceof ForgeError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
};

describe('a name of a certificate', () => {
  it.each([
    ['redis-1', dns('redis-1')],
    ['Redis-1.Internal.', dns('redis-1.internal')],
    ['redis_1', dns('redis_1')],
    ['*.redis.internal', dns('*.redis.internal')],
    ['bücher.example', dns('xn--bcher-kva.example')],
    ['10.0.0.1', ip('10.0.0.1')],
    [' 10.0.0.1 ', ip('10.0.0.1')],
    ['2001:DB8:0:0::1', ip('2001:db8::1')],
    ['[::1]', ip('::1')],
    ['::ffff:10.0.0.1', ip('::ffff:a00:1')],
  ])('is read from %s', (text, name) => {
    expect(parseSubjectName(text)).toEqual(name);
  });

  it.each([
    ['nothing', ''],
    ['a path', '../x'],
    ['a path that is absolute', '/etc/passwd'],
    ['a folder', '..'],
    ['an incomplete address', '10.0.0'],
    ['an address out of range', '10.0.0.256'],
    ['digits that another standard reads as an address', '１２７.１'],
    ['an address with a zone', 'fe80::1%eth0'],
    ['a port', 'redis-1:6379'],
    ['a user', 'root@redis-1'],
    ['a line end', 'redis-1\nx'],
    ['a zero byte', 'redis-1\0'],
    ['a blank', 'redis 1'],
    ['a wildcard alone', '*'],
    ['a wildcard for a whole top', '*.internal'],
    ['a wildcard inside', 'a.*.internal'],
    ['a wildcard in a label', 'r*.redis.internal'],
    ['a label that begins with a dash', '-a.b'],
    ['a label of 64 letters', `${'a'.repeat(64)}.b`],
    ['a name of 254 letters', `${'a.'.repeat(126)}ab`],
    ['a shell', '$(reboot)'],
  ])('is not read from %s', (_, text) => {
    expect(failure(() => parseSubjectName(text)).kind).toBe('usage');
  });

  it('is shown without what a terminal obeys, and not at full length', () => {
    expect(failure(() => parseSubjectName('a\u001b[31mb\u202e')).message).toBe(
      '"a?[31mb?" is neither a host name nor an IP address.',
    );
    expect(shown('x'.repeat(500))).toHaveLength(80);
  });

  it('takes a label of 63 letters and a name of 253', () => {
    expect(parseSubjectName(`${'a'.repeat(63)}.b`).type).toBe('dns');
    expect(parseSubjectName(`${'a.'.repeat(126)}a`).value).toHaveLength(253);
  });

  it('covers itself, and a wildcard one label', () => {
    expect(covers(dns('a'), dns('a'))).toBe(true);
    expect(covers(dns('a'), dns('b'))).toBe(false);
    expect(covers(dns('*.b.c'), dns('a.b.c'))).toBe(true);
    expect(covers(dns('*.b.c'), dns('b.c'))).toBe(false);
    expect(covers(dns('*.b.c'), dns('x.a.b.c'))).toBe(false);
    expect(covers(dns('*.b.c'), dns('*.b.c'))).toBe(true);
    expect(covers(dns('a.b.c'), dns('*.b.c'))).toBe(false);
    expect(covers(ip('10.0.0.1'), dns('10.0.0.1'))).toBe(false);
    expect(covers(ip(canonicalIp('2001:DB8:0::1')), parseSubjectName('2001:db8::1'))).toBe(true);
  });

  it('stands in a list once', () => {
    expect(uniqueNames([dns('a'), ip('::1'), dns('a')])).toEqual([dns('a'), ip('::1')]);
  });

  it('is cut to what a common name may have', () => {
    expect(commonNameOf('a'.repeat(100))).toHaveLength(64);
  });
});

describe('the names of one host', () => {
  it('are read from a list, each once', () => {
    expect(parseHostNames('redis-1, 10.0.0.1,,redis-1')).toEqual([dns('redis-1'), ip('10.0.0.1')]);
  });

  it('are refused when there is none, when a wildcard is the first, and when there are too many', () => {
    expect(failure(() => parseHostNames(' , ')).kind).toBe('usage');
    expect(failure(() => parseHostNames('*.a.b,a')).next.join()).toContain('redis-1,*.a.b');
    const many = (count: number) => Array.from({ length: count }, (_, i) => `h${i}`).join(',');
    expect(parseHostNames(many(NAMES_MAX))).toHaveLength(NAMES_MAX);
    expect(failure(() => parseHostNames(many(NAMES_MAX + 1))).message).toContain('501 names');
  });
});

describe('the name of a client', () => {
  it.each(['app', 'backup-1', 'jane@example.org', 'A.b_c'])('may be %s', (name) => {
    expect(parseClientName(name)).toBe(name);
  });

  it.each(['', '.', '..', '../x', '.hidden', 'a/b', 'a b', 'é', 'a\n', 'x'.repeat(65)])('may not be %j', (name) => {
    expect(failure(() => parseClientName(name)).kind).toBe('usage');
  });
});
