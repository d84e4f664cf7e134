import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sealFits, sealText } from '../../../src/backup/sealed.js';

const KEY = Buffer.alloc(32, 1);
const text = (value: object, key?: Buffer) => sealText(JSON.stringify(value, undefined, 2), key);

describe('sealed JSON', () => {
  it('is JSON, and fits as it was made, with the key that it was made with', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }), fc.boolean(), (value, keyed) => {
        fc.pre(!('seal' in value));
        const sealed = text(value, keyed ? KEY : undefined);
        expect(sealFits(sealed, keyed ? KEY : undefined)).toBe(true);
        expect(sealFits(sealed, keyed ? undefined : KEY)).toBe(false);
        expect(sealFits(sealed, Buffer.alloc(32, 2))).toBe(false);
        const { seal, ...rest } = JSON.parse(sealed) as Record<string, unknown>;
        expect(JSON.stringify(rest)).toBe(JSON.stringify(JSON.parse(JSON.stringify(value))));
        expect(seal).toMatch(/^[0-9a-f]{64}$/);
      }),
    );
  });

  it.each([undefined, KEY])('tells of every bit, blank and end that is another one', (key) => {
    const sealed = Buffer.from(text({ one: [1, { two: 'ä' }], three: null }, key));
    for (let at = 0; at < sealed.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const changed = Buffer.from(sealed);
        changed[at] = (changed[at] as number) ^ (1 << bit);
        expect(sealFits(changed.toString('utf8'), key), `byte ${at}, bit ${bit}`).toBe(false);
      }
      expect(sealFits(sealed.subarray(0, at).toString('utf8'), key)).toBe(false);
      const longer = Buffer.concat([sealed.subarray(0, at), Buffer.from(' '), sealed.subarray(at)]);
      expect(sealFits(longer.toString('utf8'), key), `a blank at ${at}`).toBe(false);
    }
  });
});
