/**
 * Encryption of objects: AES-256-GCM in chunks, each of which is proved before any byte of it is given out, so that
 * memory stays flat and nothing unproven is ever used (the STREAM construction: Hoang, Reyhanitabar, Rogaway, Vizár,
 * "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", 2015). The nonce is the number of the chunk
 * and whether it is the last: a chunk that is missing, moved, repeated or cut off is found out. Every object has a key of
 * its own (HKDF with the backup's salt and the object's name), so no nonce is ever used twice with one key.
 */
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import { Transform, type TransformCallback } from 'node:stream';
import { ForgeError } from '../../errors.js';

export const CIPHER = 'aes-256-gcm';
export const CHUNK_BYTES = 64 * 1024;
export const SALT_BYTES = 16;
export const SECRET_MIN_BYTES = 32;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** The number of a chunk is written into the nonce's bytes 3 to 10. */
const COUNTER_AT = 3;

/** The key for one purpose of one backup: the name of an object, or that of the manifest. */
export function keyFor(secret: Buffer, salt: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, salt, `redisforge backup ${purpose}`, KEY_BYTES));
}

function nonceOf(chunk: bigint, last: boolean): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce.writeBigUInt64BE(chunk, COUNTER_AT);
  nonce[NONCE_BYTES - 1] = last ? 1 : 0;
  return nonce;
}

/** Cuts a stream into pieces of one size; the last may be shorter, or empty when there is nothing at all. */
abstract class Chunked extends Transform {
  readonly #size: number;
  #waiting: Buffer[] = [];
  #bytes = 0;

  constructor(size: number) {
    super();
    this.#size = size;
  }

  /** @throws what the stream is to fail with */
  protected abstract convert(chunk: Buffer, last: boolean): Buffer;

  override _transform(piece: Buffer, _: BufferEncoding, done: TransformCallback): void {
    this.#waiting.push(piece);
    this.#bytes += piece.length;
    try {
      // Whether a chunk is the last one is known when there is more.
      if (this.#bytes > this.#size) {
        let all = Buffer.concat(this.#waiting);
        while (all.length > this.#size) {
          this.push(this.convert(all.subarray(0, this.#size), false));
          all = all.subarray(this.#size);
        }
        this.#waiting = [all];
        this.#bytes = all.length;
      }
      done();
    } catch (error) {
      done(error as Error);
    }
  }

  override _flush(done: TransformCallback): void {
    try {
      done(null, this.convert(Buffer.concat(this.#waiting), true));
    } catch (error) {
      done(error as Error);
    }
  }
}

class Encryption extends Chunked {
  readonly #key: Buffer;
  #chunk = 0n;

  constructor(key: Buffer, chunkBytes: number) {
    super(chunkBytes);
    this.#key = key;
  }

  protected override convert(chunk: Buffer, last: boolean): Buffer {
    const cipher = createCipheriv(CIPHER, this.#key, nonceOf(this.#chunk++, last));
    return Buffer.concat([cipher.update(chunk), cipher.final(), cipher.getAuthTag()]);
  }
}

class Decryption extends Chunked {
  readonly #key: Buffer;
  readonly #name: string;
  #chunk = 0n;

  constructor(key: Buffer, chunkBytes: number, name: string) {
    super(chunkBytes + TAG_BYTES);
    this.#key = key;
    this.#name = name;
  }

  protected override convert(chunk: Buffer, last: boolean): Buffer {
    const number = this.#chunk++;
    try {
      const end = chunk.length - TAG_BYTES;
      const decipher = createDecipheriv(CIPHER, this.#key, nonceOf(number, last), { authTagLength: TAG_BYTES });
      decipher.setAuthTag(chunk.subarray(end));
      return Buffer.concat([decipher.update(chunk.subarray(0, end)), decipher.final()]);
    } catch (cause) {
      // The first chunk fails with another key as well; a later one only when it is not what was written.
      const why = number === 0n ? 'this is another key, or its first bytes are damaged' : `chunk ${number} is damaged`;
      throw new ForgeError('verification', `${this.#name} cannot be decrypted: ${why}.`, {
        next: 'Check the key; take another backup when it is the right one.',
        cause,
      });
    }
  }
}

/** Turns what goes through it into what may lie with others. @param key of this object: `keyFor` */
export function encryption(key: Buffer, chunkBytes = CHUNK_BYTES): Transform {
  return new Encryption(key, chunkBytes);
}

/**
 * Turns it back. Fails with a ForgeError `verification` at the first chunk that is not as it was written, or when the end
 * is missing.
 * @param name for that message
 */
export function decryption(key: Buffer, name: string, chunkBytes = CHUNK_BYTES): Transform {
  return new Decryption(key, chunkBytes, name);
}
