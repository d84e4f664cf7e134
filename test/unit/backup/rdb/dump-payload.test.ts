import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dumpPayload, dumpPayloadBytes, writeDumpPayload } from '../../../../src/backup/rdb/dump-payload.js';
import { versionOfType } from '../../../../src/backup/rdb/format.js';
import { VALUES } from './make-rdb.js';

const tenOf = (version: number) => ({ type: 0, bytes: Buffer.of(9, 0xc0, 10, 9), start: 1, end: 3, version });

describe('the payload of a dump', () => {
  it('is what Redis gives', () => {
    // SET mykey 10, DUMP mykey of Redis 7.0, as its documentation shows it.
    expect(dumpPayload(tenOf(10)).toString('hex')).toBe('00c00a0a006e9f57450eae63bb');
    expect(dumpPayload({ ...tenOf(300) }).readUInt16LE(3)).toBe(300);
  });

  it('is put between other things, and as long as it was said', () => {
    const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array));
    fc.assert(
      fc.property(bytes, fc.option(bytes, { nil: undefined }), fc.nat({ max: 9 }), (value, metadata, at) => {
        const parts = { metadata, type: 4, bytes: value, start: 0, end: value.length, version: 12 };
        const payload = dumpPayload(parts);
        expect(payload).toHaveLength(dumpPayloadBytes(parts));
        const target = Buffer.alloc(at + payload.length + 3, 7);
        expect(writeDumpPayload(target, at, parts)).toBe(at + payload.length);
        expect(target).toEqual(Buffer.concat([Buffer.alloc(at, 7), payload, Buffer.alloc(3, 7)]));
        expect(payload.subarray(0, -10)).toEqual(Buffer.concat([metadata ?? Buffer.alloc(0), Buffer.of(4), value]));
      }),
    );
  });
});

describe('the version of a type', () => {
  it('is known for each that is read, and for no other', () => {
    for (const family of ['redis', 'valkey'] as const) {
      for (let type = 0; type < 256; type++) {
        expect(versionOfType(type, family) !== undefined, `${family} ${type}`).toBe(VALUES[family].has(type));
      }
    }
  });

  it.each([
    ['redis', 0, 1],
    ['redis', 5, 8],
    ['redis', 15, 9],
    ['redis', 18, 10],
    ['valkey', 20, 11],
    ['redis', 22, 12],
    ['redis', 26, 13],
    ['valkey', 22, 80],
  ] as const)('is that of the first server that had it: %s, %i', (family, type, version) => {
    expect(versionOfType(type, family)).toBe(version);
  });
});
