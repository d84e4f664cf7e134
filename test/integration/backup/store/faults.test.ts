/** S3 over a network that breaks, and from stores that fail: what is tried again, what is not, what is said. */
import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Limits } from '../../../../src/backup/store/s3/limits.js';
import { S3Store } from '../../../../src/backup/store/s3/store.js';
import type { S3Settings } from '../../../../src/config/backup-settings.js';
import type { ForgeError } from '../../../../src/errors.js';
import { makeAuthority } from '../../../support/certificates.js';
import { type FaultyProxy, type SeenRequest, startFaultyProxy } from '../../../support/s3/faulty.js';
import { startS3, type TestS3 } from '../../../support/s3.js';

const MIB = 1024 * 1024;
const never = new AbortController().signal;
const QUICK: Partial<Limits> = { attempts: 4, firstPauseMs: 5, pauseMaxMs: 20, silenceMs: 30_000, connectMs: 30_000 };

let s3: TestS3;
let proxy: FaultyProxy;
beforeAll(async () => {
  s3 = await startS3();
  proxy = await startFaultyProxy(s3.endpoint);
});
afterAll(async () => {
  await proxy?.stop();
  await s3?.stop();
});
beforeEach(() => proxy.reset());

const connect = (more: Partial<S3Settings> = {}, limits: Partial<Limits> = {}) =>
  S3Store.connect(s3.settings({ endpoint: proxy.endpoint, ...more }), { ...QUICK, ...limits });

const sum = (content: Buffer) => createHash('sha256').update(content).digest('hex');
async function digest(stream: Readable): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of stream) hash.update(piece);
  return hash.digest('hex');
}
const isPart = ({ method, url }: SeenRequest) => method === 'PUT' && url.includes('partNumber=');
const isBegin = ({ method, url }: SeenRequest) => method === 'POST' && /\?uploads/.test(url);
const isComplete = ({ method, url }: SeenRequest) => method === 'POST' && url.includes('uploadId=');
const isReading = ({ method, url }: SeenRequest) => method === 'GET' && url.includes('/one');

async function failure(work: Promise<unknown>): Promise<ForgeError> {
  return work.then(
    () => expect.fail('it succeeded'),
    (error) => error,
  );
}

