import { describe, expect, it } from 'vitest';
import { encodeRestores, type RestoredKey, restoreCommand } from '../../../../src/backup/restore/encode-restore.js';
import { encodeCommands } from '../../../../src/cluster/bulk/encode-commands.js';

const keyOf = (key: Buffer, payload: Buffer, expireAtMs?: number): RestoredKey => ({
  key,
  expireAtMs,
  value: {
    payload: () => payload,
    payloadBytes: payload.length,
    writePayload: (target, at) => at + payload.copy(target, at),
  },
});

describe('RESTORE', () => {
  it('has the time as the backup has it', () => {
    const words = (expireAtMs: number | undefined, replace: boolean) =>
      restoreCommand(keyOf(Buffer.from('k'), Buffer.from('v'), expireAtMs), replace)
        .map(String)
        .join(' ');
    expect(words(undefined, false)).toBe('RESTORE k 0 v');
    expect(words(undefined, true)).toBe('RESTORE k 0 v REPLACE');
    expect(words(1_800_000_000_000, false)).toBe('RESTORE k 1800000000000 v ABSTTL');
    expect(words(1_800_000_000_000, true)).toBe('RESTORE k 1800000000000 v ABSTTL REPLACE');
  });

  it.each([true, false])('of many keys is what each is alone, replacing: %s', (replace) => {
    const lengths = [0, 1, 9, 10, 63, 64, 65, 99, 100, 999, 1_000, 12_345];
    const keys = lengths.flatMap((length, index) => [
      keyOf(Buffer.alloc(length, 'k'), Buffer.alloc(lengths.length - index, 'v')),
      keyOf(Buffer.from([0, 13, 10, index]), Buffer.alloc(length, 'v'), 1 + index * 999_999_999_999),
    ]);
    const alone = encodeCommands(keys.map((key) => restoreCommand(key, replace)));
    expect(encodeRestores(keys, replace).equals(alone)).toBe(true);
    expect(encodeRestores([], replace)).toHaveLength(0);
  });
});
