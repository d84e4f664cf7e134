import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { installSchedule, removeSchedule } from '../../../../src/backup/schedule/install.js';
import { OWN_LINE, schedulePaths } from '../../../../src/backup/schedule/units.js';
import { failureOf } from '../../cluster/formed.js';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'forge-schedule-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const options = () => ({ cluster: 'orders', root });
const files = (kind: 'cron' | 'systemd', text = 'x') =>
  schedulePaths('orders')[kind].map((file) => ({ path: file, text: `${OWN_LINE}\n${text}\n` }));
const there = async () =>
  (await readdir(root, { recursive: true, withFileTypes: true })).filter((each) => !each.isDirectory());

describe('a schedule', () => {
  it('is installed, replaced by one of another kind, and taken away', async () => {
    expect(await installSchedule('cron', files('cron'), options())).toEqual(schedulePaths('orders').cron);
    const file = root + schedulePaths('orders').cron[0];
    expect((await stat(file)).mode & 0o777).toBe(0o644);
    await installSchedule('cron', files('cron', 'y'), options());
    expect(await readFile(file, 'utf8')).toBe(`${OWN_LINE}\ny\n`);
    await installSchedule('systemd', files('systemd'), options());
    expect((await there()).map(({ name }) => name).sort()).toEqual([
      'redisforge-backup-orders.service',
      'redisforge-backup-orders.timer',
    ]);
    expect(await removeSchedule(options())).toEqual(schedulePaths('orders').systemd);
    expect(await there()).toEqual([]);
    expect(await removeSchedule(options())).toEqual([]);
  });

  it('leaves alone what forge has not written, links too', async () => {
    await installSchedule('cron', files('cron'), options());
    const file = root + schedulePaths('orders').cron[0];
    await writeFile(file, '0 0 * * * root something\n');
    expect(await failureOf(installSchedule('cron', files('cron'), options()))).toMatchObject({ kind: 'refused' });
    expect(await removeSchedule(options())).toEqual([]);
    await rm(file);
    await writeFile(path.join(root, 'elsewhere'), `${OWN_LINE}\n`);
    await symlink(path.join(root, 'elsewhere'), file);
    expect((await failureOf(installSchedule('cron', files('cron'), options()))).kind).toBe('refused');
    expect(await removeSchedule(options())).toEqual([]);
    expect(await there()).toHaveLength(2);
  });
});
