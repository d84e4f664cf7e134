/** A plain connection to one endpoint, as the simplest of clients has it: it knows nothing of clusters. */
import net from 'node:net';
import type { Duplex } from 'node:stream';
import tls, { type ConnectionOptions } from 'node:tls';
import { formatAddress } from '../../cluster/address.js';
import { encodeCommands } from '../../cluster/bulk/encode-commands.js';
import { type Reply, ReplyError, ReplyReader } from '../../cluster/bulk/reply-reader.js';
import type { Command } from '../../cluster/node-connection.js';
import { type Endpoint, type Link, type LinkReply, type Outcome, type Refusal, refusalOf } from './link.js';

export const CONNECT_MS = 2_000;
export const REPLY_MS = 15_000;

export interface RawEndpointOptions {
  readonly host: string;
  readonly port: number;
  readonly username?: string;
  readonly password?: string;
  readonly tls?: ConnectionOptions;
  /** For TCP, TLS and the login together, milliseconds. */
  readonly connectMs?: number;
  /** For the replies to what is sent at once, milliseconds; longer for a command that waits by itself. */
  readonly replyMs?: number;
}

export function rawEndpoint(options: RawEndpointOptions): Endpoint {
  return { label: formatAddress(options), secure: options.tls !== undefined, connect: () => connectRaw(options) };
}

async function connectRaw(options: RawEndpointOptions): Promise<Link | Refusal> {
  const { host, port, username, password, connectMs = CONNECT_MS, replyMs = REPLY_MS } = options;
  const opened = await open({ host, port, tls: options.tls }, connectMs);
  if (!(opened instanceof Error)) {
    const link = new RawLink(opened, replyMs);
    if (password === undefined) return link;
    const login = username === undefined ? ['AUTH', password] : ['AUTH', username, password];
    const [outcome] = await link.send([login]);
    if (outcome?.ok) return link;
    link.close();
    return outcome ?? connectFailure('no answer to AUTH');
  }
  return connectFailure(opened.message);
}

const connectFailure = (message: string): Refusal => ({ ok: false, kind: 'connect', message, certain: true });

function open(
  { host, port, tls: secure }: Pick<RawEndpointOptions, 'host' | 'port' | 'tls'>,
  connectMs: number,
): Promise<Duplex | Error> {
  return new Promise((resolve) => {
    const socket = secure === undefined ? net.connect({ host, port }) : tls.connect({ ...secure, host, port });
    socket.setNoDelay(true);
    const settle = (result: Duplex | Error) => {
      clearTimeout(timer);
      socket.removeAllListeners('error');
      if (result instanceof Error) {
        socket.on('error', () => undefined);
        socket.destroy();
      }
      resolve(result);
    };
    const timer = setTimeout(() => settle(new Error('no connection in time')), connectMs);
    socket.once('error', settle);
    socket.once(secure === undefined ? 'connect' : 'secureConnect', () => settle(socket));
  });
}

interface Request {
  readonly count: number;
  readonly outcomes: Outcome[];
  readonly resolve: (outcomes: Outcome[]) => void;
  readonly timer: NodeJS.Timeout;
}

class RawLink implements Link {
  readonly #socket: Duplex;
  readonly #replyMs: number;
  readonly #reader = new ReplyReader();
  readonly #requests: Request[] = [];
  #onMessage: ((channel: string, text: string) => void) | undefined;
  #subscribed: ((outcome: Outcome) => void) | undefined;
  #failure: Refusal | undefined;

