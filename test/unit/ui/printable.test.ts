import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { printable } from '../../../src/ui/printable.js';

describe('words that somebody else chose', () => {
  it('are shown as they are when they do no harm', () => {
    expect(printable('cart:{8821} größe 日本 🙂')).toBe('cart:{8821} größe 日本 🙂');
  });

  it('move no cursor, change no colour, break no line and turn no direction', () => {
    expect(printable('a\u001b[2Jb\r\nc\u0007')).toBe('a\\u001b[2Jb\\u000d\\u000ac\\u0007');
    expect(printable('x\u202Ey\u2028z\u009b1m')).toBe('x\\u202ey\\u2028z\\u009b1m');
    expect(printable('\ud800')).toBe('\\ud800');
  });

  it('never hold anything that a terminal obeys, whatever they are', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 50 }), (text, max) => {
        const shown = printable(text, max);
        expect(shown).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
        expect([...shown].length).toBeLessThanOrEqual(max);
      }),
    );
  });

  it('are cut where they are too long, and that is shown', () => {
    expect(printable('abcdef', 6)).toBe('abcdef');
    expect(printable('abcdefg', 6)).toBe('abcde…');
    expect(printable('🙂🙂🙂', 2)).toBe('🙂…');
  });
});