describe('uploads', () => {
  it('send again the parts that failed, and no others', async () => {
    const store = await connect();
    const content = randomBytes(26 * MIB);
    const faults = [
      { cutRequestAfter: MIB },
      { loseAnswer: true },
      { answer: { status: 429 } },
      { answer: { status: 503 } },
    ] as const;
    proxy.fault = (request) => {
      const part = Number(/partNumber=(\d+)/.exec(request.url)?.[1] ?? 0);
      return isPart(request) && request.earlier === 0 ? faults[part - 1] : undefined;
    };
    await store.put('one', Readable.from([content]), { signal: never });
    expect(proxy.seen.filter(isPart)).toHaveLength(8);
    proxy.fault = () => undefined;
    expect(await digest(await store.open('one', never))).toBe(sum(content));
    expect(await store.sweep('', { beforeMs: Date.now() + 60_000, signal: never })).toBe(0);
    store.close();
  });

  it('are complete when the answer to their end is lost', async () => {
    const store = await connect();
    const content = randomBytes(9 * MIB);
    proxy.fault = (request) => (isComplete(request) && request.earlier === 0 ? { loseAnswer: true } : undefined);
    await store.put('one', Readable.from([content]), { signal: never });
    expect(proxy.seen.filter(isComplete).length).toBeGreaterThan(1);
    expect(await digest(await store.open('one', never))).toBe(sum(content));
    store.close();
  });

  it('go on when the store was gone for a while', async () => {
    const store = await connect({}, { attempts: 60, pauseMaxMs: 1_000 });
    const content = randomBytes(26 * MIB);
    let restarted: Promise<void> | undefined;
    proxy.fault = (request) => {
      if (isPart(request) && request.url.includes('partNumber=2')) restarted ??= s3.restart();
      return undefined;
    };
    await store.put('one', Readable.from([content]), { signal: never });
    await restarted;
    expect(restarted).toBeDefined();
    expect(await digest(await store.open('one', never))).toBe(sum(content));
    store.close();
  });

  it('fail after so many tries, and leave nothing', async () => {
    const store = await connect();
    proxy.fault = (request) =>
      isPart(request) && request.url.includes('partNumber=2')
        ? { answer: { status: 500, body: XML('InternalError') } }
        : undefined;
    const error = await failure(store.put('one', Readable.from([randomBytes(26 * MIB)]), { signal: never }));
    expect(error).toMatchObject({
      kind: 'unreachable',
      message: expect.stringMatching(/^s3:\/\/forge-\S+ at http\S+: writing part 2 of \S+ failed, 4 times: .*500/),
    });
    expect(proxy.seen.filter((each) => isPart(each) && each.url.includes('partNumber=2'))).toHaveLength(4);
    proxy.fault = () => undefined;
    expect(await store.sweep('', { beforeMs: Date.now() + 60_000, signal: never })).toBe(0);
    for await (const each of store.list('', never)) expect.fail(each.key);
    store.close();
  });

  it('are removed when the store has less of them than was sent', async () => {
    const store = await connect();
    proxy.fault = ({ method }) =>
      method === 'HEAD' ? { answer: { status: 200, headers: { 'content-length': '7' } } } : undefined;
    const error = await failure(store.put('one', Readable.from([Buffer.from('eight!!!')]), { signal: never }));
    expect(error).toMatchObject({
      kind: 'verification',
      message: expect.stringContaining('has 7 bytes in the store, where 8'),
    });
    proxy.fault = () => undefined;
    expect(await store.read('one', { maxBytes: 10, signal: never })).toBeUndefined();
    store.close();
  });

  it('of runs that were killed are swept, and younger ones stay', async () => {
    const store = await connect();
    const control = new AbortController();
    const begun = new Promise<void>((resolve) => {
      proxy.fault = (request) => {
        if (isPart(request)) resolve();
        return request.method === 'DELETE' ? { answer: { status: 500 } } : undefined;
      };
    });
    const put = store.put('dead/one', Readable.from([randomBytes(17 * MIB)]), { signal: control.signal });
    await begun;
    control.abort(new Error('killed'));
    await expect(put).rejects.toThrow('killed');
    proxy.fault = () => undefined;
    expect(await store.sweep('other/', { beforeMs: Date.now() + 60_000, signal: never })).toBe(0);
    expect(await store.sweep('dead/', { beforeMs: Date.now() - 600_000, signal: never })).toBe(0);
    expect(await store.sweep('dead/', { beforeMs: Date.now() + 60_000, signal: never })).toBe(1);
    expect(await store.sweep('dead/', { beforeMs: Date.now() + 60_000, signal: never })).toBe(0);
    store.close();
  });

  it('say what objects are to be given, and what the store makes of it', async () => {
    const tags = { team: 'data & more' };
    const store = await connect({ storageClass: 'STANDARD_IA', tags, encryption: { kind: 'aws:kms', keyId: 'key-1' } });
    const small = await failure(store.put('one', Readable.from([Buffer.from('a')]), { signal: never }));
    const large = await failure(store.put('one', Readable.from([randomBytes(9 * MIB)]), { signal: never }));
    for (const error of [small, large]) expect(error).toMatchObject({ kind: 'configuration' });
    const sent = {
      'x-amz-storage-class': 'STANDARD_IA',
      'x-amz-tagging': 'team=data+%26+more',
      'x-amz-server-side-encryption': 'aws:kms',
      'x-amz-server-side-encryption-aws-kms-key-id': 'key-1',
    };
    expect(proxy.seen.find(({ method }) => method === 'PUT')?.headers).toMatchObject(sent);
    expect(proxy.seen.find(isBegin)?.headers).toMatchObject(sent);
    store.close();
  });

  it('carry a sum when they are told to, and MD5 when the store asks for it', async () => {
    const plain = await connect();
    await plain.write('one', Buffer.from('a'), never);
    expect(Object.keys(proxy.seen[0]?.headers ?? {}).filter((name) => /checksum|md5/.test(name))).toEqual([]);
    proxy.reset();
    const summed = await connect({ checksums: 'supported' });
    await summed.write('one', Buffer.from('a'), never);
    expect(proxy.seen[0]?.headers).toHaveProperty('x-amz-checksum-crc32');
    proxy.reset();
    const body = XML(
      'InvalidRequest',
      'Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests',
    );
    proxy.fault = ({ earlier, headers }) =>
      earlier === 0 && !headers['content-md5'] ? { answer: { status: 400, body } } : undefined;
    await plain.write('one', Buffer.from('b'), never);
    await plain.write('two', Buffer.from('c'), never);
    expect(proxy.seen.map(({ headers }) => headers['content-md5'] !== undefined)).toEqual([false, true, true]);
    plain.close();
    summed.close();
  });
});

