/** Uploads of streams: in parts, each of which is tried again by itself; whole in the end, or not there at all. */
import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { S3Settings } from '../../../config/backup-settings.js';
import { ForgeError } from '../../../errors.js';
import { onAbort } from '../signals.js';
import type { PutOptions } from '../store.js';
import type { S3Requests } from './client.js';
import { failureOf, isMissing, notS3 } from './failure.js';
import { OBJECT_BYTES_MAX, PARTS_MAX, partBytesAt } from './limits.js';
import type { PartMemory } from './memory.js';

/** By it an upload is known again whose end was not answered. */
const UPLOAD_MARK = 'forge-upload';

/** What objects are given beside their bytes. */
export type Extras = Pick<
  PutObjectCommandInput,
  'StorageClass' | 'ServerSideEncryption' | 'SSEKMSKeyId' | 'Tagging' | 'ChecksumAlgorithm'
>;

export function extrasOf({ storageClass, encryption, tags, checksums }: S3Settings): Extras {
  return {
    ...(storageClass === undefined ? {} : { StorageClass: storageClass as Extras['StorageClass'] }),
    ...(encryption === undefined ? {} : { ServerSideEncryption: encryption.kind }),
    ...(encryption?.keyId === undefined ? {} : { SSEKMSKeyId: encryption.keyId }),
    ...(tags === undefined ? {} : { Tagging: new URLSearchParams(tags).toString() }),
    ...(checksums === 'supported' ? { ChecksumAlgorithm: 'CRC32' } : {}),
  };
}

export interface UploadTarget {
  readonly requests: S3Requests;
  readonly memory: PartMemory;
  readonly extras: Extras;
  /** With the store's prefix. */
  readonly key: string;
}

/** One request: the object is there when it ends. */
export async function putWhole(target: UploadTarget, content: Buffer, signal: AbortSignal): Promise<void> {
  const { requests, extras, key } = target;
  const input = { Bucket: requests.bucket, Key: key, Body: content, ContentLength: content.length, ...extras };
  const action = `writing ${key}`;
  const { ETag } = await requests.send(
    action,
    (client, abortSignal) => client.send(new PutObjectCommand(input), { abortSignal }),
    { signal },
  );
  // A page that says "welcome" to every request is no store.
  if (ETag === undefined) throw notS3({ place: requests.place, action });
}

/** @throws ForgeError, or what the source fails with; then nothing stays in the store, as far as it still answers */
export async function putStream(target: UploadTarget, source: Readable, options: PutOptions): Promise<void> {
  try {
    options.signal.throwIfAborted();
    await new Upload(target, options).run(source);
  } finally {
    source.destroy();
  }
}

class Upload {
  readonly #target: UploadTarget;
  readonly #options: PutOptions;
  /** Ends all parts when one fails, and when the caller says so. */
  readonly #ending = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #parts: CompletedPart[] = [];
  readonly #mark = randomBytes(12).toString('hex');
  #uploadId: string | undefined;
  /** The object may be there, though nobody has said so. */
  #mayBeThere = false;
  #sent = 0;
  #stored = 0;

  constructor(target: UploadTarget, options: PutOptions) {
    this.#target = target;
    this.#options = options;
  }

