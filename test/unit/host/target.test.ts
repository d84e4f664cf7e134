import { describe, expect, it } from 'vitest';
import { chooseHosts } from '../../../src/host/choose.js';
import { hostsOf } from '../../../src/host/hosts-of.js';
import { shellQuote, sshFailure } from '../../../src/host/shell.js';
import { parseTarget, sshArguments, sshWords } from '../../../src/host/target.js';
import { bytes, parseMemory, percent } from '../../../src/host/words.js';

const OWN = new Set(['local', 'localhost', 'here', '10.0.0.9']);

describe('a host', () => {
  it.each([
    ['local', { name: 'this machine' }],
    ['localhost', { name: 'localhost' }],
    ['127.0.0.1', { name: '127.0.0.1' }],
    ['::1', { name: '::1' }],
    ['10.0.0.9', { name: '10.0.0.9' }],
    ['unix:///var/run/docker.sock', { name: 'this machine' }],
    ['10.0.0.1', { name: '10.0.0.1', ssh: { host: '10.0.0.1' } }],
    ['ops@a1', { name: 'a1', ssh: { host: 'a1', user: 'ops' } }],
    ['ssh://ops@a1:2222/', { name: 'a1', ssh: { host: 'a1', user: 'ops', port: 2222 } }],
    ['ssh://127.0.0.1', { name: '127.0.0.1', ssh: { host: '127.0.0.1' } }],
    ['[2001:db8::1]:22', { name: '2001:db8::1', ssh: { host: '2001:db8::1', port: 22 } }],
    ['2001:db8::1', { name: '2001:db8::1', ssh: { host: '2001:db8::1' } }],
  ])('is read from %s', (text, expected) => {
    expect(parseTarget(text, OWN)).toEqual(expected);
  });

  it.each([
    '-oProxyCommand=x',
    'a b',
    '',
    'ops@',
    '@a1',
    'a1:99999',
    'a1:0',
    '$(id)',
    'a;b',
    'tcp://10.0.0.1:2375',
    '-x@a1',
  ])('is refused: %s', (text) => {
    expect(() => parseTarget(text, OWN)).toThrow(expect.objectContaining({ kind: 'usage' }));
  });

  it('is never told with a password', () => {
    expect(() => parseTarget('ops:secret@a1', OWN)).toThrow(expect.not.stringContaining('secret'));
  });

  it('is handed to ssh so that nothing in it is an option', () => {
    const words = sshArguments({ host: 'a1', user: 'ops', port: 22 }, 5);
    expect(words.slice(-2)).toEqual(['--', 'a1']);
    expect(words.join(' ')).toContain('BatchMode=yes');
    expect(sshWords({ host: 'a1', user: 'ops', port: 22 })).toBe('-p 22 ops@a1');
  });
});

describe('a failure of ssh', () => {
  const destination = { host: 'a1', user: 'ops' };
  const target = { name: 'a1', ssh: destination };

  it.each([
    ['ops@a1: Permission denied (publickey,password).', 'denied', /ssh-copy-id ops@a1/],
    ['Host key verification failed.', 'denied', /accept it: ssh ops@a1/],
    ['ssh: Could not resolve hostname a1: Name or service not known', 'unreachable', /ssh ops@a1 true/],
    ['ssh: connect to host a1 port 22: Connection timed out', 'unreachable', /ssh ops@a1 true/],
    ['', 'unreachable', /ssh ops@a1 true/],
  ])('is told with what to do: %s', (stderr, kind, next) => {
    const failure = sshFailure(target, destination, stderr);
    expect(failure).toMatchObject({ kind, host: 'a1' });
    expect(failure.next.join(' ')).toMatch(next);
  });
});

describe('words for a shell', () => {
  it.each([
    ['plain/word-1.x', 'plain/word-1.x'],
    ['', "''"],
    ["it's", "'it'\\''s'"],
    ['$(id) `id` "x"', '\'$(id) `id` "x"\''],
  ])('are quoted: %s', (text, expected) => expect(shellQuote(text)).toBe(expected));
});

describe('hosts of forge.yaml', () => {
  const cluster = {
    nodes: [
      { host: '10.0.0.1', port: 6379, docker_host: 'a1' },
      { host: '10.0.0.1', port: 6380, bus_port: 7380, docker_host: 'a1' },
      { host: '10.0.0.2', port: 6379 },
      { host: '10.0.0.3', port: 6379 },
      { host: '127.0.0.1', port: 6379 },
    ],
    hosts: {
      a1: { docker: 'ssh://ops@192.168.0.1:2222' },
      b1: { address: '10.0.0.2', context: 'second' },
    },
    redis: { data: '/srv/redis', settings: { maxmemory: ['1gb'] } },
  };

  it('are found by engine, name, address, or the node itself, each once, with what runs there', () => {
    const hosts = hostsOf(cluster, { own: OWN });
    expect(hosts.map(({ target }) => target)).toEqual([
      { name: 'a1', ssh: { host: '192.168.0.1', user: 'ops', port: 2222 } },
      { name: 'b1', ssh: { host: '10.0.0.2' } },
      { name: '10.0.0.3', ssh: { host: '10.0.0.3' } },
      { name: '127.0.0.1' },
    ]);
    expect(hosts[0]).toMatchObject({
      needs: { ports: [6379, 6380, 7380, 16_379], nodes: 2, maxmemoryBytes: 2 * 1024 ** 3 },
      folders: ['/srv/redis'],
    });
  });

  it('are chosen by name or by address; another host has no nodes; nothing said is this machine', () => {
    const chosen = chooseHosts({ host: ['a1', 'ops@10.0.0.7'], maxmemory: '2gb' }, cluster, OWN);
    expect(chosen.map(({ target, needs }) => [target.name, needs?.nodes])).toEqual([
      ['a1', 2],
      ['10.0.0.7', 0],
    ]);
    expect(chosen[0]?.needs?.maxmemoryBytes).toBe(4 * 1024 ** 3);
    expect(chooseHosts({}, cluster, OWN)).toMatchObject([{ target: { name: 'this machine' }, needs: { nodes: 1 } }]);
    expect(chooseHosts({ port: [7001, 7002] }, undefined, OWN)).toMatchObject([{ needs: { nodes: 2 } }]);
    expect(chooseHosts({ all: true }, cluster, OWN)).toHaveLength(4);
  });

  it('are asked for in vain without nodes', () => {
    expect(() => chooseHosts({ all: true }, undefined, OWN)).toThrow(/lists no nodes/);
    expect(() => chooseHosts({ maxmemory: '3 apples' }, undefined, OWN)).toThrow(/no size/);
  });
});

describe('sizes', () => {
  it.each([
    ['100', 100],
    ['1k', 1000],
    ['1kb', 1024],
    ['3GB', 3 * 1024 ** 3],
    ['1tb', undefined],
    ['-1', undefined],
    ['', undefined],
  ])('are read as redis.conf has them: %s', (text, expected) => expect(parseMemory(text)).toBe(expected));

  it('are told in short', () => {
    expect([0, 1023, 1536, 5 * 1024 ** 4].map(bytes)).toEqual(['0 B', '1023 B', '1.5 KiB', '5 TiB']);
    expect([0.004, 0.5, 1].map(percent)).toEqual(['0.4 %', '50 %', '100 %']);
  });
});