describe('readings', () => {
  it('go on where the connection broke, and ask for nothing twice', async () => {
    const store = await connect({}, { silenceMs: 3_000 });
    const content = randomBytes(20 * MIB);
    await store.put('one', Readable.from([content]), { signal: never });
    proxy.reset();
    const faults = [
      { cutAnswerAfter: 3 * MIB },
      { cutAnswerAfter: 5 * MIB },
      { silentAfter: MIB },
      { answer: { status: 503 } },
    ];
    proxy.fault = (request) => (isReading(request) ? faults.shift() : undefined);
    expect(await digest(await store.open('one', never))).toBe(sum(content));
    const answered = proxy.seen.reduce((all, each) => all + each.answered, 0);
    expect(answered).toBeGreaterThanOrEqual(content.length);
    expect(answered).toBeLessThan(content.length + MIB);
    expect(proxy.seen.slice(1).every(({ headers }) => headers['range'] && headers['if-match'])).toBe(true);
    store.close();
  });

  it('find out that the object was replaced, or removed, meanwhile', async () => {
    const store = await connect();
    for (const [change, message] of [
      [() => store.write('one', randomBytes(MIB), never), /was replaced while it was read/],
      [() => store.remove(['one'], never), /is gone/],
    ] as const) {
      await store.put('one', Readable.from([randomBytes(9 * MIB)]), { signal: never });
      proxy.fault = (request) =>
        isReading(request) && !request.headers['range'] ? { cutAnswerAfter: MIB } : undefined;
      const stream = await store.open('one', never);
      proxy.fault = () => undefined;
      await change();
      expect(await failure(digest(stream))).toMatchObject({
        kind: 'verification',
        message: expect.stringMatching(message),
      });
    }
    store.close();
  });

  it('end when nothing more comes', async () => {
    const settings = s3.settings({ endpoint: proxy.endpoint });
    const store = await S3Store.connect(settings, { ...QUICK, silenceMs: 500, attempts: 2 });
    const patient = await S3Store.connect(settings, { ...QUICK, silenceMs: 500, attempts: 20 });
    await patient.put('one', Readable.from([randomBytes(MIB)]), { signal: never });
    proxy.fault = (request) => (isReading(request) ? { silentAfter: 0 } : undefined);
    const error = await failure(store.open('one', never).then(digest));
    expect(error).toMatchObject({
      kind: expect.stringMatching(/timeout|unreachable/),
      message: expect.stringContaining('reading'),
    });
    proxy.fault = () => undefined;
    const slow = await patient.open('one', never);
    slow.read(1);
    await sleep(1_200);
    // Whoever is slow to read is not a store that is silent.
    expect(await digest(slow)).toBeDefined();
    store.close();
    patient.close();
  });
});

const XML = (code: string, message = 'Words of the store.', more = '') =>
  `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${message}</Message>${more}</Error>`;
const HTML = {
  status: 200,
  headers: { 'content-type': 'text/html' },
  body: '<html><body><h1>Welcome</h1></body></html>',
};

