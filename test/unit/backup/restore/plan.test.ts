import { describe, expect, it } from 'vitest';
import type { BackupManifest, BackupShard } from '../../../../src/backup/manifest.js';
import { judgeReply } from '../../../../src/backup/restore/delivery.js';
import { libraryName } from '../../../../src/backup/restore/functions.js';
import { shownKey } from '../../../../src/backup/restore/run.js';
import { recordedShape, replicasFor } from '../../../../src/backup/restore/shape.js';
import { nodesFile } from '../../../../src/backup/restore/to-files.js';
import { usersOf } from '../../../../src/backup/restore/users.js';
import { ForgeError } from '../../../../src/errors.js';

const id = (digit: number) => String(digit).repeat(40);
const node = (digit: number, more: Partial<BackupManifest['nodes'][number]> = {}): BackupManifest['nodes'][number] => ({
  id: id(digit),
  address: `10.0.0.${digit}:6379`,
  role: 'master',
  slots: [],
  configEpoch: digit,
  ...more,
});
const range = (start: number, end: number) => ({ start, end });
const manifest = {
  currentEpoch: 9,
  nodes: [
    node(1, { slots: [range(8_000, 16_383)] }),
    node(2, { slots: [range(0, 9), range(11, 7_999)] }),
    node(3, { slots: [range(10, 10)] }),
    node(4, { role: 'replica', masterId: id(1) }),
    node(5, { role: 'replica', masterId: id(2) }),
    node(6),
  ],
} as unknown as BackupManifest;
const shard = { masterId: id(2) } as unknown as BackupShard;

describe('the answer to RESTORE', () => {
  it.each([
    ['BUSYKEY Target key name already exists.', 'existing'],
    ['MOVED 3999 127.0.0.1:6381', 'again'],
    ['ASK 3999 127.0.0.1:6381', 'ask'],
    ['TRYAGAIN Multiple keys request during rehashing of slot', 'again'],
    ['CLUSTERDOWN The cluster is down', 'again'],
    ['LOADING Redis is loading the dataset in memory', 'again'],
    ["READONLY You can't write against a read only replica.", 'again'],
    ["OOM command not allowed when used memory > 'maxmemory'.", 'full'],
    ['MISCONF Redis is configured to save RDB snapshots', 'full'],
    ['ERR Bad data format', 'refused'],
    ['ERR DUMP payload version or checksum are wrong', 'refused'],
  ])('%s: %s', (reply, verdict) => {
    expect(judgeReply(reply)).toBe(verdict);
  });
});

describe('the shape that a cluster had', () => {
  it('is the slots of its masters, by the lowest, and the fewest replicas', () => {
    const shape = recordedShape(manifest);
    expect(shape.assignment).toEqual([[range(0, 9), range(11, 7_999)], [range(10, 10)], [range(8_000, 16_383)]]);
    expect(shape.replicasPerMaster).toBe(0);
    expect(replicasFor(shape, 3)).toBe(0);
    expect(replicasFor(shape, 8)).toBe(1);
    expect(() => replicasFor(shape, 2)).toThrow(ForgeError);
  });

  it('is written as servers read it', () => {
    expect(nodesFile(manifest, shard)?.split('\n')).toEqual([
      `${id(1)} 10.0.0.1:6379@16379 master - 0 0 1 connected 8000-16383`,
      `${id(2)} 10.0.0.2:6379@16379 myself,master - 0 0 2 connected 0-9 11-7999`,
      `${id(3)} 10.0.0.3:6379@16379 master - 0 0 3 connected 10`,
      `${id(6)} 10.0.0.6:6379@16379 master - 0 0 6 connected`,
      'vars currentEpoch 9 lastVoteEpoch 0',
      '',
    ]);
    const named = { ...manifest, nodes: [node(2, { address: 'redis-1:6379' })] };
    expect(nodesFile(named, shard)).toBeUndefined();
    const six = { ...manifest, nodes: [node(2, { address: '[2001:db8::1]:6379' })] };
    expect(nodesFile(six, shard)).toContain(`${id(2)} 2001:db8::1:6379@16379 myself`);
  });
});

describe('what people see', () => {
  it('is the bytes of a key, the name of a library, and the users', () => {
    expect(shownKey(Buffer.from('user:1'))).toBe('user:1');
    expect(shownKey(Buffer.from([0, 10, 255, 65]))).toBe('\\u0000\\n\\\\xffA');
    expect(libraryName('#!lua name=orders\nredis.register_function()')).toBe('orders');
    expect(libraryName('none')).toBe('unknown');
    expect(usersOf(['user app on #ab ~* +@all', 'user default on nopass', 'user app off', 'nonsense'])).toEqual([
      { name: 'app', rules: ['on', '#ab', '~*', '+@all'] },
      { name: 'default', rules: ['on', 'nopass'] },
    ]);
  });
});
