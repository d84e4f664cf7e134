/** One S3 client: how requests are signed, timed, tried again and given up. */
import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { readFile } from 'node:fs/promises';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import type { S3Settings } from '../../../config/backup-settings.js';
import { ForgeError } from '../../../errors.js';
import { onAbort } from '../signals.js';
import { explain, type Failure, failureOf, isPassing } from './failure.js';
import { type Limits, pauseBefore } from './limits.js';

/** Requests at once, of all that goes on: parts, lists, removals. */
const SOCKETS_MAX = 32;

export class S3Requests {
  /** Without secrets. */
  readonly place: string;
  readonly bucket: string;
  readonly limits: Limits;
  readonly #client: S3Client;
  /** Stores that ask for the MD5 sum of what is put there: buckets whose objects are locked, old stores. */
  #wantsMd5 = false;

  constructor(settings: S3Settings, limits: Limits, ca: Buffer | undefined) {
    const { bucket, prefix, endpoint } = settings;
    this.bucket = bucket;
    this.limits = limits;
    this.place = `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}${endpoint === undefined ? '' : ` at ${endpoint}`}`;
    this.#client = new S3Client(clientConfig(settings, limits, ca));
    this.#client.middlewareStack.add(
      (next, context) => async (args) => {
        const deletes = context['commandName'] === 'DeleteObjectsCommand';
        if (deletes || this.#wantsMd5) addMd5(args.request as PlainRequest, settings.checksums === 'required');
        return next(args);
      },
      { step: 'build', name: 'forgeContentMd5', priority: 'low' },
    );
  }

  /**
   * Sends a request until it succeeds, is refused for good, or was tried often enough.
   * @param action for messages: `writing a/b`
   * @param options.passes a failure that the caller can make something of; it is thrown as it is
   * @throws ForgeError
   */
  async send<Answer>(
    action: string,
    work: (client: S3Client, signal: AbortSignal) => Promise<Answer>,
    options: {
      readonly signal: AbortSignal;
      readonly attempts?: number;
      readonly passes?: (failure: Failure) => boolean;
    },
  ): Promise<Answer> {
    const { signal, attempts = this.limits.attempts, passes = () => false } = options;
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      try {
        return await this.#once(work, signal);
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        const failure = failureOf(error);
        if (passes(failure)) throw error;
        const again = this.#learns(failure) || isPassing(failure);
        if (!again || attempt >= attempts) throw explain(error, { place: this.place, action }, attempt);
        await pause(pauseBefore(attempt + 1, this.limits, Math.random()), signal);
      }
    }
  }

  /** Whether the next try will be another one. */
  #learns({ code, message }: Failure): boolean {
    if (this.#wantsMd5 || code !== 'InvalidRequest' || !/content-md5/i.test(message)) return false;
    this.#wantsMd5 = true;
    return true;
  }

  async #once<Answer>(work: (client: S3Client, signal: AbortSignal) => Promise<Answer>, signal: AbortSignal) {
    const own = new AbortController();
    const stop = () => own.abort(signal.reason);
    const late = setTimeout(() => own.abort(), this.limits.requestMs);
    const forget = onAbort(signal, stop);
    try {
      return await work(this.#client, own.signal);
    } catch (error) {
      if (!own.signal.aborted || signal.aborted) throw error;
      const message = `no end after ${this.limits.requestMs / 1000} s`;
      throw Object.assign(new Error(message, { cause: error }), { name: 'TimeoutError' });
    } finally {
      clearTimeout(late);
      forget();
    }
  }

  close(): void {
    this.#client.destroy();
  }
}

/** @throws the signal's reason */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  setMaxListeners(0, signal);
  await sleep(ms, undefined, { signal }).catch(() => {
    throw signal.reason;
  });
}

/** @throws ForgeError `configuration` for a certificate that cannot be read */
export async function connectS3(settings: S3Settings, limits: Limits): Promise<S3Requests> {
  const { caFile } = settings;
  if (caFile === undefined) return new S3Requests(settings, limits, undefined);
  const ca = await readFile(caFile).catch((cause) => {
    throw new ForgeError('configuration', `The certificate of the store's authority, ${caFile}, cannot be read.`, {
      next: 'Check --s3-ca (AWS_CA_BUNDLE).',
      cause,
    });
  });
  return new S3Requests(settings, limits, ca);
}

function clientConfig(settings: S3Settings, limits: Limits, ca: Buffer | undefined): S3ClientConfig {
  const { endpoint, region, pathStyle, checksums, credentials, profile } = settings;
  // The SDK tells whoever uses an older Node.js so on standard error, at every run of cron.
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
  const sums = checksums === 'required' ? 'WHEN_REQUIRED' : 'WHEN_SUPPORTED';
  return {
    forcePathStyle: pathStyle,
    requestChecksumCalculation: sums,
    // What is read is proved by the manifest's own sums.
    responseChecksumValidation: 'WHEN_REQUIRED',
    // Tries are counted here.
    maxAttempts: 1,
    followRegionRedirects: false,
    // Stores that do not answer it would be waited for with every part; and its connections would not be used again.
    expectContinueHeader: false,
    requestHandler: {
      connectionTimeout: limits.connectMs,
      socketTimeout: limits.silenceMs,
      // Agents of our own: the SDK makes others, without the authority, from mere settings of one.
      httpAgent: new HttpAgent({ keepAlive: true, maxSockets: SOCKETS_MAX }),
      httpsAgent: new HttpsAgent({ keepAlive: true, maxSockets: SOCKETS_MAX, ...(ca && { ca }) }),
    },
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(credentials === undefined ? {} : { credentials }),
    ...(profile === undefined ? {} : { profile }),
  };
}

interface PlainRequest {
  readonly headers: Record<string, string>;
  readonly body?: unknown;
}

/** @param alone other sums are taken out, which old stores do not know */
function addMd5({ headers, body }: PlainRequest, alone: boolean): void {
  if (typeof body !== 'string' && !(body instanceof Uint8Array)) return;
  for (const name of Object.keys(headers)) {
    if (alone && /^x-amz-(?:sdk-)?checksum-/i.test(name)) delete headers[name];
  }
  headers['content-md5'] = createHash('md5').update(body).digest('base64');
}
