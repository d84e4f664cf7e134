import { describe, expect, it } from 'vitest';
import { needsOf } from '../../../src/host/needs.js';
import { changeLines, PATHS } from '../../../src/host/tune/change.js';
import { parseFound } from '../../../src/host/tune/host-files.js';
import { dockerFilesHard, planTune, type TuneInput } from '../../../src/host/tune/plan.js';
import { readPorts, writePorts } from '../../../src/host/tune/ports.js';
import { formatState, parseState, stateAfter, type TuneState } from '../../../src/host/tune/state.js';
import { planUndo, type UndoInput } from '../../../src/host/tune/undo.js';
import { factsWith } from './hosts.js';

const AT = { at: '2026-01-02T03:04:05.000Z', folders: [] };

function planFor(changes: Record<string, string | undefined>, more: Partial<TuneInput> = {}) {
  return planTune({
    host: 'a1',
    facts: factsWith(changes),
    needs: needsOf([{ port: 6379 }]),
    files: new Map(),
    foreignLinks: new Set(),
    image: false,
    unit: 'UNIT\n',
    dockerLimits: 'LIMITS\n',
    ...more,
  });
}

/** `live vm.swappiness 60 → 10`, `file PATH`. */
function words({ changes }: ReturnType<typeof planTune>): string[] {
  return changes.map((each) =>
    each.kind === 'live' ? `live ${each.name} ${each.before} → ${each.to}` : `${each.kind} ${each.path}`,
  );
}

describe('a plan', () => {
  it('for a host that is in order is empty', () => {
    expect(planFor({})).toEqual({ host: 'a1', changes: [], impossible: [], remarks: [] });
  });

  it.each<[string, Record<string, string | undefined>, string[]]>([
    ['overcommit', { 'sysctl.vm.overcommit_memory': '0' }, ['live vm.overcommit_memory 0 → 1', `file ${PATHS.sysctl}`]],
    [
      'queues',
      { 'sysctl.net.core.somaxconn': '128', 'sysctl.net.ipv4.tcp_max_syn_backlog': '256' },
      ['live net.core.somaxconn 128 → 4096', 'live net.ipv4.tcp_max_syn_backlog 256 → 4096', `file ${PATHS.sysctl}`],
    ],
    [
      'huge pages',
      { 'huge-pages': '[always] madvise never' },
      ['live huge-pages always → madvise', `file ${PATHS.unit}`, `link ${PATHS.unitLink}`],
    ],
    ['docker’s files', { 'docker.files': '1024 4096' }, [`file ${PATHS.dockerLimits}`]],
    [
      'ports',
      {
        'sysctl.net.ipv4.ip_local_port_range': '1024 60999',
        'sysctl.net.ipv4.ip_local_reserved_ports': '8000',
        'writable.net.ipv4.ip_local_reserved_ports': 'yes',
      },
      ['live net.ipv4.ip_local_reserved_ports 8000 → 6379,8000,16379', `file ${PATHS.sysctl}`],
    ],
  ])('changes only what is wrong: %s', (_, changes, expected) => {
    expect(words(planFor(changes))).toEqual(expected);
  });

  it('keeps what is right when a file sets it wrong at the next start', () => {
    const plan = planFor({ 'boot.net.core.somaxconn': '/etc/sysctl.d/50-x.conf 128' });
    expect(plan.changes).toMatchObject([
      { path: PATHS.sysctl, to: expect.stringContaining('net.core.somaxconn = 4096') },
    ]);
    expect(plan.remarks).toEqual([]);
  });

  it('tells of a file that is read after its own', () => {
    const plan = planFor({ 'boot.vm.swappiness': '/etc/sysctl.d/99-sysctl.conf 60' });
    expect(plan.remarks.join()).toMatch(/99-sysctl.conf is read later and sets vm.swappiness to 60/);
  });

  it('never lowers what is enough, and keeps the operator’s later choice in its file', () => {
    const state = stateAfter(undefined, planFor({ 'sysctl.net.core.somaxconn': '128' }).changes, AT);
    const plan = planFor({ 'sysctl.net.core.somaxconn': '65535' }, { state, files: new Map([[PATHS.sysctl, 'old']]) });
    expect(words(plan)).toEqual([`file ${PATHS.sysctl}`]);
    expect(plan.changes[0]?.to).toContain('net.core.somaxconn = 65535');
  });

  it('made again after it was applied is empty', () => {
    const wrong = {
      'sysctl.vm.overcommit_memory': '0',
      'huge-pages': '[always] madvise never',
      'docker.files': '1024 4096',
    };
    const first = planFor(wrong);
    const state = stateAfter(undefined, first.changes, AT);
    const files = new Map(
      first.changes.flatMap((each) => (each.kind === 'live' ? [] : [[each.path, each.to] as const])),
    );
    expect(words(planFor({ 'docker.files': '1024 4096' }, { state, files }))).toEqual([]);
  });

  it('tells of each key that is read-only, and changes the others', () => {
    const plan = planFor({
      'sysctl.vm.overcommit_memory': '0',
      'writable.vm.overcommit_memory': 'no',
      'sysctl.net.core.somaxconn': '128',
      'huge-pages': '[always] madvise never',
      'writable.huge-pages': 'no',
      container: 'yes',
    });
    expect(words(plan)).toEqual(['live net.core.somaxconn 128 → 4096', `file ${PATHS.sysctl}`]);
    expect(plan.changes[1]?.to).not.toContain('overcommit');
    expect(plan.impossible.map(({ name }) => name)).toEqual(['vm.overcommit_memory', 'huge-pages']);
    expect(plan.impossible[0]?.why).toMatch(/container/);
  });

  it('does not call keys read-only for whoever is not root', () => {
    const plan = planFor({ user: '1000', 'sysctl.vm.overcommit_memory': '0', 'writable.vm.overcommit_memory': 'no' });
    expect(plan.impossible).toEqual([]);
    expect(plan.changes).toHaveLength(2);
  });

  it('keeps the file of the bash suite for --undo, and tells what of it does not hold any more', () => {
    const before = 'vm.overcommit_memory = 1\nnet.ipv4.tcp_sack=1\n# x = 1\n';
    const plan = planFor({ 'sysctl.vm.overcommit_memory': '0' }, { files: new Map([[PATHS.sysctl, before]]) });
    expect(plan.changes[1]).toMatchObject({ path: PATHS.sysctl, before });
    expect(plan.remarks.join()).toMatch(/hold for: net\.ipv4\.tcp_sack\./);
  });

  it('leaves a link to something else alone', () => {
    const plan = planFor({ 'sysctl.vm.overcommit_memory': '0' }, { foreignLinks: new Set([PATHS.sysctl]) });
    expect(words(plan)).toEqual(['live vm.overcommit_memory 0 → 1']);
    expect(plan.impossible).toMatchObject([{ name: PATHS.sysctl }]);
  });

  it('without systemd sets huge pages now, and says that this does not last', () => {
    const plan = planFor({ 'huge-pages': '[always] madvise never', systemd: undefined });
    expect(words(plan)).toEqual(['live huge-pages always → madvise']);
    expect(plan.remarks.join()).toMatch(/no systemd/);
  });

  it('for an image writes files only', () => {
    expect(words(planFor({}, { image: true })).every((each) => !each.startsWith('live'))).toBe(true);
  });

  it('for another system than Linux does nothing', () => {
    expect(planFor({ system: 'Darwin' })).toMatchObject({ changes: [], impossible: [{ name: 'Darwin' }] });
  });

  it('never asks for more files than the kernel gives to one process', () => {
    expect(dockerFilesHard(factsWith())).toBe(1_048_576);
    expect(dockerFilesHard(factsWith({ 'sysctl.fs.nr_open': '65536' }))).toBe(65_536);
  });

  it('is shown as lines for a shell', () => {
    const lines = planFor({ 'sysctl.vm.overcommit_memory': '0' }).changes.flatMap((change) =>
      changeLines(change, '/mnt'),
    );
    expect(lines[0]).toBe("echo '1' > /proc/sys/vm/overcommit_memory    # was: 0");
    expect(lines[1]).toBe(`cat > /mnt${PATHS.sysctl} <<'END'`);
    expect(lines.at(-1)).toBe('END');
  });
});

