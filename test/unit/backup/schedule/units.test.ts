import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseSchedule } from '../../../../src/backup/schedule/times.js';
import { cronFile, OWN_LINE, type ScheduledBackup, systemdFiles } from '../../../../src/backup/schedule/units.js';
import { backupWords } from '../../../../src/backup/schedule/words.js';
import { refusal } from '../../operations/planners/support.js';

const backup = (more: Partial<ScheduledBackup> = {}): ScheduledBackup => ({
  cluster: 'orders.eu',
  schedule: parseSchedule('daily'),
  program: ['/usr/bin/node', '/opt/forge/bin/run.js'],
  words: ['--quiet', '--to', '/var/backups'],
  user: 'backup',
  home: '/var/lib/forge',
  delayMs: 600_000,
  ...more,
});
const template = (name: string) =>
  readFileSync(new URL(`../../../../templates/systemd/redisforge-backup.${name}`, import.meta.url), 'utf8');
const templates = { service: template('service'), timer: template('timer') };
const NASTY = ["it's", 'two words', '50%', '$HOME', 'back\\slash', '"quoted"', '`id`', '*', ';'];

describe('a line of cron', () => {
  it('has time, user and command, in a file that cron reads', () => {
    expect(cronFile(backup())).toEqual({
      path: '/etc/cron.d/redisforge-backup-orders_eu',
      text: `${OWN_LINE}
SHELL=/bin/sh
0 2 * * * backup FORGE_HOME=/var/lib/forge /usr/bin/node /opt/forge/bin/run.js backup --quiet --to /var/backups --delay 10m
`,
    });
    expect(cronFile(backup({ delayMs: 0 })).text).not.toContain('--delay');
  });

  it('gives every word to the program as it is, through cron and a shell', () => {
    const program = [process.execPath, '-e', 'console.log(JSON.stringify(process.argv.slice(1)))', '--'];
    const { text } = cronFile(backup({ program, words: NASTY, delayMs: 0 }));
    const line =
      text
        .trimEnd()
        .split('\n')
        .at(-1)
        ?.replace(/^0 2 \* \* \* backup /, '') ?? '';
    // What cron does with the line before the shell has it (man 5 crontab).
    expect(line.replaceAll('\\%', '')).not.toContain('%');
    const said = execFileSync('/bin/sh', ['-c', line.replaceAll('\\%', '%')], { encoding: 'utf8' });
    expect(JSON.parse(said)).toEqual(['backup', ...NASTY]);
  });

  it('is one line, or none', () => {
    expect(refusal(() => cronFile(backup({ words: ['--to', 'a\nb'] }))).kind).toBe('usage');
  });
});

describe('a timer of systemd', () => {
  it('starts a service that is one backup', () => {
    const [service, timer] = systemdFiles(backup(), templates);
    expect(service?.path).toBe('/etc/systemd/system/redisforge-backup-orders_eu.service');
    expect(timer?.path).toBe('/etc/systemd/system/redisforge-backup-orders_eu.timer');
    for (const file of [service, timer]) expect(file?.text.startsWith(`${OWN_LINE}\n[Unit]\n`)).toBe(true);
    expect(service?.text).toContain(
      '\nExecStart=/usr/bin/node /opt/forge/bin/run.js backup --quiet --to /var/backups\n',
    );
    expect(service?.text).toContain('\nUser=backup\nEnvironment=FORGE_HOME=/var/lib/forge\n');
    expect(timer?.text).toContain('\nOnCalendar=*-*-* 02:00:00\nRandomizedDelaySec=600\n');
  });

  it('takes specifiers, variables and quotes for what they are', () => {
    const [service] = systemdFiles(backup({ words: NASTY }), templates);
    expect(service?.text).toContain(
      'backup "it\'s" "two words" 50%% "$$HOME" "back\\\\slash" "\\"quoted\\"" "`id`" "*" ";"\n',
    );
  });

  it('is refused for times that only cron has', () => {
    const schedule = parseSchedule('0 0 1 * 1');
    expect(refusal(() => systemdFiles(backup({ schedule }), templates)).next.join()).toContain('--format cron');
  });
});

describe('the words of a scheduled backup', () => {
  const definitions = {
    to: { type: 'option', default: undefined },
    config: { type: 'option' },
    tag: { type: 'option' },
    parallel: { type: 'option', default: 2 },
    partial: { type: 'boolean', default: false },
    prune: { type: 'boolean', default: true },
    tls: { type: 'boolean' },
    'data-dir': { type: 'option' },
  } as const;

  it('are the flags that were given, with absolute paths', () => {
    const values = {
      ...{ to: 'backups', tag: ['a=b', 'c=d'], parallel: 2, partial: true, prune: false, tls: true },
      ...{ 'data-dir': ['10.0.0.1:6379=data'], every: 'daily' },
    };
    expect(backupWords(values, definitions, { config: '/etc/forge.yaml' })).toEqual([
      ...['--quiet', '--to', `${process.cwd()}/backups`, '--config', '/etc/forge.yaml', '--tag', 'a=b', '--tag', 'c=d'],
      ...['--partial', '--no-prune', '--tls', '--data-dir', `10.0.0.1:6379=${process.cwd()}/data`],
    ]);
  });

  it('leave buckets as they are, and defaults out', () => {
    const values = { to: 's3://bucket/prefix', parallel: 2, partial: false, prune: true };
    expect(backupWords(values, definitions, {})).toEqual(['--quiet', '--to', 's3://bucket/prefix']);
  });
});
