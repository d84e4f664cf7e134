/** What a store's failure means: whether the same may succeed when it is tried again, and what the reader can do. Pure. */
import { type ErrorKind, ForgeError } from '../../../errors.js';

/** What is known of a failed request, whoever threw it. */
export interface Failure {
  /** The store's word for it (`NoSuchBucket`), or the system's (`ECONNREFUSED`); empty when neither is known. */
  readonly code: string;
  /** HTTP status; undefined when there was no answer. */
  readonly status?: number;
  readonly message: string;
  /** The region that the store says the bucket is in. */
  readonly region?: string;
  /** What was answered is no S3: a page of a proxy, another program. */
  readonly foreign: boolean;
}

/** Where, and at what, for messages: `s3://bucket/prefix at https://…`. */
export interface Asked {
  readonly place: string;
  readonly action: string;
}

const SAID_CHARACTERS_MAX = 200;
const HTTP_ERRORS_FROM = 500;

/** Broken or refused connections, and names that could not be looked up at the moment. */
const PASSING_CODES = new Set([
  ...['ECONNRESET', 'ECONNREFUSED', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EAI_AGAIN'],
  ...['ENETDOWN', 'EADDRNOTAVAIL', 'ERR_STREAM_PREMATURE_CLOSE', 'HPE_INVALID_EOF_STATE', 'ERR_SOCKET_CLOSED'],
  ...['TimeoutError', 'RequestTimeout', 'RequestTimeTooSkewed', 'SlowDown', 'Throttling', 'ThrottlingException'],
  ...['TooManyRequests', 'RequestLimitExceeded', 'InternalError', 'ServiceUnavailable', 'OperationAborted'],
  ...['IncompleteBody', 'BadDigest', 'XAmzContentSHA256Mismatch', 'ClientComputedChecksumMismatch'],
]);
/** 501: not built in; 505: the protocol; 507: full. */
const LASTING_STATUS = new Set([501, 505, 507]);
const TLS_CODE =
  /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|CERT_|ERR_TLS_|HOSTNAME_MISMATCH|INVALID_CA)/;

interface Thrown {
  readonly name?: string;
  readonly code?: unknown;
  readonly Code?: unknown;
  readonly message?: string;
  readonly Region?: unknown;
  readonly cause?: unknown;
  readonly errors?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly $response?: {
    readonly statusCode?: number;
    readonly headers?: Readonly<Record<string, string | undefined>>;
  };
}

const NETWORK_CODE = /^(?:E[A-Z_]{3,}|HPE_[A-Z_]+|[A-Z]{2,}_[A-Z_]+)$/;

export function failureOf(error: unknown): Failure {
  const thrown = (error ?? {}) as Thrown;
  const inner = [thrown, thrown.cause, ...(Array.isArray(thrown.errors) ? thrown.errors : [])] as Thrown[];
  const system = inner.map((each) => each?.code).find((code) => typeof code === 'string' && NETWORK_CODE.test(code));
  const status = thrown.$metadata?.httpStatusCode ?? thrown.$response?.statusCode;
  const headers = thrown.$response?.headers ?? {};
  const type = headers['content-type'] ?? '';
  const name = typeof thrown.Code === 'string' ? thrown.Code : (thrown.name ?? '');
  const parsing = /Deserialization|SyntaxError/.test(`${thrown.name} ${thrown.message}`);
  const unnamed =
    name === '' || name === 'Unknown' || name === 'UnknownError' || name === 'Error' || name === 'NotFound' || parsing;
  const region = thrown.Region ?? headers['x-amz-bucket-region'];
  return {
    code: (system as string | undefined) ?? (parsing ? '' : name.replace(/^(?:Unknown|UnknownError|Error)$/, '')),
    ...(status === undefined ? {} : { status }),
    message: sayable(thrown.message ?? ''),
    ...(typeof region === 'string' && /^[A-Za-z0-9-]{1,64}$/.test(region) ? { region } : {}),
    foreign: system === undefined && unnamed && (/^text\/html/i.test(type) || parsing),
  };
}

/** One line without control characters; the SDK's advice to programmers is left out. */
function sayable(message: string): string {
  const [line = ''] = message.replace(/^\s+/, '').split(/[\r\n]/);
  return line
    .replace(/\p{Cc}/gu, ' ')
    .replace(/^@smithy\/node-http-handler - /, '')
    .replace(/\s*Deserialization error: to see the raw response.*$/, '')
    .slice(0, SAID_CHARACTERS_MAX)
    .replace(/[.\s]+$/, '');
}

/** Whether the same request may succeed a little later. */
export function isPassing(failure: Failure): boolean {
  const { code, status } = failure;
  if (PASSING_CODES.has(code)) return true;
  if (status === 429 || status === 408) return true;
  return status !== undefined && status >= HTTP_ERRORS_FROM && !LASTING_STATUS.has(status) && code !== 'NotImplemented';
}

/** The object is not there; the bucket may be. */
export function isMissing({ code, status }: Failure): boolean {
  return code === 'NoSuchKey' || (status === 404 && (code === 'NotFound' || code === ''));
}

/** The store knows the request, and has no such thing. */
export function isNotBuiltIn({ code, status }: Failure): boolean {
  return status === 405 || status === 501 || code === 'NotImplemented' || code === 'MethodNotAllowed';
}

const NO_TRUST = 'Name its authority: --s3-ca FILE, or AWS_CA_BUNDLE; or correct the endpoint.';
const RIGHTS = [
  'Give the key these rights on the bucket: s3:ListBucket, s3:GetObject, s3:PutObject, s3:DeleteObject,',
  's3:AbortMultipartUpload, s3:ListBucketMultipartUploads.',
].join(' ');
const ENDPOINT = 'Check --endpoint (BACKUP_S3_ENDPOINT) and the network.';
const KEYS = 'Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or where forge.yaml has them.';