describe('the state', () => {
  const live = (before: string, to: string) => ({
    kind: 'live' as const,
    name: 'vm.swappiness',
    path: '/proc/sys/vm/swappiness',
    before,
    to,
    why: '',
  });
  const file = (before: string | undefined, to: string) => ({
    kind: 'file' as const,
    path: PATHS.sysctl,
    ...(before === undefined ? {} : { before }),
    to,
    why: '',
  });

  it('knows after two runs what was there before the first', () => {
    const first = stateAfter(undefined, [live('60', '10'), file(undefined, 'one')], AT);
    const second = stateAfter(first, [live('10', '5'), file('one', 'two')], AT);
    expect(second.live).toMatchObject([{ before: '60', set: '5' }]);
    expect(second.files).toEqual([{ path: PATHS.sysctl, before: null, set: 'two' }]);
  });

  it('takes the operator’s choice between two runs for what was there before', () => {
    const first = stateAfter(undefined, [live('60', '10'), file(undefined, 'one')], AT);
    const second = stateAfter(first, [live('30', '10'), file('theirs', 'two')], AT);
    expect(second.live).toMatchObject([{ before: '30' }]);
    expect(second.files).toMatchObject([{ before: 'theirs' }]);
  });

  it('is read as it was written', () => {
    const state = stateAfter(undefined, [live('60', '10'), file(undefined, 'one')], {
      at: AT.at,
      folders: ['/etc/systemd/system/docker.service.d'],
    });
    expect(parseState(formatState(state), 'a1')).toEqual(state);
  });

  const plain: TuneState = { version: 1, changedAt: '', live: [], files: [], links: [], folders: [] };
  it.each<[string, string]>([
    ['no JSON', '{'],
    ['another version', JSON.stringify({ ...plain, version: 2 })],
    ['a file that is not ours', JSON.stringify({ ...plain, files: [{ path: '/etc/shadow', before: '', set: '' }] })],
    ['a folder that is not ours', JSON.stringify({ ...plain, folders: ['/srv'] })],
    [
      'a path that leads out',
      JSON.stringify({ ...plain, live: [{ name: 'x', path: '/proc/sys/../../etc/passwd', before: '', set: '' }] }),
    ],
  ])('is refused when it is %s', (_, text) => {
    expect(() => parseState(text, 'a1')).toThrow(expect.objectContaining({ kind: 'configuration' }));
  });
});

