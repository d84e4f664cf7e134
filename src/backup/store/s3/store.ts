/** Backups in a bucket of Amazon S3, or of a store that speaks its protocol. */
import type { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
} from '@aws-sdk/client-s3';
import type { S3Settings } from '../../../config/backup-settings.js';
import { ForgeError } from '../../../errors.js';
import { CHECK_CONTENT, CHECK_KEY } from '../check.js';
import type { BackupStore, PutOptions, StoredObject } from '../store.js';
import { connectS3, type S3Requests } from './client.js';
import { openObject } from './download.js';
import { explain, type Failure, failureOf, isMissing, isNotBuiltIn, notS3 } from './failure.js';
import { LIMITS, type Limits } from './limits.js';
import { PartMemory } from './memory.js';
import { type Extras, extrasOf, putStream, putWhole } from './upload.js';

/** S3's own bound. */
const REMOVED_AT_ONCE = 1_000;
const SINGLE_REMOVALS_AT_ONCE = 8;
/** A thousand keys a page: a million pages are more than any bucket of backups has. */
const PAGES_MAX = 1_000_000;

type Signal = { readonly signal: AbortSignal };

export class S3Store implements BackupStore {
  readonly place: string;
  readonly #requests: S3Requests;
  readonly #memory: PartMemory;
  readonly #extras: Extras;
  /** Empty, or with a slash at its end. */
  readonly #prefix: string;
  /** Stores that have no removal of many at once. */
  #oneByOne = false;

  private constructor(settings: S3Settings, requests: S3Requests) {
    const { bucket, prefix } = settings;
    this.place = `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}`;
    this.#requests = requests;
    this.#memory = new PartMemory(requests.limits.memoryBytes);
    this.#extras = extrasOf(settings);
    this.#prefix = prefix === '' ? '' : `${prefix}/`;
  }

  /** Asks the store for nothing yet. @throws ForgeError `configuration` for a certificate that cannot be read */
  static async connect(settings: S3Settings, limits: Partial<Limits> = {}): Promise<S3Store> {
    return new S3Store(settings, await connectS3(settings, { ...LIMITS, ...limits }));
  }

