import { describe, expect, it } from 'vitest';
import { KnownMembers } from '../../../src/config/resolve-members.js';

const look = async (host: string) => {
  if (host === 'redis-1') return ['10.0.0.1', 'fd00::1'];
  if (host === 'hangs') return new Promise<string[]>(() => undefined);
  throw new Error('no such name');
};

describe('the members that an operator named', () => {
  it('are found by address, by what a name resolves to, and by the name that a node announces', async () => {
    const members = await KnownMembers.of(
      [
        { host: 'redis-1', port: 6379, zone: 'a' },
        { host: '10.0.0.2', port: 6379, zone: 'b' },
        { host: 'announced', port: 6379, zone: 'c' },
        { host: 'hangs', port: 6379, zone: 'd' },
      ],
      look,
    );
    expect(members.find({ ip: '10.0.0.1', port: 6379 })?.zone).toBe('a');
    expect(members.find({ ip: 'fd00::1', port: 6379 })?.zone).toBe('a');
    expect(members.find({ ip: '10.0.0.2', port: 6379 })?.zone).toBe('b');
    expect(members.find({ ip: '10.9.9.9', port: 6379, hostname: 'Announced' })?.zone).toBe('c');
    expect(members.find({ ip: '10.0.0.2', port: 6380 })).toBeUndefined();
  });

  it('keep the zone that was told in one place only', async () => {
    const twice = [
      { host: '10.0.0.1', port: 1 },
      { host: '10.0.0.1', port: 1, zone: 'a' },
      { host: '10.0.0.1', port: 1 },
    ];
    expect((await KnownMembers.of(twice)).find({ ip: '10.0.0.1', port: 1 })?.zone).toBe('a');
  });
});
