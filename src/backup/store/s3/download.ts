/** An object as a stream that goes on where a connection breaks. */
import { Readable } from 'node:stream';
import { GetObjectCommand, type GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { ForgeError } from '../../../errors.js';
import { onAbort } from '../signals.js';
import { pause, type S3Requests } from './client.js';
import { explain, failureOf, isMissing, isPassing, notS3 } from './failure.js';
import { pauseBefore } from './limits.js';

interface Opened {
  readonly body: Readable;
  /** Of the whole object. */
  readonly bytes: number;
  readonly etag: string;
}

/** Asks for the object, so that one that is not there is told at once. @throws ForgeError `verification` without it */
export async function openObject(requests: S3Requests, key: string, signal: AbortSignal): Promise<Readable> {
  const first = await openAt(requests, key, 0, undefined, signal);
  return new ObjectStream(requests, key, first, signal);
}

class ObjectStream extends Readable {
  readonly #requests: S3Requests;
  readonly #key: string;
  readonly #signal: AbortSignal;
  readonly #first: Opened;
  #body: Readable;
  #at = 0;
  #begun = false;
  #goOn: (() => void) | undefined;
  readonly #forget: () => void;

  constructor(requests: S3Requests, key: string, first: Opened, signal: AbortSignal) {
    super();
    this.#requests = requests;
    this.#key = key;
    this.#first = first;
    this.#body = first.body;
    this.#signal = signal;
    this.#forget = onAbort(signal, () => this.destroy(signal.reason));
    // A failure before anybody reads is told to the first who does.
    first.body.on('error', () => undefined);
  }

  override _read(): void {
    this.#goOn?.();
    if (this.#begun) return;
    this.#begun = true;
    this.#run().then(
      () => this.push(null),
      (error) => this.destroy(error),
    );
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#forget();
    this.#body.destroy();
    this.#goOn?.();
    done(error);
  }

  async #run(): Promise<void> {
    const { limits, place } = this.#requests;
    const { bytes } = this.#first;
    let failed = 0;
    for (;;) {
      const before = this.#at;
      const failure = await this.#passOn();
      if (this.destroyed || (failure === undefined && this.#at === bytes)) return;
      const broken = failure ?? new Broken(`the connection ended after ${this.#at} of ${bytes} bytes`);
      // Whoever gets on is let on, however often it breaks.
      failed = this.#at > before ? 1 : failed + 1;
      if (this.#at > bytes || failed >= limits.attempts || !isPassing(failureOf(broken))) {
        throw explain(broken, { place, action: `reading ${this.#key}` }, failed);
      }
      await pause(pauseBefore(failed + 1, limits, Math.random()), this.#signal);
      this.#body = (await openAt(this.#requests, this.#key, this.#at, this.#first, this.#signal)).body;
      if (this.destroyed) this.#body.destroy();
    }
  }

  /** @returns why the body broke; undefined at its end */
  async #passOn(): Promise<unknown> {
    const body = this.#body;
    try {
      for await (const piece of watched(body, this.#requests.limits.silenceMs)) {
        this.#at += piece.length;
        if (this.destroyed) return undefined;
        if (!this.push(piece)) {
          await new Promise<void>((resolve) => {
            this.#goOn = resolve;
          });
          this.#goOn = undefined;
        }
      }
      return undefined;
    } catch (error) {
      return error;
    } finally {
      body.destroy();
    }
  }
}

class Broken extends Error {
  readonly code = 'ECONNRESET';
}

/** Gives up on a body that is silent for so long. Time in which nobody asks for more does not count. */
async function* watched(body: Readable, silenceMs: number): AsyncGenerator<Buffer> {
  const iterator = (body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  for (;;) {
    const timer = setTimeout(() => {
      const message = `silent for ${silenceMs / 1000} s`;
      body.destroy(Object.assign(new Error(message), { name: 'TimeoutError', code: 'ETIMEDOUT' }));
    }, silenceMs);
    try {
      const { done, value } = await iterator.next();
      if (done) return;
      clearTimeout(timer);
      yield value;
    } finally {
      clearTimeout(timer);
    }
  }
}

async function openAt(
  requests: S3Requests,
  key: string,
  offset: number,
  former: Pick<Opened, 'etag' | 'bytes'> | undefined,
  signal: AbortSignal,
): Promise<Opened> {
  const { bucket, place } = requests;
  const input = {
    ...{ Bucket: bucket, Key: key },
    ...(former === undefined ? {} : { Range: `bytes=${offset}-`, IfMatch: former.etag }),
  };
  const action = `reading ${key}`;
  let answer: GetObjectCommandOutput;
  try {
    // The answer's body outlives the request: it has bounds of its own.
    answer = await requests.send(
      action,
      (client, abortSignal) => client.send(new GetObjectCommand(input), { abortSignal }),
      {
        signal,
        passes: (failure) => isMissing(failure) || failure.status === 412 || failure.status === 416,
      },
    );
  } catch (error) {
    const failure = failureOf(error);
    if (isMissing(failure)) throw missing(`${place}: ${key}`, former === undefined);
    if (failure.status === 412 || failure.status === 416) throw replaced(`${place}: ${key}`);
    throw error;
  }
  const body = answer.Body as Readable | undefined;
  const { ContentLength = Number.NaN, ContentRange, ETag } = answer;
  if (body === undefined || ETag === undefined) throw notS3({ place, action });
  if (former === undefined) return { body, bytes: ContentLength, etag: ETag };
  if (ETag !== former.etag || !startsAt(ContentRange, offset)) {
    body.destroy();
    throw replaced(`${place}: ${key}`);
  }
  return { body, bytes: former.bytes, etag: former.etag };
}

const startsAt = (range: string | undefined, offset: number) => range?.startsWith(`bytes ${offset}-`) === true;

const missing = (what: string, atFirst: boolean) =>
  new ForgeError('verification', `${what} is ${atFirst ? 'missing' : 'gone: somebody has removed it meanwhile'}.`, {
    next: 'Take another backup of the list: forge backup list.',
  });

const replaced = (what: string) =>
  new ForgeError('verification', `${what} was replaced while it was read.`, {
    next: 'Run it again; look at who else writes there.',
  });
