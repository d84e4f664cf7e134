import { describe, expect, it } from 'vitest';
import { logs as logsSchema } from '../../../src/config/logs-schema.js';
import { ForgeError } from '../../../src/errors.js';
import { assignLogs, type RotatedHost, requestOf, worstOf } from '../../../src/logs/hosts.js';
import { parseFiles } from '../../../src/logs/remote-folder.js';
import { writerOfFlags } from '../../../src/logs/writers.js';

const folder = (more: object = {}) => ({ directory: '/var/log/redis', size_mb: 10, count: 3, ...more });
const settingsOf = (value: unknown) => logsSchema.parse(value) ?? [];

describe('logs of forge.yaml', () => {
  it('are what is asked for on the command line', () => {
    const [settings] = settingsOf([folder({ age: '7d', size_mb: 0.5 })]);
    expect(requestOf(settings as NonNullable<typeof settings>)).toEqual({
      directory: '/var/log/redis',
      bytes: 512 * 1024,
      count: 3,
      ageMs: 7 * 24 * 3_600_000,
      patterns: ['*.log'],
    });
  });

  it.each([
    ['no folder', [{ size_mb: 1, count: 1 }]],
    ['a folder that is not absolute', [folder({ directory: 'logs' })]],
    ['nothing', []],
    ['no size', [folder({ size_mb: 0 })]],
    ['a size that is too large', [folder({ size_mb: 2 ** 21 })]],
    ['no count', [folder({ count: 0 })]],
    ['too many', [folder({ count: 1_000 })]],
    ['an age that is none', [folder({ age: 'soon' })]],
    ['an age that is too short', [folder({ age: '1s' })]],
    ['a pattern that is a path', [folder({ patterns: ['../*.log'] })]],
    ['a word that nobody knows', [folder({ sise: 1 })]],
  ])('refuse %s', (_, value) => {
    expect(logsSchema.safeParse(value).success).toBe(false);
  });

  it('are rotated on every host, or on those that they name', () => {
    const one = { name: 'one', ssh: { host: '10.0.0.1' } };
    const two = { name: 'two', ssh: { host: '10.0.0.2' } };
    const folders = settingsOf([
      folder(),
      folder({ directory: '/b', hosts: ['one'] }),
      folder({ directory: '/c', hosts: ['10.0.0.2'] }),
    ]);
    const places = assignLogs(folders, [one, two]).map((each) => each.folders.map(({ directory }) => directory));
    expect(places).toEqual([
      ['/var/log/redis', '/b'],
      ['/var/log/redis', '/c'],
    ]);
    // Of a host that is known, though it is not meant now, nothing is wrong.
    expect(assignLogs(folders, [one], [one, two])).toHaveLength(1);
    expect(() => assignLogs(folders, [two], [two])).toThrow(ForgeError);
  });
});

describe('the exit code of several hosts', () => {
  const failure = (kind: 'unreachable' | 'locked' | 'denied') => ({ kind, message: '', next: [] });
  const result = (left?: string) => ({
    directory: '/a',
    dryRun: false,
    logs: [{ log: 'a.log', bytes: 1, rotated: true, steps: [], ...(left === undefined ? {} : { left }) }],
    bytesBefore: 1,
    bytesAfter: 1,
    elapsedMs: 1,
  });
  const done: RotatedHost = { host: 'a', folders: [{ directory: '/a', result: result() }] };
  const gone: RotatedHost = { host: 'b', folders: [], failure: failure('unreachable') };
  it.each([
    ['is 0 when all is done', [done, { host: 'c', folders: [] }], undefined],
    ['is that of the reason when nothing is done', [gone, { ...gone, host: 'c' }], 'unreachable'],
    ['is 8 when nothing is done for several reasons', [gone, { ...gone, failure: failure('denied') }], 'partial'],
    ['is 8 when some is done', [done, gone], 'partial'],
    [
      'is 8 when something is left',
      [{ host: 'a', folders: [{ directory: '/a', result: result('later') }] }],
      'partial',
    ],
    [
      'is that of a folder that is locked',
      [{ host: 'a', folders: [{ directory: '/a', failure: failure('locked') }] }],
      'locked',
    ],
  ] as const)('%s', (_, hosts, kind) => {
    expect(worstOf(hosts)).toBe(kind);
  });
});

describe('files of another host', () => {
  it('are those that stat tells of', () => {
    const text = [
      'regular file|1|10|100|50|60|redis.log',
      'regular empty file|1|0|100|-|60|a|b.log',
      'symbolic link|1|10|100|50|60|link.log',
      'directory|2|10|100|50|60|folder',
      'regular file|2|10|100|0|60|twice.log',
      'regular file|1|10|100|50|60|-rf.log',
      '',
    ].join('\n');
    expect([...parseFiles(text)]).toEqual([
      ['redis.log', { links: 1, bytes: 10, modifiedMs: 100_000, bornMs: 50_000 }],
      ['a|b.log', { links: 1, bytes: 0, modifiedMs: 100_000, bornMs: 60_000 }],
      ['twice.log', { links: 2, bytes: 10, modifiedMs: 100_000, bornMs: 60_000 }],
    ]);
  });

  it('are not what a name with an end of line in it pretends', () => {
    const line = 'regular file|1|10|100|50|60|redis.log';
    expect(parseFiles(`${line}\nregular file|1|1|1|1|1|x\n${line}\n`).has('redis.log')).toBe(false);
  });

  it('are written by those whose flags say so', () => {
    expect(writerOfFlags(1, '0100001', 'sh')).toEqual({ pid: 1, program: 'sh', appends: false });
    expect(writerOfFlags(1, '02002', 'forge-proxy (deleted)')).toEqual({
      pid: 1,
      program: 'forge-proxy',
      appends: true,
    });
    expect(writerOfFlags(1, '0100000', 'sh')).toBeUndefined();
    expect(writerOfFlags(1, '', 'sh')).toBeUndefined();
  });
});
