import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commandsOf } from '../../../src/deploy/action-commands.js';
import { type DesiredContainer, UNTOLD_MODE } from '../../../src/deploy/container.js';
import type { ObservedHost } from '../../../src/deploy/observed.js';
import { isCutOff, planDeploy } from '../../../src/deploy/plan.js';
import { optionDifferences } from '../../../src/deploy/reasons.js';
import { redisContainer } from '../../../src/deploy/redis-container.js';
import { directivesOf, redisEffect } from '../../../src/deploy/redis-files.js';
import { parseServerVersion } from '../../../src/redis-config/version.js';
import { observedContainer, observedHost } from '../../support/deploy-observed.js';
import { deploySettings } from '../../support/deploy-settings.js';

const VERSION = parseServerVersion('7.0');

function wanted(conf = 'port 7901\n', changes: Parameters<typeof deploySettings>[0] = {}): DesiredContainer {
  const settings = deploySettings(changes);
  const [node] = settings.nodes;
  if (node === undefined) throw new Error('no node');
  return redisContainer(settings, node, [
    { path: 'redis.conf', content: conf },
    { path: 'users.acl', content: 'user default off\n' },
  ]);
}

function plan(desired: DesiredContainer, seen: ObservedHost) {
  const { actions, obstacles } = planDeploy([desired], new Map([['here', seen]]), (_, changes) =>
    redisEffect(changes, VERSION),
  );
  const [action] = actions;
  if (action === undefined) throw new Error('no action');
  return { ...action, obstacles };
}