describe('a store', () => {
  it.each([
    [
      301,
      XML('PermanentRedirect', 'Elsewhere.'),
      { 'x-amz-bucket-region': 'eu-central-1' },
      'configuration',
      /region eu-central-1/,
    ],
    [400, XML('AuthorizationHeaderMalformed', 'x', '<Region>eu-3</Region>'), {}, 'configuration', /--region eu-3/],
    [403, XML('InvalidAccessKeyId'), {}, 'denied', /does not know this access key/],
    [403, XML('RequestTimeTooSkewed'), {}, 'configuration', /clocks/],
    [400, XML('ExpiredToken'), {}, 'denied', /expired/],
    [403, XML('AccessDenied'), {}, 'denied', /s3:ListBucket/],
    [403, '', {}, 'denied', /denies/],
    [400, XML('EntityTooLarge'), {}, 'refused', /size/],
    [507, '', {}, 'partial', /full/],
    [403, XML('QuotaExceeded'), {}, 'partial', /quota/],
    [501, XML('NotImplemented'), {}, 'configuration', /does not have this/],
    [503, XML('SlowDown'), {}, 'unreachable', /4 times.*SlowDown/],
    [500, '<html>oops</html>', { 'content-type': 'text/html' }, 'configuration', /no S3 store \(HTTP 500\)/],
    [200, HTML.body, HTML.headers, 'configuration', /no S3 store/],
    [404, HTML.body, HTML.headers, 'configuration', /no S3 store/],
    [418, XML('Teapot', 'I am\na teapot'), {}, 'configuration', /HTTP 418 \(Teapot: I am/],
  ] as const)('that answers %d %s', async (status, body, headers, kind, words) => {
    const store = await connect();
    proxy.fault = () => ({ answer: { status, body, headers } });
    const listing = (async () => {
      for await (const _ of store.list('', never));
    })();
    const error = await failure(listing);
    expect(error).toMatchObject({ kind });
    expect([error.message, ...error.next].join(' ')).toMatch(words);
    expect(await failure(store.write('one', Buffer.from('a'), never))).toMatchObject({ kind });
    store.close();
  });

  it('that has no removal of many at once is asked for each', async () => {
    const store = await connect();
    await Promise.all(['a', 'b', 'c'].map((key) => store.write(key, Buffer.from(key), never)));
    proxy.reset();
    proxy.fault = ({ method }) =>
      method === 'POST' ? { answer: { status: 501, body: XML('NotImplemented') } } : undefined;
    await store.remove(['a', 'b', 'none'], never);
    await store.remove(['b', 'c'], never);
    expect(proxy.seen.map(({ method }) => method).filter((method) => method === 'POST')).toHaveLength(1);
    for await (const each of store.list('', never)) expect.fail(each.key);
    store.close();
  });

  it('that says "done" to a removal and denies a part of it', async () => {
    const store = await connect();
    const body = `<DeleteResult><Error><Key>x</Key><Code>AccessDenied</Code><Message>No.</Message></Error></DeleteResult>`;
    proxy.fault = ({ method }) => (method === 'POST' ? { answer: { status: 200, body } } : undefined);
    expect(await failure(store.remove(['a', 'b'], never))).toMatchObject({ kind: 'denied' });
    store.close();
  });

  it('that knows the user, and not the right; or not the user', async () => {
    const { secretAccessKey, accessKeyId, strangerKeyId } = s3;
    for (const [credentials, words] of [
      [{ accessKeyId: strangerKeyId, secretAccessKey }, /s3:ListBucket/],
      [{ accessKeyId, secretAccessKey: 'wrong-secret' }, /secret/],
    ] as const) {
      const store = await connect({ credentials });
      const error = await failure(store.check(never));
      expect(error).toMatchObject({ kind: 'denied', next: [expect.anything()] });
      expect([error.message, ...error.next].join(' ')).toMatch(words);
      expect(JSON.stringify(error)).not.toMatch(new RegExp(`${secretAccessKey}|wrong-secret`));
      store.close();
    }
  });

  it('whose clock is an hour off is asked again by its own clock', async () => {
    const store = await connect();
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 });
    try {
      await store.check(never);
      await store.put('one', Readable.from([randomBytes(9 * MIB)]), { signal: never });
    } finally {
      vi.useRealTimers();
    }
    expect(proxy.seen.filter(isPart)).toHaveLength(2);
    store.close();
  });

  it('that nobody hears of again is given up in bounded time', async () => {
    const store = await connect({}, { silenceMs: 100, attempts: 2 });
    proxy.fault = () => new Promise(() => undefined);
    expect(await failure(store.check(never))).toMatchObject({ kind: 'timeout' });
    const bounded = await connect({}, { silenceMs: 60_000, requestMs: 100, attempts: 2 });
    expect(await failure(bounded.check(never))).toMatchObject({
      kind: 'timeout',
      message: expect.stringContaining('2 times'),
    });
    store.close();
    bounded.close();
  });

  it.each([
    ['http://127.0.0.1:1', 'unreachable', /ECONNREFUSED/],
    ['http://store.invalid', 'unreachable', /no host of that name/],
    ['https://127.0.0.1', 'configuration', /speak TLS/],
  ])('that is not at %s', async (endpoint, kind, words) => {
    const store = await connect({
      endpoint: endpoint.endsWith(':1')
        ? endpoint
        : endpoint === 'https://127.0.0.1'
          ? proxy.endpoint.replace('http', 'https')
          : endpoint,
    });
    const error = await failure(store.check(never));
    expect(error).toMatchObject({ kind, message: expect.stringMatching(words) });
    store.close();
  });

  it('whose certificate is not trusted is not spoken to; with its authority it is', async () => {
    const authority = await makeAuthority();
    const [cert, key] = await Promise.all([
      readFile(authority.server.certificate, 'utf8'),
      readFile(authority.server.key, 'utf8'),
    ]);
    const secure = await startFaultyProxy(s3.endpoint, { cert, key });
    try {
      const settings = s3.settings({ endpoint: secure.endpoint });
      const doubting = await S3Store.connect(settings, QUICK);
      expect(await failure(doubting.check(never))).toMatchObject({
        kind: 'configuration',
        message: expect.stringContaining('certificate is not trusted'),
        next: [expect.stringContaining('--s3-ca')],
      });
      expect(secure.seen).toEqual([]);
      const trusting = await S3Store.connect({ ...settings, caFile: authority.ca }, QUICK);
      await trusting.check(never);
      const content = randomBytes(9 * MIB);
      await trusting.put('one', Readable.from([content]), { signal: never });
      expect(await digest(await trusting.open('one', never))).toBe(sum(content));
      expect(secure.seen.some(({ headers }) => headers['expect'])).toBe(false);
      await expect(S3Store.connect({ ...settings, caFile: '/no/such/ca' })).rejects.toMatchObject({
        kind: 'configuration',
      });
      doubting.close();
      trusting.close();
    } finally {
      await secure.stop();
      await authority.remove();
    }
  });
});