type Explanation = readonly [kind: ErrorKind, what: string, next: string];

/** By the store's word for it. */
const EXPLANATIONS: Readonly<Record<string, Explanation>> = {
  NoSuchBucket: ['configuration', 'there is no such bucket', 'Make the bucket, or correct its name or the endpoint.'],
  InvalidBucketName: ['configuration', 'the store takes no bucket of that name', 'Correct the name of the bucket.'],
  AccessDenied: ['denied', 'the store denies it', RIGHTS],
  AllAccessDisabled: ['denied', 'the store denies it', RIGHTS],
  AccountProblem: ['denied', 'there is a problem with the account', 'Ask whoever runs the store.'],
  InvalidAccessKeyId: ['denied', 'the store does not know this access key', KEYS],
  SignatureDoesNotMatch: [
    'denied',
    'the secret does not belong to this access key, or the store does not know it',
    KEYS,
  ],
  InvalidToken: ['denied', 'the session token is not valid', 'Get another session token.'],
  ExpiredToken: ['denied', 'the session token has expired', 'Get another session token.'],
  TokenRefreshRequired: ['denied', 'the session token has expired', 'Get another session token.'],
  CredentialsProviderError: ['configuration', 'there are no credentials', `${KEYS} Or set AWS_PROFILE.`],
  RequestTimeTooSkewed: [
    'configuration',
    'the clocks of this host and of the store differ too much',
    'Set the clock: forge host check shows by how much it is off.',
  ],
  InvalidStorageClass: ['configuration', 'the store has no such storage class', 'Correct --storage-class.'],
  InvalidObjectState: [
    'refused',
    'the object is archived, and must be brought back before it can be read',
    'Restore it from the archive, or take a storage class that is read at once.',
  ],
  EntityTooLarge: ['refused', 'the store takes no object of this size', 'Take a store with a higher limit.'],
  QuotaExceeded: ['partial', 'the quota is used up', 'Make room (forge backup prune), and run it again.'],
  XMinioStorageFull: ['partial', 'the store is full', 'Make room (forge backup prune), and run it again.'],
  XMinioAdminBucketQuotaExceeded: [
    'partial',
    'the quota is used up',
    'Make room (forge backup prune), and run it again.',
  ],
  EPROTO: [
    'configuration',
    'what answers does not speak TLS',
    'Check whether the endpoint begins with http:// or https://.',
  ],
  ENOTFOUND: ['unreachable', 'there is no host of that name', ENDPOINT],
};

/**
 * The failure as it is told: what, where, and what to do.
 * @param attempts how often it was tried
 */
export function explain(error: unknown, asked: Asked, attempts = 1): ForgeError {
  if (error instanceof ForgeError) return error;
  const failure = failureOf(error);
  const [kind, what, next] = explanationOf(failure);
  const tries = attempts > 1 && isPassing(failure) ? `, ${attempts} times` : '';
  return new ForgeError(kind, `${asked.place}: ${asked.action} failed${tries}: ${what}.`, { next, cause: error });
}

/** For answers that are no failure in form, and lack what S3 always says. */
export function notS3({ place, action }: Asked): ForgeError {
  return new ForgeError('configuration', `${place}: ${action} failed: what answers is no S3 store.`, {
    next: ENDPOINT,
  });
}

function explanationOf(failure: Failure): Explanation {
  const { code, status, message, region, foreign } = failure;
  const known = Object.hasOwn(EXPLANATIONS, code) ? EXPLANATIONS[code] : undefined;
  if (isWrongRegion(failure)) return wrongRegion(region);
  if (known !== undefined) return known;
  if (TLS_CODE.test(code)) return ['configuration', `its certificate is not trusted (${code}: ${message})`, NO_TRUST];
  if (foreign || code.startsWith('HPE_')) {
    return ['configuration', `what answers is no S3 store${status === undefined ? '' : ` (HTTP ${status})`}`, ENDPOINT];
  }
  const said = [code, message === 'UnknownError' || message === code ? '' : message].filter(Boolean).join(': ');
  if (code === 'TimeoutError') return ['timeout', `the store does not answer (${message})`, ENDPOINT];
  if (/^Region is missing/.test(message))
    return ['configuration', 'no region is set', 'Give --region, or set AWS_REGION.'];
  if (status === undefined) return ['unreachable', said || 'no connection', ENDPOINT];
  if (status === 507) return ['partial', 'the store is full', 'Make room (forge backup prune), and run it again.'];
  if (status === 401 || status === 403) return ['denied', `the store denies it (${said || `HTTP ${status}`})`, RIGHTS];
  if (isNotBuiltIn(failure))
    return ['configuration', `the store does not have this (${said})`, 'Leave out what it does not have.'];
  if (status >= HTTP_ERRORS_FROM || status === 429 || status === 408) {
    return [
      'unreachable',
      `the store answers HTTP ${status}${said ? ` (${said})` : ''}`,
      'Ask whoever runs the store; run it again.',
    ];
  }
  return [
    'configuration',
    `the store answers HTTP ${status}${said ? ` (${said})` : ''}`,
    'Check how the store is set up.',
  ];
}

function isWrongRegion({ code, status, region }: Failure): boolean {
  if (code === 'PermanentRedirect' || code === 'IllegalLocationConstraintException' || status === 301) return true;
  return code === 'AuthorizationHeaderMalformed' && region !== undefined;
}

function wrongRegion(region: string | undefined): Explanation {
  if (region === undefined)
    return ['configuration', 'the bucket is in another region', 'Give --region, or set AWS_REGION.'];
  return ['configuration', `the bucket is in the region ${region}`, `Give --region ${region}, or set AWS_REGION.`];
}
