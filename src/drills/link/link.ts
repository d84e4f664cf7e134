/** A client's connection to what is tested. */

/** Bulk strings as text. */
export type LinkReply = string | number | null | LinkReply[];

export interface Answer {
  readonly ok: true;
  readonly reply: LinkReply;
}

export interface Refusal {
  readonly ok: false;
  /** The first word of an error reply; `timeout`, `closed`, `connect`. */
  readonly kind: string;
  readonly message: string;
  /** It was certainly not done; otherwise nobody knows. */
  readonly certain: boolean;
}

export type Outcome = Answer | Refusal;

export interface Link {
  /** It can take commands: not closed, not given up. */
  readonly isOpen: boolean;
  /** Why it has ended; `protocol` for what no server may send. */
  readonly failure: Refusal | undefined;
  /** Sends the commands at once, and resolves with the outcome of each, in their order. Never rejects. */
  send(commands: readonly (readonly string[])[]): Promise<Outcome[]>;
  /** The commands in MULTI and EXEC; the reply is EXEC's. Never rejects. */
  transaction(commands: readonly (readonly string[])[]): Promise<Outcome>;
  /** From now on it only listens. @param onMessage called for each message until it is closed */
  subscribe(channel: string, onMessage: (channel: string, text: string) => void): Promise<Outcome>;
  close(): void;
}

export interface Endpoint {
  /** For reports: `127.0.0.1:6379`. */
  readonly label: string;
  /** Its connections speak TLS. */
  readonly secure?: boolean;
  /** A connection that stands and is logged in; a Refusal where there is none within the time. Never rejects. */
  connect(): Promise<Link | Refusal>;
}

export const isLink = (found: Link | Refusal): found is Link => !('ok' in found);

/**
 * Errors of servers that say that the command was not carried out. Others, such as those by which a proxy tells that an
 * upstream was lost, leave it open.
 */
const NOT_DONE = new Set([
  'MOVED',
  'ASK',
  'TRYAGAIN',
  'CLUSTERDOWN',
  'CROSSSLOT',
  'LOADING',
  'READONLY',
  'MASTERDOWN',
  'NOREPLICAS',
  'MISCONF',
  'OOM',
  'BUSY',
  'NOAUTH',
  'NOPERM',
  'WRONGPASS',
  'EXECABORT',
  'WRONGTYPE',
]);

/** The proxy's word, and Envoy's, for a command that it had nobody to send to. */
const NO_HOST = 'no upstream host';

/** @param text an error reply without its `-` */
export function refusalOf(text: string): Refusal {
  if (text === NO_HOST) return { ok: false, kind: NO_HOST, message: text, certain: true };
  const kind = text.split(/[\s:]/, 1)[0] || 'ERR';
  return { ok: false, kind, message: text, certain: NOT_DONE.has(kind) };
}