  constructor(socket: Duplex, replyMs: number) {
    this.#socket = socket;
    this.#replyMs = replyMs;
    socket.on('data', (piece: Buffer) => this.#read(piece));
    socket.on('error', (error) => this.#end('closed', error.message));
    socket.on('close', () => this.#end('closed', 'the connection was closed'));
  }

  get isOpen(): boolean {
    return this.#failure === undefined;
  }

  get failure(): Refusal | undefined {
    return this.#failure;
  }

  send(commands: readonly (readonly string[])[]): Promise<Outcome[]> {
    if (commands.length === 0) return Promise.resolve([]);
    return new Promise((resolve) => {
      const outcomes: Outcome[] = [];
      if (!this.isOpen) {
        // Nothing was sent.
        const refusal: Refusal = { ok: false, kind: 'closed', message: 'the connection is closed', certain: true };
        resolve(commands.map(() => refusal));
        return;
      }
      // What has not been answered by then is of no use any more: neither is the connection.
      const timer = setTimeout(() => this.#end('timeout', `no reply within ${this.#replyMs} ms`), this.#replyMs);
      this.#requests.push({ count: commands.length, outcomes, resolve, timer });
      this.#socket.write(encodeCommands(commands as unknown as readonly Command[]));
    });
  }

  async transaction(commands: readonly (readonly string[])[]): Promise<Outcome> {
    const outcomes = await this.send([['MULTI'], ...commands, ['EXEC']]);
    return outcomes.at(-1) as Outcome;
  }

  subscribe(channel: string, onMessage: (channel: string, text: string) => void): Promise<Outcome> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#end('timeout', 'no answer to SUBSCRIBE'), this.#replyMs);
      this.#subscribed = (outcome) => {
        clearTimeout(timer);
        this.#subscribed = undefined;
        resolve(outcome);
      };
      this.#onMessage = onMessage;
      if (!this.isOpen) this.#subscribed({ ok: false, kind: 'closed', message: 'closed', certain: true });
      else this.#socket.write(encodeCommands([['SUBSCRIBE', channel]]));
    });
  }

  close(): void {
    this.#end('closed', 'closed by this client');
  }

  #read(piece: Buffer): void {
    let replies: Reply[];
    try {
      replies = this.#reader.push(piece);
    } catch (error) {
      this.#end('protocol', (error as Error).message);
      return;
    }
    for (const reply of replies) {
      if (!this.isOpen) return;
      if (this.#onMessage === undefined) this.#answer(reply);
      else this.#message(reply);
    }
  }

  #answer(reply: Reply): void {
    const [request] = this.#requests;
    if (request === undefined) {
      this.#end('protocol', 'a reply that nobody has asked for');
      return;
    }
    request.outcomes.push(outcomeOf(reply));
    if (request.outcomes.length < request.count) return;
    this.#requests.shift();
    clearTimeout(request.timer);
    request.resolve(request.outcomes);
  }

  #message(reply: Reply): void {
    if (reply instanceof ReplyError) {
      if (this.#subscribed === undefined) this.#end('protocol', reply.message);
      else this.#subscribed(refusalOf(reply.message));
      return;
    }
    const words = Array.isArray(reply) ? reply.map((each) => (Buffer.isBuffer(each) ? each.toString() : each)) : [];
    if (words[0] === 'subscribe') this.#subscribed?.({ ok: true, reply: 'OK' });
    else if (words[0] === 'message') this.#onMessage?.(String(words[1]), String(words[2]));
    else this.#end('protocol', `a listener was told ${String(words[0])}`);
  }

  #end(kind: string, message: string): void {
    if (this.#failure !== undefined) return;
    // The first of what was not answered may have been done, and so may all behind it.
    const refusal: Refusal = { ok: false, kind, message, certain: false };
    this.#failure = refusal;
    this.#socket.destroy();
    for (const { count, outcomes, resolve, timer } of this.#requests.splice(0)) {
      clearTimeout(timer);
      while (outcomes.length < count) outcomes.push(refusal);
      resolve(outcomes);
    }
    this.#subscribed?.(refusal);
  }
}

function outcomeOf(reply: Reply): Outcome {
  return reply instanceof ReplyError ? refusalOf(reply.message) : { ok: true, reply: textOf(reply) };
}

/** Errors inside of arrays (EXEC) are their texts, which no checker takes for an answer. */
function textOf(reply: Reply): LinkReply {
  if (Buffer.isBuffer(reply)) return reply.toString();
  if (reply instanceof ReplyError) return `-${reply.message}`;
  return Array.isArray(reply) ? reply.map(textOf) : reply;
}
