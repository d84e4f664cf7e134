import { describe, expect, it } from 'vitest';
import { slotOfTag, slotTags } from '../../../src/smoke/key-slot.js';
import { KEY_PREFIX, SmokeKeys, spreadSlots } from '../../../src/smoke/keys.js';

describe('keys for chosen slots', () => {
  it('are hashed as the cluster specification says', () => {
    // CRC16-XMODEM's check value, and slots that redis-server's CLUSTER KEYSLOT gives.
    expect(slotOfTag('123456789')).toBe(0x31c3);
    expect(slotOfTag('foo')).toBe(12182);
    expect(slotOfTag('somekey')).toBe(11058);
  });

  it('exist for every slot, short and without anything that would end a hash tag', () => {
    const tags = slotTags();
    expect(tags.length).toBe(16_384);
    expect(tags.every((tag, slot) => slotOfTag(tag) === slot && /^[0-9a-z]{1,4}$/.test(tag))).toBe(true);
  });

  it('differ between runs and are remembered for deletion only when they are written', () => {
    const keys = new SmokeKeys(60);
    const written = keys.key(7, 'a');
    keys.key(7, 'a');
    const read = keys.key(8, 'b', 'read');
    expect(keys.written).toEqual([written]);
    expect(read.name.startsWith(KEY_PREFIX)).toBe(true);
    expect(new SmokeKeys(60).key(7, 'a').name).not.toBe(written.name);
  });

  it('spread evenly over the slots', () => {
    const slots = spreadSlots(64);
    expect(slots.length).toBe(64);
    expect(new Set(slots.map((slot) => Math.floor(slot / 256))).size).toBe(64);
    expect(spreadSlots(3)).toEqual([0, 5461, 10922]);
  });
});
