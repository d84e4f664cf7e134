import { isIPv4, isIPv6, SocketAddress } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeSocketAddress, encodeSocketAddress } from '../../../../src/proxy/server/sockets/socket-address.js';

const port = fc.integer({ min: 0, max: 65_535 });

/** What Node makes of an IPv6 address: the text that everybody else shows. */
const usual = (address: string) => new SocketAddress({ address, family: 'ipv6' }).address;

describe('socket addresses', () => {
  it('has IPv4 as sockaddr_in: family, port in the order of the network, address', () => {
    const bytes = [2, 0, 0x18, 0xeb, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    expect([...encodeSocketAddress('192.0.2.1', 6379)!]).toEqual(bytes);
    expect(decodeSocketAddress(Uint8Array.from(bytes))).toEqual({ host: '192.0.2.1', port: 6379 });
  });

  it('has IPv6 as sockaddr_in6: family, port, flow, address, scope', () => {
    const bytes = encodeSocketAddress('2001:db8::1', 6379)!;
    expect([...bytes]).toEqual([
      ...[10, 0, 0x18, 0xeb, 0, 0, 0, 0],
      ...[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
      ...[0, 0, 0, 0],
    ]);
  });

  it('takes no names, no zones and no paths', () => {
    for (const host of ['localhost', 'redis-1.example', 'fe80::1%eth0', '', '1.2.3', '/run/proxy.sock'])
      expect(encodeSocketAddress(host, 1)).toBeNull();
  });

  it('reads nothing from other families', () => {
    expect(decodeSocketAddress(Uint8Array.from([1, 0, 65, 66, 67]))).toEqual({ host: '', port: 0 });
  });

  it('brings every IPv4 address back', () => {
    fc.assert(
      fc.property(fc.ipV4(), port, (host, at) => {
        fc.pre(isIPv4(host));
        expect(decodeSocketAddress(encodeSocketAddress(host, at)!)).toEqual({ host, port: at });
      }),
    );
  });

  it('brings every IPv6 address back, in the form that others show', () => {
    fc.assert(
      fc.property(fc.ipV6(), port, (host, at) => {
        fc.pre(isIPv6(host));
        const { host: shown, port: back } = decodeSocketAddress(encodeSocketAddress(host, at)!);
        expect(back).toBe(at);
        expect(isIPv6(shown)).toBe(true);
        expect([...encodeSocketAddress(shown, at)!]).toEqual([...encodeSocketAddress(host, at)!]);
        // The C library has further addresses that end like IPv4 (::1.2.3.4).
        if (!usual(host).includes('.')) expect(shown).toBe(usual(host));
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['::', '::'],
    ['::1', '::1'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:0:0:2:0:0:3:4', '1::2:0:0:3:4'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['1:2:3:4:5:6:0:0', '1:2:3:4:5:6::'],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
  ])('shows %s as %s', (host, shown) => {
    expect(decodeSocketAddress(encodeSocketAddress(host, 0)!).host).toBe(shown);
  });
});
