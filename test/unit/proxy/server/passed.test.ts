import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  PASSED_INPUT_BYTES_MAX,
  PASSED_NAMES_MAX,
  PASSED_TOPICS_MAX,
} from '../../../../src/proxy/engine/clients/passing.js';
import { decodePassed, encodePassed } from '../../../../src/proxy/server/handover/passed.js';

const client = {
  user: 'app',
  nopass: false,
  proto: 3,
  muted: 0,
  name: 'n\u00fcmber "1"',
  libName: '',
  libVersion: '',
  noEvict: false,
  noTouch: true,
  wrote: true,
};

it('brings a client back, with what it had begun to say byte for byte', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.string({ maxLength: 20 }), (input, path) => {
      const packet = new Uint8Array(4096);
      const length = encodePassed(packet, client, path, input);
      const text = Buffer.from(input).toString('latin1');
      expect(decodePassed(packet.subarray(0, length))).toEqual({ client, path, topics: [], input: text });
      const subscribed = encodePassed(packet, client, path, input, [1, 70_000]);
      expect(decodePassed(packet.subarray(0, subscribed))).toEqual({ client, path, topics: [1, 70_000], input: text });
    }),
  );
});

it('takes nothing for a client that is none', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      expect(decodePassed(bytes)).toBeNull();
    }),
  );
  const packet = new Uint8Array(4096);
  const length = encodePassed(packet, client, '', null);
  for (let cut = 0; cut < length; cut++) expect(decodePassed(packet.slice(0, cut))).toBeNull();
});

it('has room in a packet for the most that a client may bring', () => {
  const PACKET_BYTES = 128 * 1024;
  // Each character may take two bytes, and numbers have ten digits.
  const most = { ...client, name: '\u00ff'.repeat(PASSED_NAMES_MAX) };
  const topics = Array.from({ length: PASSED_TOPICS_MAX }, (_, i) => 4_294_900_000 + i);
  const input = new Uint8Array(PASSED_INPUT_BYTES_MAX);
  const length = encodePassed(new Uint8Array(PACKET_BYTES - 1), most, `/${'p'.repeat(107)}`, input, topics);
  expect(length).toBeGreaterThan(PACKET_BYTES * 0.9);
});

it('says when there is no room', () => {
  expect(() => encodePassed(new Uint8Array(64), client, '', null)).toThrow(RangeError);
});
