/** What a client library throws, turned into what an operator can act on. No message holds a secret. */
import { ForgeError } from '../errors.js';

/** Longest piece of a server's error text that is repeated. */
const REPLY_SHOWN_MAX = 300;

const REASONS: Record<string, string> = {
  ECONNREFUSED: 'the connection was refused: nothing listens on this port',
  ENOTFOUND: 'the host name is not known',
  EAI_AGAIN: 'the name server does not answer',
  ETIMEDOUT: 'no answer in time',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'there is no route to the network',
  ECONNRESET: 'the connection was closed by the other side',
  EPIPE: 'the connection was closed by the other side',
  EADDRNOTAVAIL: 'the address cannot be used from this host',
  EACCES: 'a local rule forbids the connection',
};

interface SystemError extends Error {
  code?: string;
  errors?: SystemError[];
}

function codeOf(error: unknown): string | undefined {
  const { code, errors } = (error ?? {}) as SystemError;
  return code ?? errors?.find((inner) => inner.code !== undefined)?.code;
}

function textOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.length > REPLY_SHOWN_MAX ? `${text.slice(0, REPLY_SHOWN_MAX)}…` : text;
}

/** True when the server itself answered an error, as opposed to a failed connection. */
export function isReplyError(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}

/** The server's own error text (`ERR …`, `NOPERM …`) when `error` came from one; undefined otherwise. */
export function replyErrorOf(error: unknown): string | undefined {
  if (isReplyError(error)) return error.message;
  const reply = error instanceof ForgeError ? error.details?.reply : undefined;
  return typeof reply === 'string' ? reply : undefined;
}

/** The server has no password for the default user, so that AUTH with only a password fails (Redis ≥ 6, and before). */
export function isNoPasswordNeeded(error: unknown): boolean {
  return isReplyError(error) && /without any password configured|no password is set/i.test(error.message);
}

const isDenied = (text: string) =>
  /^(NOAUTH|WRONGPASS|NOPERM|DENIED)\b|invalid password|operation not permitted/i.test(text);

function denial(text: string, label: string, options: { passwordGiven?: boolean; command?: string }): ForgeError {
  const make = (message: string, next: string) =>
    new ForgeError('denied', `${label}: ${message}`, { host: label, next, details: { reply: textOf(text) } });
  if (text.startsWith('NOPERM')) {
    return make(`the user may not run ${options.command ?? 'this command'}.`, 'Give the ACL user this permission.');
  }
  if (text.startsWith('DENIED')) {
    return make('the server runs in protected mode.', 'Give it a password, or bind it to the loopback address only.');
  }
  if (options.passwordGiven) {
    return make(
      'the user name or the password is wrong, or the user is off.',
      'Check REDIS_REQUIREPASS, and REDIS_USERNAME when an ACL user is meant.',
    );
  }
  return make('the server asks for a password.', 'Set REDIS_REQUIREPASS (and REDIS_USERNAME for an ACL user).');
}

/** Why no connection stands. */
export function connectFailure(
  error: unknown,
  label: string,
  options: { password?: string; tls?: unknown; connectTimeoutMs?: number },
): ForgeError {
  if (error instanceof ForgeError) return error;
  const text = textOf(error);
  if (isReplyError(error)) {
    if (isDenied(text)) return denial(text, label, { passwordGiven: options.password !== undefined });
    return new ForgeError('unreachable', `${label}: the server answers ${text}`, {
      host: label,
      next: 'Wait until the server is ready, or look into its log.',
      details: { reply: text },
    });
  }
  const code = codeOf(error);
  if (code?.startsWith('ERR_TLS') || code?.startsWith('ERR_SSL') || /certificate|CERT_/i.test(`${code} ${text}`)) {
    return new ForgeError('unreachable', `${label}: the TLS handshake failed: ${text}`, {
      host: label,
      next: 'Check that the port speaks TLS, and the certificate, its authority and its names.',
      cause: error,
    });
  }
  return new ForgeError(
    'unreachable',
    `${label} cannot be reached: ${reasonOf(code, text, options.tls !== undefined)}.`,
    {
      host: label,
      next: 'Check the host name, the port, the firewall between here and there, and that the server runs.',
      cause: error,
    },
  );
}

function reasonOf(code: string | undefined, text: string, tls: boolean): string {
  const known = code === undefined ? undefined : REASONS[code];
  // A server without TLS takes the handshake for the beginning of a command, and waits for the rest.
  const doubt = tls ? ' (does this port speak TLS?)' : '';
  if (code === 'ECONNRESET' || code === 'EPIPE') return `${known}${tls ? doubt : ' (is this a TLS port?)'}`;
  if (known !== undefined) return code === 'ETIMEDOUT' ? known + doubt : known;
  if (/timed out/i.test(text)) return `it accepts connections but does not answer${doubt}`;
  if (/protocol error|unknown resp type|closed/i.test(text)) {
    return `it closes the connection or does not speak Redis${tls ? '' : ' (is this a TLS port?)'}`;
  }
  return text.replace(/\.$/, '') || 'unknown reason';
}

/** Why a command on a standing connection failed. */
export function commandFailure(error: unknown, label: string, command: string): ForgeError {
  if (error instanceof ForgeError) return error;
  const text = textOf(error);
  const name = command.toUpperCase();
  if (isReplyError(error)) {
    if (isDenied(text)) return denial(text, label, { command: name });
    const notReady = /^(LOADING|BUSY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN)\b/.test(text);
    return new ForgeError(notReady ? 'unreachable' : 'refused', `${label} answers to ${name}: ${text}`, {
      host: label,
      details: { reply: text },
    });
  }
  if (/timed out/i.test(text)) {
    return new ForgeError('timeout', `${label} did not answer ${name} in time.`, {
      host: label,
      next: 'Check whether the server hangs, or is busy with a slow command.',
    });
  }
  return new ForgeError('unreachable', `${label}: the connection was lost while waiting for ${name}.`, {
    host: label,
    next: 'Check that the server still runs.',
  });
}
