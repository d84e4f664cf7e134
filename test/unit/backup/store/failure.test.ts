import { describe, expect, it } from 'vitest';
import { explain, failureOf, isMissing, isNotBuiltIn, isPassing } from '../../../../src/backup/store/s3/failure.js';
import { ForgeError } from '../../../../src/errors.js';

const AT = { place: 's3://b/p at https://s3.internal', action: 'listing p/' };
const system = (code: string, message = code) => Object.assign(new Error(message), { code });
const answered = (name: string, status: number, more: object = {}) =>
  Object.assign(new Error('Words.'), { name, $metadata: { httpStatusCode: status }, ...more });

describe('what may succeed later', () => {
  it.each([
    ...['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN', 'EHOSTUNREACH'].map((code) => system(code)),
    ...[500, 502, 503, 504, 429, 408].map((status) => answered('Unknown', status)),
    answered('RequestTimeout', 400),
    answered('RequestTimeTooSkewed', 403),
    answered('SlowDown', 503),
    answered('BadDigest', 400),
    Object.assign(new Error('late'), { name: 'TimeoutError' }),
    new AggregateError([system('ECONNREFUSED'), system('ECONNREFUSED')]),
  ])('is tried again: %s', (error) => {
    expect(isPassing(failureOf(error))).toBe(true);
  });

  it.each([
    ...['ENOTFOUND', 'EPROTO', 'CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'HPE_INVALID_CONSTANT'].map((code) =>
      system(code),
    ),
    ...[400, 403, 404, 405, 501, 507].map((status) => answered('Unknown', status)),
    answered('NoSuchBucket', 404),
    answered('NotImplemented', 500),
    new Error('a fault of our own'),
    'a text',
    undefined,
  ])('and what is not: %s', (error) => {
    expect(isPassing(failureOf(error))).toBe(false);
  });
});

describe('what is missing', () => {
  it('is the object, not the bucket', () => {
    expect(isMissing(failureOf(answered('NoSuchKey', 404)))).toBe(true);
    expect(isMissing(failureOf(answered('NotFound', 404)))).toBe(true);
    expect(isMissing(failureOf(answered('NoSuchBucket', 404)))).toBe(false);
    expect(isMissing(failureOf(answered('AccessDenied', 403)))).toBe(false);
    expect(isNotBuiltIn(failureOf(answered('MethodNotAllowed', 405)))).toBe(true);
  });
});

describe('what is said', () => {
  it.each([
    [system('ENOTFOUND'), 'unreachable', /no host of that name/],
    [system('ECONNREFUSED', 'connect ECONNREFUSED 10.0.0.1:443'), 'unreachable', /ECONNREFUSED/],
    [system('CERT_HAS_EXPIRED', 'certificate has expired'), 'configuration', /certificate is not trusted/],
    [system('EPROTO', 'wrong version number'), 'configuration', /speak TLS/],
    [system('HPE_INVALID_CONSTANT'), 'configuration', /no S3 store/],
    [Object.assign(new Error('late'), { name: 'TimeoutError' }), 'timeout', /does not answer \(late\)/],
    [answered('CredentialsProviderError', 0, { $metadata: {} }), 'configuration', /no credentials/],
    [new Error('Region is missing'), 'configuration', /no region/],
    [answered('InvalidObjectState', 403), 'refused', /archived/],
    [answered('PermanentRedirect', 301), 'configuration', /another region/],
    [answered('Unknown', 301, { $response: { headers: { 'x-amz-bucket-region': 'eu-1' } } }), 'configuration', /eu-1/],
    [answered('AuthorizationHeaderMalformed', 400), 'configuration', /HTTP 400/],
  ] as const)('of %s', (error, kind, words) => {
    const said = explain(error, AT);
    expect(said).toMatchObject({ kind, message: expect.stringMatching(words), next: [expect.stringMatching(/\.$/)] });
    expect(said.message).toMatch(/^s3:\/\/b\/p at https:\/\/s3\.internal: listing p\/ failed: .*\.$/);
  });

  it('is one line without signs that a terminal would obey, and no region that is none', () => {
    const hostile = answered('Odd', 418, { Region: '\u001b[31m; rm -rf', message: '\u001b[2Jcleared\r\nsecond line' });
    const { message } = explain(hostile, AT);
    expect(message).not.toMatch(/[\p{Cc}]|second/u);
    expect(failureOf(hostile).region).toBeUndefined();
    expect(explain(answered('X', 400, { message: 'a'.repeat(5_000) }), AT).message.length).toBeLessThan(400);
  });

  it('is the error itself where it says all already', () => {
    const own = new ForgeError('refused', 'No.');
    expect(explain(own, AT)).toBe(own);
  });
});
