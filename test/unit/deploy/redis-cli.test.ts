import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  askRedis,
  REDIS_PROBE,
  REDIS_SOCKET,
  readAsked,
  readPing,
  readTold,
  tellRedis,
} from '../../../src/deploy/redis-cli.js';
import { renderCommand } from '../../../src/docker/command.js';
import { LOCAL_ENDPOINT } from '../../../src/docker/endpoint.js';

const login = { username: 'admin', password: 'a "secret" \\ with\nlines' };
const inputOf = (command: ReturnType<typeof tellRedis>) => Buffer.from(command.input?.bytes ?? '').toString('utf8');

describe('an answer to PING', () => {
  it.each([
    ['PONG\n', 'serving'],
    ['NOAUTH Authentication required.\n', 'serving'],
    ["NOPERM User default has no permissions to run the 'ping' command\n", 'serving'],
    ['LOADING Redis is loading the dataset in memory\n', 'loading'],
    ["MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\n", 'loading'],
    ['BUSY Redis is busy running a script.\n', 'loading'],
    ['', 'silent'],
    ['Could not connect to Redis at /data/redis.sock: No such file or directory\n', 'silent'],
    ['ERR PONG\n', 'silent'],
  ])('%j: %s', (output, expected) => {
    expect(readPing(output)).toBe(expected);
  });
});

describe('commands told to a node', () => {
  it('come on standard input, after a login', () => {
    const command = tellRedis(
      'orders-redis-1',
      login,
      [['CONFIG', 'SET', 'maxmemory', '1 gb']],
      'CONFIG SET maxmemory',
    );
    expect(command).toMatchObject({
      effect: 'changes',
      args: ['exec', '-i', 'orders-redis-1', 'redis-cli', '-s', REDIS_SOCKET],
    });
    const [first, second, ...rest] = inputOf(command).split('\n');
    expect(first).toMatch(/^"?AUTH"? "?admin"? ".*secret.*"$/);
    expect(second).toMatch(/"?maxmemory"? "1 gb"$/);
    // One line each, whatever is in a password.
    expect(rest).toEqual(['']);
  });

  it('show no secret to anybody', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 8, maxLength: 40 }), (password) => {
        const command = tellRedis(
          'c',
          { username: 'admin', password },
          [['CONFIG', 'SET', 'masterauth', password]],
          'x',
        );
        expect(renderCommand(command, LOCAL_ENDPOINT)).toBe(
          `docker exec -i c redis-cli -s ${REDIS_SOCKET}  # reads a login and: x`,
        );
        expect(inputOf(command).split('\n')).toHaveLength(3);
      }),
    );
  });

  it('are questions when they only ask', () => {
    expect(askRedis('c', login, ['CLUSTER', 'NODES'])).toMatchObject({ effect: 'reads' });
    expect(REDIS_PROBE.join(' ')).not.toContain('user');
  });
});

describe('the answers', () => {
  it('to a question come after that to the login', () => {
    expect(readAsked('OK\nredis_version:7.0.15\r\nOK\n')).toBe('redis_version:7.0.15\r\nOK\n');
    expect(readAsked('WRONGPASS invalid username-password pair\nNOAUTH\n')).toMatch(/^WRONGPASS/);
  });

  it.each([
    ['OK\nOK\n', 1, undefined],
    ['OK\nOK\n\nOK\n', 2, undefined],
    ['OK\n', 1, 'it did not answer every command'],
    ['', 1, 'it did not answer every command'],
    ['OK\nERR Unknown option\n', 1, 'ERR Unknown option'],
    ['WRONGPASS invalid\nNOAUTH Authentication required.\n', 1, 'WRONGPASS invalid'],
    ['OK\n(error) ERR bad\n', 1, '(error) ERR bad'],
  ])('to commands: %j of %d', (output, commands, fault) => {
    expect(readTold(output, commands)).toBe(fault);
  });
});
