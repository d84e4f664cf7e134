import { describe, expect, it } from 'vitest';
import { parseFacts } from '../../../src/host/facts.js';
import { factsWith, HEALTHY } from './hosts.js';

describe('facts of a host', () => {
  it('are read with their units', () => {
    const facts = factsWith();
    expect(facts).toMatchObject({
      system: 'Linux',
      kernel: '6.1.0-13-amd64',
      hugePages: 'madvise',
      memoryBytes: 16 * 1024 ** 3,
      swapBytes: 1024 ** 3,
      swapUsedBytes: 0,
      cpus: 8,
      cpuTimes: { total: 9_951_200, steal: 1000 },
      clock: { synchronized: 'yes', program: 'chronyd', source: 'tsc' },
      docker: { running: true, filesHard: 1_048_576 },
      cgroupVersion: 2,
      inContainer: false,
    });
    expect(facts.clock.offsetMs).toBeCloseTo(0.012345);
    expect(facts.sysctls.get('net.ipv4.ip_local_port_range')).toBe('32768 60999');
    expect(facts.writable.has('net.core.somaxconn')).toBe(true);
    expect(facts.disks).toMatchObject([
      {
        found: '/var/lib/docker',
        fileSystem: 'ext4',
        freeBytes: 90 * 1024 ** 3,
        options: ['rw', 'relatime'],
        answers: true,
      },
    ]);
  });

  it('are read after the greeting of a login shell, and without most of their lines', () => {
    const facts = parseFacts(`Welcome to a1!\n\nformat 1\nsystem Linux\n`, 'a1');
    expect(facts).toMatchObject({ kernel: 'unknown', clock: { synchronized: 'unknown' }, disks: [], systemd: 'none' });
    expect(facts.memoryBytes).toBeUndefined();
  });

  it('are refused when another program answered', () => {
    expect(() => parseFacts('This account is currently not available.\n', 'a1')).toThrow(/a1 did not tell/);
    expect(() => parseFacts(HEALTHY.replace('format 1', 'format 2'), 'a1')).toThrow(/did not tell/);
  });

  it('know the keys of files that are read at boot, also with slashes', () => {
    const facts = parseFacts(`${HEALTHY}boot.net/core/somaxconn /etc/sysctl.d/90-x.conf 128\n`, 'a1');
    expect(facts.boot).toEqual([{ key: 'net.core.somaxconn', file: '/etc/sysctl.d/90-x.conf', value: '128' }]);
  });

  it.each([
    ['0,,0,1,0.7,0,0,0,0,0,0,0,0,Not synchronised', { synchronized: 'no', offsetMs: 700 }],
    ['0,,0,1,-2.5,0,0,0,0,0,0,0,0,Normal', { synchronized: 'yes', offsetMs: 2500 }],
  ])('know what chrony says: %s', (line, clock) => {
    expect(factsWith({ 'clock.chrony': line }).clock).toMatchObject(clock);
  });

  it.each([
    ['2500000', 2.5],
    ['slow', 'slow'],
    ['denied', 'denied'],
    ['nonsense', undefined],
  ])('know what was measured: %s', (text, expected) => {
    expect(factsWith({ 'fsync.nanoseconds': text }).fsync).toBe(expected);
  });
});
