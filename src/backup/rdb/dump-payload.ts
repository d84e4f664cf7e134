/** What DUMP gives and RESTORE takes, made of what an RDB file says of a key. Pure. */
import { Crc64 } from './crc64.js';

/** The version of the format, and the sum of all before it; both with the lowest byte first. */
const FOOTER_BYTES = 10;
const SUM_BYTES = 8;

export interface DumpParts {
  /** As the file has it before the type; most keys have none. */
  readonly metadata?: Buffer;
  readonly type: number;
  /** `bytes[start, end)`: the value as it stands in the file. */
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
  /** Of the format: a server refuses what is newer than itself. */
  readonly version: number;
}

/** One for all payloads: each is made in one go. */
const sum = new Crc64();

/** How long the payload is, bytes. */
export function dumpPayloadBytes({ metadata, start, end }: DumpParts): number {
  return (metadata?.length ?? 0) + 1 + (end - start) + FOOTER_BYTES;
}

/** Puts the payload into `target` from `at` on. @returns where it ends */
export function writeDumpPayload(target: Buffer, at: number, parts: DumpParts): number {
  const { metadata, type, bytes, start, end, version } = parts;
  let to = at;
  if (metadata !== undefined) to += metadata.copy(target, to);
  target[to++] = type;
  to += bytes.copy(target, to, start, end);
  target[to++] = version & 0xff;
  target[to++] = version >> 8;
  sum.reset().add(target, at, to).write(target, to);
  return to + SUM_BYTES;
}

export function dumpPayload(parts: DumpParts): Buffer {
  const payload = Buffer.allocUnsafe(dumpPayloadBytes(parts));
  writeDumpPayload(payload, 0, parts);
  return payload;
}
