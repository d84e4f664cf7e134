import { describe, expect, it } from 'vitest';
import { readOwnSlots } from '../../../../../src/proxy/engine/scan/own-slots.js';

const OTHER = '07c3 10.0.0.2:6379@16379,host master - 0 1 2 connected 5461-10922 [77->-abc]';
const line = (flags: string, slots: string) => `e7d1 10.0.0.1:6379@16379,host ${flags} - 0 0 1 connected${slots}`;
const owned = (text: string) => {
  const slots = readOwnSlots(text)?.owned;
  return slots === undefined ? [] : [...slots].flatMap((own, slot) => (own ? [slot] : []));
};

describe('what a node says of its own slots', () => {
  it('is on its own line of CLUSTER NODES', () => {
    const text = `${OTHER}\n${line('myself,master', ' 0-2 7 16383')}\n`;
    expect(owned(text)).toEqual([0, 1, 2, 7, 16383]);
    expect(readOwnSlots(text)).toMatchObject({ replica: false, open: false });
  });

  it('tells slots that are on their way, in both directions', () => {
    expect(readOwnSlots(line('myself,master', ' 0-2 [1->-07c3]'))).toMatchObject({ open: true });
    const importing = line('myself,master', ' 0-2 [9-<-07c3]');
    expect(readOwnSlots(importing)).toMatchObject({ open: true });
    expect(owned(importing)).toEqual([0, 1, 2]);
  });

  it('tells a replica, and a master without slots', () => {
    expect(readOwnSlots(line('myself,slave', ''))).toMatchObject({ replica: true });
    expect(owned(line('myself,master', ''))).toEqual([]);
    expect(readOwnSlots(line('myself,master', ''))).toMatchObject({ replica: false, open: false });
  });

  it('is nothing when the node did not answer with it', () => {
    expect(readOwnSlots('')).toBeNull();
    expect(readOwnSlots(OTHER)).toBeNull();
    expect(readOwnSlots("NOPERM this user has no permissions to run the 'cluster|nodes' command")).toBeNull();
  });
});
