import { describe, expect, it } from 'vitest';
import { parseEndpoint } from '../../../src/docker/endpoint.js';
import { explainFailure, failureReason } from '../../../src/docker/failure.js';
import { ForgeError } from '../../../src/errors.js';

const here = parseEndpoint('unix:///var/run/docker.sock', 'here');
const remote = parseEndpoint('ssh://ops@10.0.0.1:2222', 'a1');
const ssh = (said: string, code = 255) =>
  `error during connect: Get "http://docker.example.com/v1.50/version": command [ssh -o ConnectTimeout=30 -T -l ops -p 2222 -- 10.0.0.1 docker system dial-stdio] has exited with exit status ${code}, make sure the URL is valid, and Docker 18.09 or later is installed on the remote host: stderr=${said}\n`;
const said = (text: string) => `Error response from daemon: ${text}\n`;

/** What Docker 20.10 to 28 and OpenSSH really print. */
const CASES: [string, string, string, RegExp][] = [
  [
    ssh('ops@10.0.0.1: Permission denied (publickey,password).'),
    'denied',
    'login-refused',
    /ssh-copy-id -p 2222 ops@10\.0\.0\.1/,
  ],
  [ssh('Host key verification failed.'), 'denied', 'host-key', /ssh -p 2222 ops@10\.0\.0\.1 true/],
  [ssh('bash: line 1: docker: command not found', 127), 'missing', 'no-remote-docker', /Install Docker there/],
  [ssh('sh: 1: docker: not found', 127), 'missing', 'no-remote-docker', /Install Docker there/],
  [ssh('ssh: connect to host 10.0.0.1 port 2222: Connection refused'), 'unreachable', 'no-answer', /Try: ssh -p 2222/],
  [ssh('ssh: connect to host 10.0.0.1 port 2222: No route to host'), 'unreachable', 'no-answer', /Try: ssh/],
  [ssh('ssh: Could not resolve hostname redis-1: Name or service not known'), 'unreachable', 'no-answer', /Try: ssh/],
  [ssh('kex_exchange_identification: Connection closed by remote host'), 'unreachable', 'no-answer', /Try: ssh/],
  [
    said('path / is mounted on / but it is not a shared or slave mount'),
    'refused',
    'mounts-not-shared',
    /mount --make-rshared \//,
  ],
  [
    'Got permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get "http://%2Fvar%2Frun%2Fdocker.sock/v1.24/version": dial unix /var/run/docker.sock: connect: permission denied',
    'denied',
    'no-permission',
    /usermod -aG docker/,
  ],
  [
    'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?',
    'unreachable',
    'no-daemon',
    /systemctl start docker/,
  ],
  [
    'failed to connect to the docker API at unix:///x; check if the path is correct and if the daemon is running',
    'unreachable',
    'no-daemon',
    /start docker/,
  ],
  [said('client version 1.50 is too new. Maximum supported API version is 1.41'), 'missing', 'too-old', /same version/],
  [
    said('client version 1.24 is too old. Minimum supported API version is 1.44, please upgrade your client'),
    'missing',
    'too-old',
    /same version/,
  ],
  [
    'Failed to initialize: unable to resolve docker endpoint: context "x": context not found: open /x: no such file',
    'configuration',
    'no-context',
    /docker context ls/,
  ],
  [said('write /var/lib/docker/tmp/x: no space left on device'), 'refused', 'disk-full', /system df/],
  [
    said(
      'driver failed programming external connectivity on endpoint p2 (c5a): Bind for 127.0.0.1:19999 failed: port is already allocated',
    ),
    'refused',
    'port-taken',
    /publish=19999/,
  ],
  [
    said(
      'driver failed programming external connectivity on endpoint p2 (fe): Error starting userland proxy: listen tcp4 127.0.0.1:19999: bind: address already in use',
    ),
    'refused',
    'port-taken',
    /sport = :19999/,
  ],
  [
    said(
      'failed to set up container networking: driver failed programming external connectivity on endpoint x (1): failed to bind host port for 0.0.0.0:19999:172.17.0.2:80/tcp: address already in use',
    ),
    'refused',
    'port-taken',
    /publish=19999/,
  ],
  [
    said('failed to bind host port 0.0.0.0:19999/tcp: address already in use'),
    'refused',
    'port-taken',
    /publish=19999/,
  ],
  [
    said(
      'Conflict. The container name "/db" is already in use by container "ab12". You have to remove (or rename) that container to be able to reuse that name.',
    ),
    'refused',
    'name-taken',
    /inspect db/,
  ],
  [said('No such image: redisforge/redis:8.0'), 'missing', 'no-image', /pull redisforge\/redis:8\.0/],
  ["Unable to find image 'r:1' locally\n", 'missing', 'no-image', /pull r:1/],
  [
    said(
      'pull access denied for redisforge/redis, repository does not exist or may require docker login: denied: requested access to the resource is denied',
    ),
    'missing',
    'no-image',
    /--build.*login/,
  ],
  [
    said('manifest for 127.0.0.1:5000/forge/redis:7.1 not found: manifest unknown: manifest unknown'),
    'missing',
    'no-image',
    /pull 127\.0\.0\.1:5000\/forge\/redis:7\.1/,
  ],
  [
    said('Get "https://registry.invalid/v2/": dial tcp: lookup registry.invalid on 10.0.0.53:53: no such host'),
    'unreachable',
    'no-registry',
    /network.*docker save/,
  ],
  [
    said('Get "http://127.0.0.1:5000/v2/": dial tcp 127.0.0.1:5000: connect: connection refused'),
    'unreachable',
    'no-registry',
    /docker save/,
  ],
  [
    said(
      'failed to resolve reference "registry.invalid/redis:8.0": failed to do request: Head "https://registry.invalid/v2/redis/manifests/8.0": dial tcp: lookup registry.invalid: no such host',
    ),
    'unreachable',
    'no-registry',
    /docker save/,
  ],
  [
    said('Get "http://127.0.0.1:5000/v2/redis/manifests/8.0": no basic auth credentials'),
    'denied',
    'registry-login',
    /login/,
  ],
  [
    said('Head "https://example.com/v2/x": unauthorized: authentication required'),
    'denied',
    'registry-login',
    /docker -H \S+ login/,
  ],
  [
    said(
      'failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/bin/sh": stat /bin/sh: no such file or directory: unknown',
    ),
    'missing',
    'no-program-in-image',
    /image/,
  ],
  [said('No such container: orders'), 'missing', 'no-container', /ps --all/],
  [said('get orders-data: no such volume'), 'missing', 'no-volume', /volume ls/],
  [said('network orders not found'), 'missing', 'no-network', /network create orders/],
  [said('remove v: volume is in use - [ab12]'), 'refused', 'in-use', /ps --all/],
  [said('removal of container ab12 is already in progress'), 'locked', 'being-removed', /ps --all/],
];

