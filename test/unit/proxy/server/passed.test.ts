import fc from 'fast-check';
import { expect, it } from 'vitest';
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

it('says when there is no room', () => {
  expect(() => encodePassed(new Uint8Array(64), client, '', null)).toThrow(RangeError);
});
