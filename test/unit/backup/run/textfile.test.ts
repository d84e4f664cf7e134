import { describe, expect, it } from 'vitest';
import { formatBackupRun } from '../../../../src/backup/run/textfile.js';

const success = {
  ...{ finishedAtMs: 1_795_348_800_999, elapsedMs: 1_500, bytes: 2_048, keys: 3, masters: 2, movingSlots: 0 },
};
const valuesOf = (text: string) =>
  Object.fromEntries(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => /^(\w+)\{redis_cluster="orders"\} (\S+)$/.exec(line)?.slice(1) ?? [line, '?']),
  );

describe('what is told of a run', () => {
  const done = formatBackupRun({ cluster: 'orders', endedAtMs: 1_795_348_801_000, exitCode: 0, success });

  it('is when it succeeded, and what is in the backup', () => {
    expect(valuesOf(done)).toEqual({
      redisforge_backup_last_success_timestamp_seconds: '1795348800',
      redisforge_backup_duration_seconds: '1.5',
      redisforge_backup_stored_bytes: '2048',
      redisforge_backup_keys: '3',
      redisforge_backup_masters: '2',
      redisforge_backup_moving_slots: '0',
      redisforge_backup_last_run_timestamp_seconds: '1795348801',
      redisforge_backup_last_exit_code: '0',
    });
  });

  it('keeps the last success when a run fails', () => {
    const failed = formatBackupRun({ cluster: 'orders', endedAtMs: 1_795_359_999_000, exitCode: 4 }, done);
    expect(valuesOf(failed)).toEqual({
      ...valuesOf(done),
      redisforge_backup_last_run_timestamp_seconds: '1795359999',
      redisforge_backup_last_exit_code: '4',
    });
  });

  it('has no success where there never was one, where the file is of another cluster, or nonsense', () => {
    const run = { cluster: 'orders', endedAtMs: 1_000, exitCode: 4 };
    const bare = { redisforge_backup_last_run_timestamp_seconds: '1', redisforge_backup_last_exit_code: '4' };
    expect(valuesOf(formatBackupRun(run))).toEqual(bare);
    expect(valuesOf(formatBackupRun(run, done.replaceAll('orders', 'carts')))).toEqual(bare);
    expect(valuesOf(formatBackupRun(run, 'x{redis_cluster="orders"} 1\n\0\n{}'))).toEqual(bare);
  });
});
