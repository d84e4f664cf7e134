import { describe, expect, it } from 'vitest';
import { judgeHost } from '../../../src/host/judge.js';
import { type HostNeeds, needsOf } from '../../../src/host/needs.js';
import { HOST_CHECKS } from '../../../src/host/rules/index.js';
import { readText } from '../../support/repository.js';
import { factsWith } from './hosts.js';

const GIB = 1024 ** 3;
const memoryOf = (gib: number) => needsOf([{ port: 6379, maxmemoryBytes: gib * GIB }]);

/** The words of each finding that is not right. */
function wrong(changes: Record<string, string | undefined>, needs?: HostNeeds): string[] {
  return judgeHost(factsWith(changes), needs).findings.flatMap(({ check, reasons }) =>
    reasons.map(({ verdict, text }) => `${verdict} ${check}: ${text}`),
  );
}

describe('a host', () => {
  it('that is in order passes every check that applies', () => {
    const { verdict, findings } = judgeHost(factsWith(), memoryOf(3));
    expect(findings.filter((finding) => finding.verdict !== 'PASS')).toEqual([]);
    expect(verdict).toBe('PASS');
    expect(findings.length).toBe(HOST_CHECKS.length - 1);
  });

  it.each<[string, Record<string, string | undefined>, RegExp, HostNeeds?]>([
    ['overcommit by guess', { 'sysctl.vm.overcommit_memory': '0' }, /^WARN overcommit: .* is 0/],
    ['overcommit never', { 'sysctl.vm.overcommit_memory': '2' }, /^FAIL overcommit/],
    ['no word of overcommit', { 'sysctl.vm.overcommit_memory': undefined }, /^UNKNOWN overcommit/],
    ['huge pages', { 'huge-pages': '[always] madvise never' }, /^WARN huge-pages: .*always on$/],
    [
      'huge pages that stall',
      { 'huge-pages': '[always] madvise never', 'huge-pages-defrag': '[always] defer never' },
      /^WARN huge-pages: .*waits/,
    ],
    ['too much data', {}, /^FAIL memory: maxmemory is 16 GiB, 100 % of 16 GiB/, memoryOf(16)],
    ['much data', {}, /^WARN memory: .*81 %/, memoryOf(13)],
    ['data without a bound', {}, /^WARN memory: maxmemory is 0/, memoryOf(0)],
    ['eager swapping', { 'sysctl.vm.swappiness': '60' }, /^WARN swap: vm.swappiness is 60, with 1 GiB of swap/],
    ['swapped out', { 'memory.SwapFree': '0' }, /^WARN swap: 1 GiB are swapped out/],
    ['zone reclaim', { 'sysctl.vm.zone_reclaim_mode': '1' }, /^WARN zone-reclaim/],
    ['few files', { 'docker.files': '1024 4096' }, /^WARN open-files: docker’s limit .*at most 4064 clients/],
    ['hardly any files', { 'docker.files': '512 1024' }, /^FAIL open-files/],
    ['few files of a user', { 'docker.running': undefined, 'files.hard': '4096' }, /^WARN open-files: this user’s/],
    ['few files of all', { 'sysctl.fs.file-max': '65536' }, /^WARN open-files: fs.file-max is 65536/],
    ['a short queue', { 'sysctl.net.core.somaxconn': '128' }, /^WARN backlog: net.core.somaxconn is 128/],
    ['a short half', { 'sysctl.net.ipv4.tcp_max_syn_backlog': '128' }, /^WARN backlog: net.ipv4.tcp_max_syn_backlog/],
    ['ports in the range', {}, /^WARN ports: .*for outgoing connections: 40000, 50000$/, needsOf([{ port: 40_000 }])],
    ['few ports', { 'sysctl.net.ipv4.ip_local_port_range': '60000 60999' }, /^WARN ports: only 1000 ports/],
    ['a filling table', { 'sysctl.net.netfilter.nf_conntrack_count': '220000' }, /^WARN conntrack: 220000 of 262144/],
    ['a full table', { 'sysctl.net.netfilter.nf_conntrack_count': '262144' }, /^FAIL conntrack/],
    ['a clock by nobody', { 'clock.chrony': undefined, 'clock.program': undefined }, /^UNKNOWN clock: nothing is seen/],
    [
      'a clock adrift',
      { 'clock.chrony': undefined, 'clock.synchronized': 'no' },
      /^WARN clock: .*not synchronised by chronyd/,
    ],
    ['a slow clock', { 'clock.source': 'xen' }, /^WARN clock-source: the clock source xen is slow/],
    ['a full disk', { 'disk.0.space': 'ext4 104857600 100000' }, /^FAIL disk: .* free of 100 GiB/],
    ['a filling disk', { 'disk.0.space': 'ext4 104857600 5242880' }, /^WARN disk: .*5 GiB free of 100 GiB \(5 %\)/],
    [
      'a disk for less',
      { 'memory.MemTotal': '104857600' },
      /^WARN disk: .*90 GiB free of 100 GiB; wanted: 3 × 32 GiB/,
      memoryOf(32),
    ],
    [
      'a disk that is too small',
      { 'disk.0.space': 'ext4 10485760 10485760' },
      /^FAIL disk: .*10 GiB in all/,
      memoryOf(6),
    ],
    ['a disk in memory', { 'disk.0.space': 'tmpfs 104857600 94371840' }, /^FAIL disk: .*in memory/],
    ['a network disk', { 'disk.0.space': 'nfs4 104857600 94371840' }, /^WARN disk: .*nfs4/],
    ['a layer', { 'disk.0.space': 'overlay 104857600 94371840' }, /^WARN disk: .*overlay/],
    ['a read-only disk', { 'disk.0.options': 'ro,relatime' }, /^FAIL disk: .*read-only/],
    ['no inodes', { 'disk.0.inodes': '1000000 10' }, /^WARN disk: .*10 inodes left/],
    ['a dead disk', { 'disk.0.silent': 'yes' }, /^FAIL disk: .*does not answer/],
    ['a lazy disk', { 'fsync.nanoseconds': '30000000' }, /^WARN fsync: .*30.0 ms/],
    ['a slow disk', { 'fsync.nanoseconds': '200000000' }, /^FAIL fsync/],
    ['a disk without an end', { 'fsync.nanoseconds': 'slow' }, /^FAIL fsync/],
    ['a disk of others', { 'fsync.nanoseconds': 'denied' }, /^UNKNOWN fsync/],
    [
      'stolen time',
      { 'cpu.times': '900000 0 50000 9000000 100 0 100 1000000 0 0' },
      /^WARN processor: 9.1 % of the time/,
    ],
    ['power saving', { 'cpu.governor': 'powersave', 'cpu.driver': 'acpi-cpufreq' }, /^WARN processor: the governor/],
    [
      'few processors',
      { cpus: '1' },
      /^WARN processor: 2 nodes share 1 processor/,
      needsOf([{ port: 1 }, { port: 2 }]),
    ],
    ['an old kernel', { kernel: '3.10.0-1160.el7' }, /^WARN kernel: .*leaks/],
    ['an old kernel on ARM', { kernel: '5.4.0', machine: 'aarch64' }, /^WARN kernel: .*ARM/],
    [
      'no limits on memory',
      { 'cgroup.controllers': 'cpuset cpu io pids' },
      /^WARN cgroups: the memory controller is off/,
    ],
    [
      'another value at boot',
      { 'boot.net.core.somaxconn': '/etc/sysctl.d/x.conf 128' },
      /^WARN boot: .*x.conf sets it to 128/,
    ],
  ])('with %s is told so', (_, changes, expected, needs) => {
    expect(wrong(changes, needs)).toEqual([expect.stringMatching(expected)]);
  });

  it.each<[string, Record<string, string | undefined>, HostNeeds?]>([
    [
      'no swap, whatever the swappiness',
      { 'sysctl.vm.swappiness': '60', 'memory.SwapTotal': '0', 'memory.SwapFree': '0' },
    ],
    [
      'ports that are reserved',
      { 'sysctl.net.ipv4.ip_local_reserved_ports': '39000-41000,50000' },
      needsOf([{ port: 40_000 }]),
    ],
    ['no firewall that tracks', { 'sysctl.net.netfilter.nf_conntrack_max': undefined }],
    ['no NUMA', { 'sysctl.vm.zone_reclaim_mode': undefined }],
    ['powersave of a driver that goes up by itself', { 'cpu.governor': 'powersave', 'cpu.driver': 'intel_pstate' }],
    ['a wrong line that a later file puts right', { 'boot.vm.swappiness': '/etc/sysctl.d/a.conf 5' }],
    ['a file system without inodes to count', { 'disk.0.inodes': '0 0' }],
    ['a machine that has just started', { 'cpu.times': '10 0 10 10 0 0 0 30 0 0' }],
  ])('with %s is in order', (_, changes, needs) => {
    expect(wrong(changes, needs)).toEqual([]);
  });

  it('that is no Linux is not judged', () => {
    expect(judgeHost(factsWith({ system: 'Darwin' }))).toMatchObject({
      verdict: 'UNKNOWN',
      findings: [{ check: 'system' }],
    });
  });

  it('is told of every fault what is wanted, why, and what to do', () => {
    const { findings } = judgeHost(factsWith({ 'sysctl.vm.overcommit_memory': '0' }));
    expect(findings[0]).toMatchObject({ value: '0', wanted: 'vm.overcommit_memory = 1', verdict: 'WARN' });
    expect(findings[0]?.why).toMatch(/\.$/);
    expect(findings[0]?.next).toMatch(/forge host tune/);
  });
});

describe('docs/host.md', () => {
  it('has every check in its table, in this order', () => {
    const names = [...readText('docs/host.md').matchAll(/^\| `([a-z][a-z-]*)` \|/gm)].map(([, name]) => name);
    expect(names).toEqual(HOST_CHECKS.map(({ name }) => name));
  });
});
