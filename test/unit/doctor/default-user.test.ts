import { describe, expect, it } from 'vitest';
import { leavesOutTransactions } from '../../../src/doctor/default-user.js';

const ON = ['appendonly', 'yes'];
const user = (commands: string, keys: unknown) => [
  'flags',
  ['off'],
  'commands',
  commands,
  'keys',
  keys,
  'selectors',
  [],
];
const redis = (version: string) => `# Server\r\nredis_version:${version}\r\n`;
const valkey = (version: string) => `redis_version:7.2.4\r\nvalkey_version:${version}\r\n`;

describe('transactions are left out', () => {
  it.each([
    ['-@all', ''],
    ['+@all', ''],
    ['-@all', '~*'],
    ['+@all -debug', '~*'],
    ['+@all', ['~a*']],
  ])('when the default user may %j on %j', (commands, keys) => {
    expect(leavesOutTransactions(redis('7.0.15'), ON, user(commands, keys))).toBe(true);
  });

  it.each(['~*', ['~*'], '~a ~*'])('and not when it may everything: keys %j', (keys) => {
    expect(leavesOutTransactions(redis('7.0.15'), ON, user('+@all', keys))).toBe(false);
  });

  it.each([
    [redis('6.2.0'), true],
    [redis('8.0.6'), true],
    [redis('8.6.0'), false],
    [redis('10.0.0'), false],
    [valkey('8.1.0'), true],
    [valkey('9.1.1'), true],
    [valkey('9.1.2'), false],
    ['', false],
  ])('by some versions: %j', (info, expected) => {
    expect(leavesOutTransactions(info, ON, user('-@all', ''))).toBe(expected);
  });

  it('only where there is such a file, and it is told', () => {
    expect(leavesOutTransactions(redis('7.0.15'), ['appendonly', 'no'], user('-@all', ''))).toBe(false);
    expect(leavesOutTransactions(redis('7.0.15'), undefined, user('-@all', ''))).toBe(false);
    expect(leavesOutTransactions(redis('7.0.15'), ON, undefined)).toBe(false);
  });
});
