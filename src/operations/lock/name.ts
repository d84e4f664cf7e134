/**
 * The lock's owner as a client name, and back. A client name has no blanks and no control characters; so every part is
 * percent-encoded, and the parts stand between colons. Pure.
 */
import type { Operator } from '../journal/entry.js';

export interface LockOwner extends Operator {
  /** Unlike any other: 16 hexadecimal digits. */
  readonly token: string;
  /** `scale add`. */
  readonly operation: string;
  /** When it was taken, by the owner's clock: for people only. */
  readonly startedAt: string;
}

/** `asking` until all nodes were looked at; only one who saw nobody else becomes the one who is `holding`. */
export type LockPhase = 'asking' | 'holding';

export interface LockClaim {
  readonly owner: LockOwner;
  readonly phase: LockPhase;
  /** The server's number of the connection, for CLIENT KILL. */
  readonly clientId: string;
  /** Seconds since its last command, by the server's clock. */
  readonly idleSeconds: number;
}

const PREFIX = 'forge-lock';
const VERSION = '1';
const PART_LENGTH_MAX = 64;
const TOKEN = /^[0-9a-f]{16}$/;

const part = (text: string) => encodeURIComponent(text.slice(0, PART_LENGTH_MAX));

/** The name of the connection that carries the lock. */
export function lockName(owner: LockOwner, phase: LockPhase): string {
  const { token, user, host, pid, operation, startedAt } = owner;
  return [PREFIX, VERSION, token, phase, part(user), part(host), pid, part(operation), part(startedAt)].join(':');
}

/** The name of all other connections of the same owner: whoever takes the lock over closes them. */
export function workName(token: string): string {
  return `forge:${token}`;
}

function parseName(name: string): Pick<LockClaim, 'owner' | 'phase'> | undefined {
  const [prefix, version, token = '', phase, user, host, pid, operation, startedAt] = name.split(':');
  if (prefix !== PREFIX || version !== VERSION || !TOKEN.test(token)) return undefined;
  if (phase !== 'asking' && phase !== 'holding') return undefined;
  const words = [user, host, operation, startedAt].map((text) => {
    try {
      return decodeURIComponent(text ?? '');
    } catch {
      return '?';
    }
  });
  return {
    phase,
    owner: {
      token,
      user: words[0] as string,
      host: words[1] as string,
      pid: Number(pid) || 0,
      operation: words[2] as string,
      startedAt: words[3] as string,
    },
  };
}

function fieldsOf(line: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const word of line.split(' ')) {
    const equals = word.indexOf('=');
    if (equals > 0) fields.set(word.slice(0, equals), word.slice(equals + 1));
  }
  return fields;
}

/** The claims in a reply of CLIENT LIST. */
export function parseClaims(clientList: string): LockClaim[] {
  const claims: LockClaim[] = [];
  for (const line of clientList.split('\n')) {
    // Ten thousand clients, of which one matters: look before parsing.
    if (!line.includes(` name=${PREFIX}:`)) continue;
    const fields = fieldsOf(line);
    const parsed = parseName(fields.get('name') ?? '');
    const clientId = fields.get('id');
    if (parsed === undefined || clientId === undefined) continue;
    claims.push({ ...parsed, clientId, idleSeconds: Number(fields.get('idle') ?? 0) });
  }
  return claims;
}

/** Server numbers of all connections of this owner, those that do the work and the one with the lock. */
export function connectionsOf(clientList: string, token: string): string[] {
  return clientList.split('\n').flatMap((line) => {
    if (!line.includes(token)) return [];
    const fields = fieldsOf(line);
    const name = fields.get('name') ?? '';
    const theirs = name === workName(token) || parseName(name)?.owner.token === token;
    return theirs ? [fields.get('id') ?? ''].filter(Boolean) : [];
  });
}
