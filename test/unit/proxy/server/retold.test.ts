import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  decodeNumbers,
  decodeTopic,
  encodeNumbers,
  encodeTopic,
  NUMBERS_MAX,
  RETOLD_NAME_BYTES_MAX,
  Retold,
} from '../../../../src/proxy/server/handover/retold.js';

const number = fc.integer({ min: 0, max: 0xffff_ffff });

it('brings a topic back, its name byte for byte', () => {
  fc.assert(
    fc.property(number, fc.constantFrom(0, 1, 2), fc.uint8Array({ maxLength: 300 }), (id, kind, bytes) => {
      const name = Buffer.from(bytes).toString('latin1');
      expect(decodeTopic(encodeTopic(id, kind, name))).toEqual({ number: id, kind, name });
    }),
  );
});

it('takes nothing for a topic that is none', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
      fc.pre(bytes[0] !== Retold.topic || bytes.length < 6 || bytes[5]! > 2);
      expect(decodeTopic(bytes)).toBeNull();
    }),
  );
});

it('brings numbers back, and leaves out what is cut off', () => {
  fc.assert(
    fc.property(fc.array(number, { maxLength: 50 }), fc.nat(3), (numbers, cut) => {
      const packet = encodeNumbers(Retold.done, numbers);
      expect(decodeNumbers(packet)).toEqual(numbers);
      const shorter = packet.subarray(0, Math.max(1, packet.length - cut));
      expect(decodeNumbers(shorter)).toEqual(cut === 0 ? numbers : numbers.slice(0, -1));
    }),
  );
});

it('has room in a packet for the most that is said at once', () => {
  const PACKET_BYTES = 128 * 1024;
  const most = Array.from({ length: NUMBERS_MAX }, (_, i) => i);
  expect(encodeNumbers(Retold.end, most).length).toBeLessThanOrEqual(PACKET_BYTES);
  expect(encodeTopic(1, 0, 'x'.repeat(RETOLD_NAME_BYTES_MAX)).length).toBeLessThanOrEqual(PACKET_BYTES);
});