describe('the plan of a node', () => {
  it('is nothing after what it planned was done, whatever its settings are', () => {
    const value = fc.stringMatching(/^[a-z0-9 "#\\]{0,20}$/);
    fc.assert(
      fc.property(fc.array(value, { maxLength: 5 }), (values) => {
        const desired = wanted(values.map((each, index) => `setting-${index} ${each}\n`).join(''));
        expect(plan(desired, observedHost([observedContainer(desired)])).kind).toBe('unchanged');
      }),
    );
  });

  it('creates what is not there, under the revision after the last', () => {
    expect(plan(wanted(), observedHost([]))).toMatchObject({ kind: 'create', revision: 1 });
    const previous = observedContainer(wanted(), { name: 'orders-redis-7901-previous' });
    expect(plan(wanted(), observedHost([previous]))).toMatchObject({ kind: 'create', revision: 4 });
  });

  it.each([
    ['is new', ['others'], ['/data'], ['/data']],
    ['is there', ['orders-redis-7901-data'], ['/data'], []],
    ['is new, and the image has that folder for somebody else', ['others'], [], []],
  ])('takes the owner of a data volume that %s as it is where the image sees to it', (_, volumes, folders, owned) => {
    const [image] = observedHost([]).images.keys();
    const seen = observedHost([], {
      ownedFolders: new Map([[image ?? '', new Set(folders)]]),
      volumeNames: new Set(volumes),
    });
    const { kind, owned: found } = plan(wanted(), seen);
    expect([kind, [...(found ?? [])]]).toEqual(['create', owned]);
    const commands = commandsOf(plan(wanted(), seen), { makeNetwork: false }).map(({ args }) => args.join(' '));
    // Made, and taken away again.
    const helpers = commands.filter(
      (line) => line.endsWith(' orders-redis-7901-next') || line.includes('-next --pull'),
    );
    expect(helpers.length).toBe(owned.length > 0 ? 0 : 2);
    // What was seen to would be undone by the engine, as long as the volume is empty.
    const create = commands.find((line) => line.startsWith('create --name orders-redis-7901 '));
    expect(create?.includes('target=/data,volume-nocopy')).toBe(owned.length === 0);
  });

  it('sees to the owner of a folder of the host itself, whatever the image says', () => {
    const [image] = observedHost([]).images.keys();
    const ownedFolders = new Map([[image ?? '', new Set(['/data'])]]);
    const seen = observedHost([], { ownedFolders, volumeNames: new Set() });
    expect([...(plan(wanted('port 7901\n', { directory: '/srv' }), seen).owned ?? [])]).toEqual([]);
  });

  it.each(['exited', 'created'])('starts what is %s', (status) => {
    expect(plan(wanted(), observedHost([observedContainer(wanted(), { status })]))).toMatchObject({
      kind: 'start',
      revision: 3,
    });
  });

  it.each([
    ['is as it is to be in its network', [['n', 'id']], [['n', 'id']], undefined, false],
    ['is as it is to be before its first start', [['n', '']], [['n', 'id']], undefined, false],
    ['is replaced when its network is gone', [['n', 'id']], [], 'its network n is gone', false],
    [
      'is replaced when another network has the name',
      [['n', 'id']],
      [['n', 'other']],
      'its network n is gone, and another has the name',
      false,
    ],
    [
      'is replaced, at once, when it was taken off its network',
      [],
      [['n', 'id']],
      'it was taken off its network n',
      true,
    ],
  ] as const)('%s', (_, its, there, reason, cutOff) => {
    const settings = deploySettings();
    const onNetwork = { ...settings, redis: { ...settings.redis, network: { kind: 'bridge', name: 'n' } as const } };
    const [node] = settings.nodes;
    if (node === undefined) throw new Error('no node');
    const desired = redisContainer(onNetwork, node, []);
    const observed = observedContainer(desired, { networks: new Map(its) });
    const action = plan(desired, observedHost([observed], { networks: new Map(there) }));
    expect(action).toMatchObject(
      reason === undefined ? { kind: 'unchanged', reasons: [] } : { kind: 'replace', reasons: [reason] },
    );
    expect(isCutOff(action)).toBe(cutOff);
  });

  it('sets live what can be, and replaces for the rest', () => {
    const seen = observedHost([observedContainer(wanted())]);
    expect(plan(wanted('port 7901\nmaxmemory 64mb\n'), seen)).toMatchObject({
      kind: 'live',
      reasons: ['CONFIG SET maxmemory 64mb'],
    });
    expect(plan(wanted('port 7901\nio-threads 4\n'), seen)).toMatchObject({ kind: 'replace', revision: 4 });
    expect(plan(wanted('port 7901\n', { memoryBytes: 1024 }), seen).reasons).toEqual(['memoryBytes unset → 1024']);
    expect(plan(wanted(), observedHost([observedContainer(wanted(), { imageId: 'older' })])).kind).toBe('replace');
    expect(plan(wanted(), observedHost([{ ...observedContainer(wanted()), wanted: '{}' }])).kind).toBe('replace');
  });

  it('tells a server again what it may not have been told', () => {
    const desired = wanted('port 7901\nmaxmemory 64mb\n');
    const files = new Map(
      [...(observedContainer(desired).files ?? [])].map(([path, file]) => [path, { ...file, mode: UNTOLD_MODE }]),
    );
    const { kind, reasons } = plan(desired, observedHost([observedContainer(desired, { files })]));
    expect(kind).toBe('live');
    expect(reasons).toEqual(expect.arrayContaining(['CONFIG SET maxmemory 64mb', 'ACL LOAD']));
  });

  it('gives files back to root', () => {
    const files = new Map(
      [...(observedContainer(wanted()).files ?? [])].map(([path, file]) => [path, { ...file, uid: 10_001 }]),
    );
    expect(plan(wanted(), observedHost([observedContainer(wanted(), { files })]))).toMatchObject({
      kind: 'live',
      live: [],
    });
  });

  it.each(['', '-previous', '-next'])('refuses a name%s that is another’s', (suffix) => {
    const seen = observedHost([], { foreign: new Map([[`orders-redis-7901${suffix}`, 'nginx']]) });
    expect(plan(wanted(), seen).obstacles).toMatchObject([{ kind: 'name-taken' }]);
  });

  it('refuses an image that is not there', () => {
    expect(plan(wanted(), observedHost([], { images: new Map() })).obstacles).toMatchObject([{ kind: 'no-image' }]);
  });
});

describe('directives of a redis.conf', () => {
  it('are read as they were written, quoted or not', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z0-9"\\ ]{0,20}$/), (value) => {
        const quoted = `"${value.replace(/[\\"]/g, (each) => `\\${each}`)}"`;
        expect(directivesOf(`# no\n\n  Name ${quoted}\n`)).toEqual(new Map([['name', [value]]]));
      }),
    );
    expect(directivesOf('save 900 1\nsave 60 100\nempty')).toEqual(
      new Map([
        ['save', ['900 1', '60 100']],
        ['empty', ['']],
      ]),
    );
  });
});

describe('differences of options', () => {
  it('are counted when there are many, and cut when they are long', () => {
    const many = Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`n${index}`, index]));
    expect(optionDifferences('{}', JSON.stringify(many))).toHaveLength(9);
    expect(optionDifferences('{}', JSON.stringify(many)).at(-1)).toBe('4 more');
    expect(optionDifferences('no json', '{"a":"b"}')).toEqual(['a unset → b']);
    expect(optionDifferences('{}', JSON.stringify({ a: 'x'.repeat(200) }))[0]?.length).toBeLessThan(110);
  });
});