describe('undoing', () => {
  const state: TuneState = {
    version: 1,
    changedAt: AT.at,
    live: [
      { name: 'vm.swappiness', path: '/proc/sys/vm/swappiness', before: '60', set: '10' },
      { name: 'huge-pages', path: '/sys/kernel/mm/transparent_hugepage/enabled', before: 'always', set: 'madvise' },
    ],
    files: [
      { path: PATHS.sysctl, before: 'theirs', set: 'ours' },
      { path: PATHS.unit, before: null, set: 'UNIT' },
    ],
    links: [{ path: PATHS.unitLink, set: '../redisforge-huge-pages.service' }],
    folders: [],
  };
  const now = (more: Partial<UndoInput> = {}): UndoInput => ({
    host: 'a1',
    state,
    live: new Map([
      ['vm.swappiness', '10'],
      ['huge-pages', 'madvise'],
    ]),
    files: new Map([
      [PATHS.sysctl, 'ours'],
      [PATHS.unit, 'UNIT'],
    ]),
    links: new Map([[PATHS.unitLink, '../redisforge-huge-pages.service']]),
    image: false,
    ...more,
  });

  it('restores everything, the files first', () => {
    const { steps, left } = planUndo(now());
    expect(steps).toEqual([
      { kind: 'remove', path: PATHS.unitLink },
      { kind: 'remove', path: PATHS.unit },
      { kind: 'write', path: PATHS.sysctl, to: 'theirs' },
      expect.objectContaining({ kind: 'live', name: 'huge-pages', to: 'always' }),
      expect.objectContaining({ kind: 'live', name: 'vm.swappiness', to: '60' }),
    ]);
    expect(left).toEqual([]);
  });

  it('leaves what somebody changed since, and says so', () => {
    const { steps, left } = planUndo(
      now({
        live: new Map([
          ['vm.swappiness', '30'],
          ['huge-pages', 'never'],
        ]),
        files: new Map([[PATHS.sysctl, 'changed']]),
        links: new Map([[PATHS.unitLink, '/dev/null']]),
      }),
    );
    expect(steps).toEqual([]);
    expect(left.map(({ name }) => name)).toEqual([PATHS.unitLink, PATHS.sysctl, 'huge-pages', 'vm.swappiness']);
    expect(left.at(-1)?.why).toMatch(/set it to 30 since; before, it was 60/);
  });

  it('does nothing about what is as it was, or is not there any more', () => {
    const { steps, left } = planUndo(
      now({ live: new Map([['vm.swappiness', '60']]), files: new Map([[PATHS.sysctl, 'theirs']]), links: new Map() }),
    );
    expect(steps).toEqual([]);
    expect(left.map(({ name }) => name)).toEqual([]);
  });

  it('of an image touches no running kernel', () => {
    expect(planUndo(now({ image: true })).steps.some(({ kind }) => kind === 'live')).toBe(false);
  });
});

describe('files of a host', () => {
  it('are told apart by their lengths, whatever they hold', () => {
    const text = 'file 3\nnone\nfile   7\nü\nlink\nlink 2\n..\n';
    expect(parseFound(Buffer.from(`none\n${text.replace('file 3\nnone', 'file 4\nnone')}`), 4)).toEqual([
      { kind: 'none' },
      { kind: 'file', text: 'none' },
      { kind: 'file', text: 'ü\nlink' },
      { kind: 'link', to: '..' },
    ]);
  });

  it.each(['', 'none', 'file\n', 'file 9\nshort\n', 'other 1\nx\n'])('are not made up: %j', (text) => {
    expect(parseFound(Buffer.from(text), 1)).toBeUndefined();
  });
});

describe('lists of ports', () => {
  it.each([
    ['', ''],
    ['5,3,4,9', '3-5,9'],
    ['1-3,2-5', '1-5'],
    ['7,x,-1,99999999', '7'],
  ])('%s are written as the kernel does: %s', (list, expected) => {
    expect(writePorts(readPorts(list))).toBe(expected);
  });
});
