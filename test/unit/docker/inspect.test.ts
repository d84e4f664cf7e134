import { describe, expect, it } from 'vitest';
import { dockerEnvironment, isOlder } from '../../../src/docker/engine.js';
import { mergeLogs, networkAnswers, parseTop, versionAnswer } from '../../../src/docker/inspect.js';

describe('what docker answers', () => {
  it('is taken with null for an empty map, and with no server', () => {
    expect(networkAnswers.parse([{ Id: 'n', Name: 'v', Driver: 'local', Labels: null }])[0]?.Labels).toEqual({});
    expect(versionAnswer.parse({ Client: { Version: '28.2.2' }, Server: null }).Server).toBeNull();
    expect(versionAnswer.safeParse({ Client: {} }).success).toBe(false);
  });

  it('names processes by lines', () => {
    const text = 'PID    PPID   RSS    COMMAND\n17      3      1024   redis-server\n18 17 0 a b\n';
    expect(parseTop(text)).toEqual([
      { pid: 17, parent: 3, memoryBytes: 1_048_576, program: 'redis-server' },
      { pid: 18, parent: 17, memoryBytes: 0, program: 'a b' },
    ]);
    expect(parseTop('')).toEqual([]);
  });

  it('is put in order where it came on two streams', () => {
    const out = '2026-11-22T02:00:00.000000001Z one\n2026-11-22T02:00:00.000000003Z three\nmore\n';
    const err = '2026-11-22T02:00:00.000000002Z two\n2026-11-22T02:00:00.000000004Z \n';
    expect(mergeLogs(out, err).map(({ line }) => line)).toEqual(['one', 'two', 'three', 'more', '']);
  });
});

describe('the environment of docker', () => {
  it('holds no password, and lets nobody be asked for one', () => {
    const environment = { PATH: '/bin', HOME: '/h', REDIS_REQUIREPASS: 'x', SSH_ASKPASS: '/ask', DISPLAY: ':0' };
    expect(dockerEnvironment({ ...environment, DOCKER_HOST: 'unix:///x', SSH_AUTH_SOCK: '/agent' })).toEqual({
      ...{ PATH: '/bin', HOME: '/h', DOCKER_HOST: 'unix:///x', SSH_AUTH_SOCK: '/agent' },
      ...{ SSH_ASKPASS_REQUIRE: 'never', DOCKER_CLI_HINTS: 'false', GOGC: '400', LC_ALL: 'C' },
    });
  });
});

describe('versions', () => {
  it.each([
    ['19.03.15', true],
    ['20.09.1', true],
    ['20.10.0', false],
    ['20.10.24+dfsg1', false],
    ['28.2.2', false],
    ['v1.13', true],
    ['dev', false],
  ])('%s is older than 20.10: %s', (version, older) => {
    expect(isOlder(version, '20.10')).toBe(older);
  });
});
