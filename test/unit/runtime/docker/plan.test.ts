import { describe, expect, it } from 'vitest';
import { LABELS } from '../../../../src/docker/labels.js';
import { groupByMount, initialEntries, parseOwner, planContainer } from '../../../../src/runtime/docker/plan.js';
import type { ContainerSettings, InstanceSpec } from '../../../../src/runtime/runtime.js';

const settings: ContainerSettings = {
  image: 'redisforge/redis:8.0',
  user: '10001:10002',
  network: 'host',
  publish: [],
  mounts: [
    { volume: 'orders-redis-data', target: '/data' },
    { directory: '/srv/tls', target: '/tls', readOnly: true },
  ],
  tmpfs: ['/tmp'],
  nofile: 65_536,
  log: { maxSizeMb: 10, maxFiles: 3 },
  labels: { [LABELS.cluster]: 'orders', [LABELS.role]: 'redis' },
};
const spec: InstanceSpec = {
  name: 'orders-redis',
  directory: '/etc/redisforge',
  program: '/usr/bin/redis-server',
  args: ['/etc/redisforge/redis.conf'],
  env: { TZ: 'UTC' },
  files: [{ path: '/etc/redisforge/redis.conf', content: 'port 6379\n', mode: 0o600 }],
  restart: { delayS: 5, delayMaxS: 60, budget: 4, windowS: 120 },
  container: settings,
};

describe('the container of an instance', () => {
  it('has its supervisor as the first process, and comes back after a reboot', () => {
    const { create } = planContainer(spec);
    expect(create).toMatchObject({ name: 'orders-redis', restart: 'unless-stopped', stopTimeoutS: 30, pull: 'never' });
    expect([create.entrypoint, ...create.args].join(' ')).toBe(
      '/bin/sh /etc/redisforge/supervise.sh --stay /etc/redisforge/orders-redis.run 5 60 4 120 ' +
        '/usr/bin/redis-server /etc/redisforge/redis.conf',
    );
    expect(create.workdir).toBe('/etc/redisforge');
    expect(create.labels).toEqual({
      ...settings.labels,
      [LABELS.instance]: 'orders-redis',
      'io.redisforge.supervisor': 'instance',
    });
  });

  it('is the program alone where the engine restarts it', () => {
    const plan = planContainer({ ...spec, container: { ...settings, supervisor: 'engine' } });
    expect([plan.create.entrypoint, ...plan.create.args]).toEqual([spec.program, ...spec.args]);
    expect(initialEntries(spec, plan, 'script').map(({ path }) => path)).toEqual([
      'etc/redisforge',
      'data',
      'etc/redisforge/redis.conf',
    ]);
  });

  it('has a volume for its folder and knows all volumes by their labels', () => {
    const own = { [LABELS.cluster]: 'orders', [LABELS.instance]: 'orders-redis' };
    const plan = planContainer(spec);
    expect(plan.volumes).toEqual(['orders-redis-config', 'orders-redis-data']);
    expect(plan.create.mounts.slice(0, 2)).toEqual([
      {
        volume: 'orders-redis-config',
        target: '/etc/redisforge',
        labels: { ...own, [LABELS.content]: 'configuration' },
        keepsOwner: true,
      },
      {
        volume: 'orders-redis-data',
        target: '/data',
        labels: { ...own, [LABELS.content]: 'data' },
        keepsOwner: true,
      },
    ]);
    expect(plan.networkLabels).toEqual({ [LABELS.cluster]: 'orders' });
  });

  it('gets its folders, its supervisor, an empty record and its files, all its own', () => {
    const files = [...spec.files, { path: '/data/a/b/c', content: 'c', mode: 0o640 }];
    const plan = planContainer({ ...spec, files });
    const owner = { uid: 10_001, gid: 10_002 };
    expect(initialEntries({ ...spec, files }, plan, 'script')).toEqual([
      { path: 'etc/redisforge', mode: 0o700, ...owner },
      { path: 'data', mode: 0o700, ...owner },
      { path: 'etc/redisforge/supervise.sh', content: 'script', mode: 0o500, ...owner },
      { path: 'etc/redisforge/orders-redis.run', content: '', mode: 0o600, ...owner },
      { path: 'etc/redisforge/redis.conf', content: 'port 6379\n', mode: 0o600, ...owner },
      { path: 'data/a', mode: 0o700, ...owner },
      { path: 'data/a/b', mode: 0o700, ...owner },
      { path: 'data/a/b/c', content: 'c', mode: 0o640, ...owner },
    ]);
  });

  it.each<[string, Partial<InstanceSpec>, RegExp]>([
    ['no settings', { container: undefined }, /nothing says which image/],
    ['a short name', { name: 'a' }, /two or more/],
    ['a name with a slash', { name: 'a/b' }, /two or more/],
    ['a relative folder', { directory: 'data' }, /no absolute path/],
    ['a winding folder', { directory: '/data/../etc' }, /no absolute path/],
    ['the root folder', { directory: '/' }, /no absolute path/],
    ['a user by name', { container: { ...settings, user: 'redis' } }, /not UID:GID/],
    ['root', { container: { ...settings, user: '0:0' } }, /as root/],
    ['a file elsewhere', { files: [{ path: '/etc/passwd', content: '', mode: 0o600 }] }, /neither in/],
    ['a file in what is read-only', { files: [{ path: '/tls/key', content: '', mode: 0o600 }] }, /neither in/],
    ['a file that leads out', { files: [{ path: '/data/../x', content: '', mode: 0o600 }] }, /neither in/],
  ])('is refused with %s', (_, change, words) => {
    expect(() => planContainer({ ...spec, ...change })).toThrowError(
      expect.objectContaining({ kind: 'configuration', message: expect.stringMatching(words) }),
    );
  });
});

describe('files for a container that is there', () => {
  const owner = { uid: 1, gid: 2 };

  it('are grouped by the innermost mount', () => {
    const files = ['/data/a', '/data/tls/key', '/data/tls/more/ca', '/etc/x'].map((path) => ({
      ...{ path, content: path, mode: 0o600 },
    }));
    expect(groupByMount(files, ['/data', '/data/tls', '/etc'], owner)).toEqual([
      { target: '/data', entries: [{ path: 'a', content: '/data/a', mode: 0o600, ...owner }] },
      {
        target: '/data/tls',
        entries: [
          { path: 'key', content: '/data/tls/key', mode: 0o600, ...owner },
          { path: 'more', mode: 0o700, ...owner },
          { path: 'more/ca', content: '/data/tls/more/ca', mode: 0o600, ...owner },
        ],
      },
      { target: '/etc', entries: [{ path: 'x', content: '/etc/x', mode: 0o600, ...owner }] },
    ]);
  });

  it('are refused outside of every mount, also beside one with a like name', () => {
    for (const path of ['/other/x', '/database/x', '/data', '/data/../x']) {
      expect(() => groupByMount([{ path, content: '', mode: 0o600 }], ['/data'], owner)).toThrowError(/in no mount/);
    }
  });

  it('belong to the user of the container', () => {
    expect(parseOwner('10001:10002')).toEqual({ uid: 10_001, gid: 10_002 });
    for (const user of ['', 'redis', '10001', '1:2:3', '-1:1']) expect(parseOwner(user)).toBeUndefined();
  });
});