  async run(source: Readable): Promise<void> {
    const { signal } = this.#options;
    const forget = onAbort(signal, () => this.#ending.abort(signal.reason));
    // A source that is silent at this moment would be waited for.
    onAbort(this.#ending.signal, () => source.destroy(this.#ending.signal.reason));
    try {
      await this.#feed(source);
      await this.#finish();
    } catch (error) {
      const reason = this.#ending.signal.aborted ? this.#ending.signal.reason : error;
      this.#ending.abort(error);
      // A part that arrives after the end would stay.
      await Promise.allSettled(this.#running);
      await this.#abandon();
      throw signal.aborted ? signal.reason : reason;
    } finally {
      forget();
    }
  }

  /** Cuts the stream into parts, and sends each as soon as it is full. */
  async #feed(source: Readable): Promise<void> {
    const { memory } = this.#target;
    let part: Buffer | undefined;
    let filled = 0;
    try {
      for await (const any of source as AsyncIterable<Uint8Array>) {
        const piece = Buffer.isBuffer(any) ? any : Buffer.from(any);
        for (let at = 0; at < piece.length; ) {
          this.#ending.signal.throwIfAborted();
          if (part !== undefined && filled === part.length) {
            await this.#begin();
            await this.#launch(part, filled);
            part = undefined;
          }
          if (part === undefined) {
            part = await memory.acquire(partBytesAt(this.#sent), this.#ending.signal);
            filled = 0;
          }
          const copied = piece.copy(part, filled, at);
          at += copied;
          filled += copied;
        }
      }
      this.#ending.signal.throwIfAborted();
      if (this.#uploadId === undefined) {
        this.#mayBeThere = true;
        await putWhole(this.#target, part?.subarray(0, filled) ?? Buffer.alloc(0), this.#options.signal);
        this.#sent = filled;
        this.#progress(filled);
      } else if (part !== undefined) {
        await this.#launch(part, filled);
        part = undefined;
      }
    } finally {
      if (part !== undefined) memory.release(part);
    }
  }

  async #begin(): Promise<void> {
    if (this.#uploadId !== undefined) return;
    const { requests, extras, key } = this.#target;
    const { ServerSideEncryption, SSEKMSKeyId, StorageClass, Tagging, ChecksumAlgorithm } = extras;
    const input = {
      ...{ Bucket: requests.bucket, Key: key, Metadata: { [UPLOAD_MARK]: this.#mark } },
      ...{ ServerSideEncryption, SSEKMSKeyId, StorageClass, Tagging, ChecksumAlgorithm },
    };
    // One that is cut off may have begun an upload whose name nobody knows: it is given some time to answer.
    const late = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const forget = onAbort(this.#ending.signal, () => {
      timer = setTimeout(() => late.abort(this.#ending.signal.reason), requests.limits.cleanUpMs / 2);
    });
    try {
      const { UploadId } = await requests.send(
        `beginning to write ${key}`,
        (client, abortSignal) => client.send(new CreateMultipartUploadCommand(input), { abortSignal }),
        { signal: late.signal },
      );
      this.#uploadId = UploadId;
    } finally {
      forget();
      clearTimeout(timer);
    }
    this.#ending.signal.throwIfAborted();
  }

  /** The buffer is given back when the part is in the store, or has failed. */
  async #launch(buffer: Buffer, length: number): Promise<void> {
    const { memory, requests } = this.#target;
    const number = this.#parts.length + 1;
    this.#parts.push({ PartNumber: number });
    this.#sent += length;
    const work = this.#sendPart(number, buffer.subarray(0, length))
      .catch((error) => this.#ending.abort(error))
      .finally(() => {
        memory.release(buffer);
        this.#running.delete(work);
      });
    this.#running.add(work);
    while (this.#running.size >= requests.limits.partsAtOnce) await Promise.race(this.#running);
    this.#ending.signal.throwIfAborted();
  }

  async #sendPart(number: number, body: Buffer): Promise<void> {
    const { requests, extras, key } = this.#target;
    if (number > PARTS_MAX || this.#sent > OBJECT_BYTES_MAX) {
      throw new ForgeError('refused', `${requests.place}: ${key} is larger than an object of S3 may be (5 TiB).`, {
        next: 'Divide the slots of this shard over more masters.',
      });
    }
    const { ETag, ChecksumCRC32 } = await requests.send(
      `writing part ${number} of ${key}`,
      (client, abortSignal) => {
        const input = { Bucket: requests.bucket, Key: key, UploadId: this.#uploadId, PartNumber: number, Body: body };
        const sum = { ContentLength: body.length, ChecksumAlgorithm: extras.ChecksumAlgorithm };
        return client.send(new UploadPartCommand({ ...input, ...sum }), { abortSignal });
      },
      { signal: this.#ending.signal },
    );
    this.#parts[number - 1] = { PartNumber: number, ETag, ...(ChecksumCRC32 === undefined ? {} : { ChecksumCRC32 }) };
    this.#progress(body.length);
  }

  #progress(bytes: number): void {
    this.#stored += bytes;
    this.#options.onProgress?.(this.#stored);
  }

  async #finish(): Promise<void> {
    await Promise.all(this.#running);
    this.#ending.signal.throwIfAborted();
    if (this.#uploadId !== undefined) await this.#complete();
    const { requests, key } = this.#target;
    const head = await this.#head(this.#options.signal);
    if (head?.ContentLength === this.#sent) return;
    throw new ForgeError(
      'verification',
      `${requests.place}: ${key} has ${head?.ContentLength ?? 'no'} bytes in the store, where ${this.#sent} were sent.`,
      { next: 'Run it again; ask whoever runs the store when it happens again.' },
    );
  }

  async #complete(): Promise<void> {
    const { requests, key } = this.#target;
    const input = {
      ...{ Bucket: requests.bucket, Key: key, UploadId: this.#uploadId },
      MultipartUpload: { Parts: this.#parts },
    };
    this.#mayBeThere = true;
    try {
      await requests.send(
        `completing ${key}`,
        (client, abortSignal) => client.send(new CompleteMultipartUploadCommand(input), { abortSignal }),
        { signal: this.#options.signal, passes: ({ code }) => code === 'NoSuchUpload' },
      );
    } catch (error) {
      // Completed by a try whose answer was lost: then the object is there, with the mark of this upload.
      if (failureOf(error).code !== 'NoSuchUpload') throw error;
      const head = await this.#head(this.#options.signal);
      if (head?.Metadata?.[UPLOAD_MARK] === this.#mark) return;
      throw new ForgeError('partial', `${requests.place}: somebody has aborted the upload of ${key}.`, {
        next: 'Run it again; look for rules of the bucket that end uploads too early.',
        cause: error,
      });
    }
  }

  async #head(signal: AbortSignal) {
    const { requests, key } = this.#target;
    try {
      return await requests.send(
        `looking at ${key}`,
        (client, abortSignal) =>
          client.send(new HeadObjectCommand({ Bucket: requests.bucket, Key: key }), { abortSignal }),
        { signal, passes: isMissing },
      );
    } catch (error) {
      if (isMissing(failureOf(error))) return undefined;
      throw error;
    }
  }

  /** What cannot be removed now is swept by a later run. */
  async #abandon(): Promise<void> {
    const { requests, key } = this.#target;
    const place = { Bucket: requests.bucket, Key: key };
    const UploadId = this.#uploadId;
    const signal = AbortSignal.timeout(requests.limits.cleanUpMs);
    const tried = (work: Promise<unknown>) => work.catch(() => undefined);
    if (UploadId !== undefined) {
      await tried(
        requests.send(
          `giving up ${key}`,
          (client, abortSignal) =>
            client.send(new AbortMultipartUploadCommand({ ...place, UploadId }), { abortSignal }),
          { signal },
        ),
      );
    }
    if (!this.#mayBeThere) return;
    await tried(
      requests.send(
        `removing ${key}`,
        (client, abortSignal) => client.send(new DeleteObjectCommand(place), { abortSignal }),
        { signal },
      ),
    );
  }
}
