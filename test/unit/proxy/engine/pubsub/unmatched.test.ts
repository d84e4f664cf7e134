import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Unmatched } from '../../../../../src/proxy/engine/pubsub/unmatched.js';

const text = fc.constantFrom(
  '',
  'a',
  'b',
  `${'x'.repeat(60)}1${'y'.repeat(60)}`,
  `${'x'.repeat(60)}2${'y'.repeat(60)}`,
);
const step = fc.oneof(
  fc.record({ do: fc.constant('add' as const), text, later: fc.nat(3) }),
  fc.record({ do: fc.constant('strike' as const), text, ago: fc.nat(10) }),
  fc.record({ do: fc.constant('shift' as const), text, ago: fc.nat(10) }),
);

describe('messages that one has said, and the other has not', () => {
  it('are struck off and taken out as from a list that is looked through', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const unmatched = new Unmatched();
        const list: { text: string; atMs: number }[] = [];
        let nowMs = 0;
        for (const each of steps) {
          const bytes = Buffer.from(`<${each.text}>`);
          if (each.do === 'add') {
            nowMs += each.later;
            unmatched.add(Buffer.from(each.text), nowMs);
            list.push({ text: each.text, atMs: nowMs });
          } else if (each.do === 'strike') {
            const at = list.findIndex((said) => said.text === each.text && said.atMs >= nowMs - each.ago);
            expect(unmatched.strike(bytes, 1, bytes.length - 1, nowMs - each.ago)).toBe(at >= 0);
            if (at >= 0) list.splice(at, 1);
          } else {
            const oldest = list[0] !== undefined && list[0].atMs < nowMs - each.ago ? list.shift()! : null;
            expect(unmatched.shift(nowMs - each.ago)?.message.toString() ?? null).toBe(oldest?.text ?? null);
          }
          expect(unmatched.empty).toBe(list.length === 0);
        }
      }),
    );
  });

  it('are found among many that were said before, as fast', () => {
    const unmatched = new Unmatched();
    const MANY = 4096;
    for (let i = 0; i < MANY; i++) unmatched.add(Buffer.from(`message ${i}`), i < MANY / 2 ? 0 : 1);
    for (let i = MANY / 2; i < MANY; i++) {
      const bytes = Buffer.from(`message ${i}`);
      expect(unmatched.strike(bytes, 0, bytes.length, 1)).toBe(true);
    }
    expect(unmatched.shift(1)?.message.toString()).toBe('message 0');
    expect(unmatched.full).toBe(false);
  });

  it('take room for what is left only', () => {
    const unmatched = new Unmatched();
    const MEBIBYTE = 1024 * 1024;
    for (let i = 0; i < 64; i++) {
      unmatched.add(Buffer.alloc(MEBIBYTE, i), i);
      expect(unmatched.full).toBe(false);
      if (i > 0) expect(unmatched.strike(Buffer.alloc(MEBIBYTE, i), 0, MEBIBYTE, 0)).toBe(true);
    }
    for (let i = 0; i < 4; i++) unmatched.add(Buffer.alloc(MEBIBYTE), 100);
    expect(unmatched.full).toBe(true);
  });
});