describe('a docker command that failed', () => {
  it.each(CASES)('is explained: %s', (stderr, kind, reason, next) => {
    const endpoint = stderr.includes('[ssh') ? remote : here;
    const error = explainFailure({ args: ['start', 'x'], exitCode: 1, stderr }, endpoint);
    expect(error).toMatchObject({ kind, host: endpoint.name, details: { reason } });
    expect(error.next.join(' ')).toMatch(next);
    expect(failureReason(error)).toBe(reason);
    expect(error.message).not.toMatch(/undefined|NaN/);
  });

  it('tells the port that is taken', () => {
    const stderr = said('x: Bind for [::]:6379 failed: port is already allocated');
    const error = explainFailure({ args: ['start'], exitCode: 1, stderr }, here);
    expect(error).toMatchObject({ message: 'Port 6379 of here is in use.', details: { port: 6379 } });
  });

  it('is said in the words of the engine where the cause is not known', () => {
    const stderr = `WARNING: something\n${said('it is broken')}See 'docker run --help'.\n`;
    const error = explainFailure({ args: ['start', 'x'], exitCode: 1, stderr }, here);
    expect(error).toMatchObject({ kind: 'unexpected', message: 'docker start failed on here: it is broken' });
    expect(failureReason(error)).toBeUndefined();
    expect(explainFailure({ args: ['start'], exitCode: 9, stderr: '' }, here).message).toMatch(/code 9/);
  });

  it('has a reason only when it is a failure of docker', () => {
    expect(failureReason(new Error('x'))).toBeUndefined();
    expect(failureReason(new ForgeError('refused', 'x', { details: { reason: 'other' } }))).toBeUndefined();
  });
});