  async *list(prefix: string, signal: AbortSignal): AsyncIterable<StoredObject> {
    const action = `listing ${`${this.#prefix}${prefix}` || 'the bucket'}`;
    let after: string | undefined;
    for (let page = 0; page < PAGES_MAX; page++) {
      const input = {
        ...{ Bucket: this.#requests.bucket, Prefix: this.#prefix + prefix, ContinuationToken: after },
        // XML cannot say all characters that keys may have.
        EncodingType: 'url' as const,
      };
      const answer = await this.#requests.send(
        action,
        (client, abortSignal) => client.send(new ListObjectsV2Command(input), { abortSignal }),
        { signal },
      );
      if (answer.IsTruncated === undefined && answer.Name === undefined)
        throw notS3({ place: this.#requests.place, action });
      for (const { Key, Size, LastModified } of answer.Contents ?? []) {
        const full = decoded(Key ?? '', answer.EncodingType);
        const key = full.slice(this.#prefix.length);
        if (!full.startsWith(this.#prefix) || key === '' || key.endsWith('/')) continue;
        yield { key, bytes: Size ?? 0, modifiedMs: LastModified?.getTime() ?? 0 };
      }
      const next = answer.IsTruncated ? answer.NextContinuationToken : undefined;
      if (next === undefined) return;
      if (next === after) throw notS3({ place: this.#requests.place, action });
      after = next;
    }
  }

  async read(key: string, { maxBytes, signal }: { readonly maxBytes: number } & Signal): Promise<Buffer | undefined> {
    const input = { Bucket: this.#requests.bucket, Key: this.#prefix + key };
    try {
      return await this.#requests.send(
        `reading ${input.Key}`,
        async (client, abortSignal) => {
          const { Body, ContentLength } = await client.send(new GetObjectCommand(input), { abortSignal });
          const body = Body as Readable;
          if (ContentLength !== undefined && ContentLength > maxBytes) {
            body.destroy();
            throw this.#tooLarge(key, ContentLength, maxBytes);
          }
          return await this.#collect(body, key, maxBytes, ContentLength);
        },
        { signal, passes: isMissing },
      );
    } catch (error) {
      if (isMissing(failureOf(error))) return undefined;
      throw error;
    }
  }

  async #collect(body: Readable, key: string, maxBytes: number, wanted: number | undefined): Promise<Buffer> {
    const pieces: Buffer[] = [];
    let bytes = 0;
    for await (const piece of body as AsyncIterable<Buffer>) {
      bytes += piece.length;
      if (bytes > maxBytes) throw this.#tooLarge(key, bytes, maxBytes);
      pieces.push(piece);
    }
    if (wanted === undefined || wanted === bytes) return Buffer.concat(pieces);
    throw Object.assign(new Error(`${bytes} of ${wanted} bytes arrived`), { code: 'ECONNRESET' });
  }

  #tooLarge(key: string, bytes: number, maxBytes: number): ForgeError {
    return new ForgeError('verification', `${this.place}/${key} has ${bytes} bytes, where ${maxBytes} are the most.`, {
      next: 'Look at who wrote it.',
    });
  }

  open(key: string, signal: AbortSignal): Promise<Readable> {
    return openObject(this.#requests, this.#prefix + key, signal);
  }

  write(key: string, content: Buffer, signal: AbortSignal): Promise<void> {
    return putWhole(this.#target(key), content, signal);
  }

  put(key: string, source: Readable, options: PutOptions): Promise<void> {
    return putStream(this.#target(key), source, options);
  }

  #target(key: string) {
    return { requests: this.#requests, memory: this.#memory, extras: this.#extras, key: this.#prefix + key };
  }

  async remove(keys: readonly string[], signal: AbortSignal): Promise<void> {
    for (let at = 0; at < keys.length; at += REMOVED_AT_ONCE) {
      const batch = keys.slice(at, at + REMOVED_AT_ONCE).map((key) => this.#prefix + key);
      if (batch.length === 1 || this.#oneByOne || !(await this.#removeTogether(batch, signal))) {
        await this.#removeSingly(batch, signal);
      }
    }
  }

  /** @returns false when the store has no such request */
  async #removeTogether(keys: readonly string[], signal: AbortSignal): Promise<boolean> {
    const { bucket, place } = this.#requests;
    const input = { Bucket: bucket, Delete: { Quiet: true, Objects: keys.map((Key) => ({ Key })) } };
    const unknown = (failure: Failure) => isNotBuiltIn(failure) || ODD_REFUSALS.has(failure.code);
    try {
      const { Errors = [] } = await this.#requests.send(
        `removing ${keys.length} objects`,
        (client, abortSignal) => client.send(new DeleteObjectsCommand(input), { abortSignal }),
        { signal, passes: unknown },
      );
      const [failed] = Errors.filter(({ Code }) => Code !== 'NoSuchKey');
      if (failed === undefined) return true;
      const error = Object.assign(new Error(failed.Message ?? ''), { name: failed.Code ?? 'UnknownError' });
      throw explain(Object.assign(error, STATUS_OF_PARTS), { place, action: `removing ${failed.Key}` });
    } catch (error) {
      if (error instanceof ForgeError || !unknown(failureOf(error))) throw error;
      this.#oneByOne = true;
      return false;
    }
  }

  async #removeSingly(keys: readonly string[], signal: AbortSignal): Promise<void> {
    const open = [...keys];
    const work = async () => {
      for (let key = open.shift(); key !== undefined; key = open.shift()) {
        const input = { Bucket: this.#requests.bucket, Key: key };
        await this.#requests
          .send(
            `removing ${key}`,
            (client, abortSignal) => client.send(new DeleteObjectCommand(input), { abortSignal }),
            { signal, passes: isMissing },
          )
          .catch((error) => {
            if (!isMissing(failureOf(error))) throw error;
          });
      }
    };
    await Promise.all(Array.from({ length: Math.min(SINGLE_REMOVALS_AT_ONCE, keys.length) }, work));
  }

  async sweep(prefix: string, { beforeMs, signal }: { readonly beforeMs: number } & Signal): Promise<number> {
    let count = 0;
    let after: { KeyMarker?: string; UploadIdMarker?: string } = {};
    for (let page = 0; page < PAGES_MAX; page++) {
      const input = { Bucket: this.#requests.bucket, Prefix: this.#prefix + prefix, ...after };
      const answer = await this.#requests
        .send(
          `looking for unfinished uploads of ${this.#prefix}${prefix}`,
          (client, abortSignal) => client.send(new ListMultipartUploadsCommand(input), { abortSignal }),
          { signal, passes: isNotBuiltIn },
        )
        .catch((error) => {
          if (isNotBuiltIn(failureOf(error))) return undefined;
          throw error;
        });
      for (const { Key, UploadId, Initiated } of answer?.Uploads ?? []) {
        const ours = Key?.startsWith(input.Prefix) === true && UploadId !== undefined;
        if (!ours || Initiated === undefined || Initiated.getTime() >= beforeMs) continue;
        await this.#abort(Key, UploadId, signal);
        count++;
      }
      const { IsTruncated, NextKeyMarker, NextUploadIdMarker } = answer ?? {};
      const same = NextKeyMarker === after.KeyMarker && NextUploadIdMarker === after.UploadIdMarker;
      if (!IsTruncated || NextKeyMarker === undefined || same) return count;
      after = { KeyMarker: NextKeyMarker, UploadIdMarker: NextUploadIdMarker };
    }
    return count;
  }

  async #abort(key: string, uploadId: string, signal: AbortSignal): Promise<void> {
    const input = { Bucket: this.#requests.bucket, Key: key, UploadId: uploadId };
    const gone = ({ code, status }: Failure) => code === 'NoSuchUpload' || status === 404;
    await this.#requests
      .send(
        `giving up an unfinished upload of ${key}`,
        (client, abortSignal) => client.send(new AbortMultipartUploadCommand(input), { abortSignal }),
        { signal, passes: gone },
      )
      .catch((error) => {
        if (!gone(failureOf(error))) throw error;
      });
  }

  async check(signal: AbortSignal): Promise<void> {
    for await (const _ of this.list(CHECK_KEY, signal)) break;
    await this.write(CHECK_KEY, CHECK_CONTENT, signal);
    const found = await this.read(CHECK_KEY, { maxBytes: CHECK_CONTENT.length, signal });
    if (found === undefined || !found.equals(CHECK_CONTENT)) {
      throw new ForgeError(
        'verification',
        `${this.#requests.place}: what was written a moment ago reads differently.`,
        {
          next: 'Ask whoever runs the store.',
        },
      );
    }
    // Whoever may write and not remove can take backups all the same.
    await this.remove([CHECK_KEY], signal).catch((error) => {
      if (!(error instanceof ForgeError) || error.kind !== 'denied') throw error;
    });
  }

  close(): void {
    this.#requests.close();
  }
}

/** How stores without it refuse a removal of many. */
const ODD_REFUSALS = new Set(['InvalidArgument', 'MalformedXML', 'MalformedPOSTRequest', 'UnsupportedOperation']);
/** A part of an answer that succeeded as a whole. */
const STATUS_OF_PARTS = { $metadata: { httpStatusCode: 400 } };

function decoded(key: string, encoding: string | undefined): string {
  if (encoding !== 'url') return key;
  try {
    return decodeURIComponent(key.replaceAll('+', ' '));
  } catch {
    return key;
  }
}
