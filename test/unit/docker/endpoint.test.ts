import { describe, expect, it } from 'vitest';
import {
  endpointArguments,
  isLocal,
  isSsh,
  LOCAL_ENDPOINT,
  parseEndpoint,
  sshTarget,
} from '../../../src/docker/endpoint.js';

describe('the address of a Docker engine', () => {
  it.each([
    'unix:///var/run/docker.sock',
    'ssh://redis-1',
    'ssh://ops@10.0.0.1',
    'ssh://ops@10.0.0.1:2222',
    'ssh://[2001:db8::1]:22',
    'tcp://10.0.0.1:2376',
    'tcp://[::1]:2376/',
  ])('%s is passed on as it is', (text) => {
    expect(parseEndpoint(text)).toEqual({ name: text, host: text });
    expect(endpointArguments(parseEndpoint(text, 'a1'))).toEqual(['-H', text]);
  });

  it('is a context by its name', () => {
    const endpoint = parseEndpoint('context:production.eu', 'a1');
    expect(endpoint).toEqual({ name: 'a1', context: 'production.eu' });
    expect(endpointArguments(endpoint)).toEqual(['--context', 'production.eu']);
  });

  it('is left to docker where none is given', () => {
    expect(endpointArguments(LOCAL_ENDPOINT)).toEqual([]);
  });

  it.each([
    ['redis-1', 'it has no scheme'],
    ['', 'it has no scheme'],
    ['http://a:2375', 'it cannot be reached by http://'],
    ['unix://docker.sock', 'the path of a socket is absolute'],
    ['ssh://', 'it names no host'],
    ['ssh://ops@', 'it names no host'],
    ['ssh://-oProxyCommand=x', 'is no host name'],
    ['ssh://-oProxyCommand=x@host', 'is no user name'],
    ['ssh://ops@host/path', 'it has a path'],
    ['ssh://host:ssh', '"ssh" is no port'],
    ['ssh://host:0', '"0" is no port'],
    ['ssh://host:65536', '"65536" is no port'],
    ['ssh://ho st', 'is no host name'],
    ['tcp://10.0.0.1', 'it names no port'],
    ['tcp://:2375', 'it names no host'],
    ['context:', 'cannot be the name of a context'],
    ['context:../etc', 'cannot be the name of a context'],
  ])('%s is refused: %s', (text, why) => {
    expect(() => parseEndpoint(text)).toThrowError(
      expect.objectContaining({ kind: 'configuration', message: expect.stringContaining(why) }),
    );
  });

  it('never repeats a password', () => {
    expect(() => parseEndpoint('ssh://ops:hunter2@host')).toThrowError(/it holds a password/);
    expect(() => parseEndpoint('ssh://ops:hunter2@host')).not.toThrowError(/hunter2/);
  });

  it('tells ssh and local ones apart, and how ssh itself would be called', () => {
    const ssh = parseEndpoint('ssh://ops@10.0.0.1:2222');
    expect([isSsh(ssh), isLocal(ssh)]).toEqual([true, false]);
    expect(sshTarget(ssh)).toEqual({ target: 'ops@10.0.0.1', options: ['-p', '2222'] });
    expect(sshTarget(parseEndpoint('ssh://[2001:db8::1]'))).toEqual({ target: '2001:db8::1', options: [] });
    const unix = parseEndpoint('unix:///run/docker.sock');
    expect([isSsh(unix), isLocal(unix), sshTarget(unix)]).toEqual([false, true, undefined]);
    expect([isSsh(LOCAL_ENDPOINT), isLocal(LOCAL_ENDPOINT)]).toEqual([false, false]);
  });
});
