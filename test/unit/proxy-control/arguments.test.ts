import { describe, expect, it } from 'vitest';
import { exitKind, exitWords, findProxyExecutable, proxyArguments } from '../../../src/proxy/control/executable.js';

describe('proxyArguments', () => {
  it('are the words of the executable', () => {
    expect(
      proxyArguments({
        cluster: ['10.0.0.1:6379', '[::1]:6379'],
        listen: '127.0.0.1:6380',
        tlsCert: '/etc/proxy.crt',
        tlsKey: '/etc/proxy.key',
        tlsClientCa: '/etc/clients.crt',
        admin: '127.0.0.1:9901',
        workers: 2,
        pidFile: '/run/proxy.pid',
      }),
    ).toEqual([
      '--cluster',
      '10.0.0.1:6379,[::1]:6379',
      '--listen',
      '127.0.0.1:6380',
      '--tls-cert',
      '/etc/proxy.crt',
      '--tls-key',
      '/etc/proxy.key',
      '--tls-client-ca',
      '/etc/clients.crt',
      '--admin',
      '127.0.0.1:9901',
      '--workers',
      '2',
      '--pid-file',
      '/run/proxy.pid',
    ]);
    expect(proxyArguments({ config: '/etc/proxy.yaml' })).toEqual(['--config', '/etc/proxy.yaml']);
  });

  it.each([
    ['nothing to serve', {}],
    ['no nodes', { cluster: [] }],
    ['the cluster said twice', { config: '/x', cluster: ['a:1'] }],
    ['the address said twice', { config: '/x', listen: 'a:1' }],
    ['a certificate without a key', { cluster: ['a:1'], tlsCert: '/c' }],
    ['a key without a certificate', { cluster: ['a:1'], tlsKey: '/k' }],
    ['a CA without a certificate', { cluster: ['a:1'], tlsClientCa: '/a' }],
    ['certificates beside a configuration', { config: '/x', tlsCert: '/c', tlsKey: '/k' }],
    ['no workers', { cluster: ['a:1'], workers: 0 }],
    ['half a worker', { cluster: ['a:1'], workers: 0.5 }],
    ['more workers than any machine has cores', { cluster: ['a:1'], workers: 257 }],
  ])('are refused with %s', (_, options) => {
    expect(() => proxyArguments(options)).toThrow(expect.objectContaining({ kind: 'usage' }));
  });
});

describe('an exit code of the executable', () => {
  it.each([
    [0, undefined],
    [1, 'unexpected'],
    [2, 'usage'],
    [3, 'configuration'],
    [5, 'refused'],
    [139, 'unexpected'],
  ])('%i means %s', (code, kind) => {
    expect(exitKind(code)).toBe(kind);
  });

  it('above 128 is told as a signal', () => {
    expect(exitWords(139)).toContain('signal 11');
  });
});

describe('findProxyExecutable', () => {
  it('says how to get it when it is missing', () => {
    expect(() => findProxyExecutable({ FORGE_PROXY_BIN: '/no/such/proxy' })).toThrow(
      expect.objectContaining({ kind: 'missing', next: [expect.stringContaining('FORGE_PROXY_BIN')] }),
    );
  });
});
