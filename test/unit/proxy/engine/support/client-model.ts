import { BIG_KEY, type ClusterModel, getOr, tokenOf } from './cluster-model.js';
import type { Random } from './random.js';
import { decodeValue, encodeCommandText, type Value } from './resp.js';
import type { FakeSocket, Peer } from './socket.js';

/** The engine reads the clock once a turn, so it may take a command for a little older than it is. */
const CLOCK_SLACK_MS = 50;

/** A broken promise of the proxy. */
export class Violation extends Error {}

interface Expected {
  readonly args: readonly string[];
  readonly sentMs: number;
  /** Null when the reply is right; else what is wrong with it. */
  check(reply: Value): string | null;
}

/** What the world tells a client about what happened to its commands. */
export interface Witness {
  now(): number;
  readonly opTimeoutMs: number;
  /** The command may have been on the wire of a connection when that died. */
  atRisk(token: string): boolean;
  /** A connection to a node was lost so far. */
  readonly losses: number;
  /** A command may be refused because a queue is full. */
  readonly mayOverflow: boolean;
}

export type Temper = 'steady' | 'slow' | 'leaving' | 'junk' | 'half-closing' | 'deaf';

const JUNK = [
  '*1\r\n$-5\r\nabc',
  '*x\r\n',
  '*1\r\n$3\r\nGETxx',
  '*2\r\n:1\r\n',
  '*1048577\r\n',
  '*-x\r\n',
  '*1\r\n$00000',
];

/** A client: sends commands that name themselves, and knows what may come back. */
export class ClientModel implements Peer {
  socket: FakeSocket | null = null;
  reads = true;
  gone = false;
  /** The proxy has closed the connection. */
  closedByProxy = false;
  readonly expected: Expected[] = [];
  /** Writes that were answered with success, by key, in order. */
  readonly succeeded = new Map<string, string[]>();
  /** Writes in the order in which they were sent, by key. */
  readonly sent = new Map<string, string[]>();
  readonly counts = new Map<string, { sent: number; succeeded: number; last: number }>();
  answered = 0;
  finished = false;
  private sequence = 0;
  private proto = 2;
  private input = Buffer.alloc(0);
  private readonly written = new Map<string, Set<string>>();
  private junkSent = false;

  constructor(
    readonly id: number,
    readonly temper: Temper,
    public budget: number,
    private readonly random: Random,
    private readonly cluster: ClusterModel,
    private readonly witness: Witness,
  ) {}

  get busy(): boolean {
    return !this.gone && !this.closedByProxy && (this.budget > 0 || this.expected.length > 0);
  }

  // ---------------------------------------------------------------- sending

  /** Sends a pipeline of up to `depth` commands. */
  send(depth: number): void {
    const parts: Buffer[] = [];
    for (let i = this.random.int(1, depth); i > 0 && this.budget > 0; i--, this.budget--) parts.push(this.command());
    if (this.budget === 0) {
      if (this.temper === 'junk' && !this.junkSent) {
        this.junkSent = true;
        parts.push(Buffer.from(this.random.pick(JUNK)));
        this.expect(['junk'], (reply) => (isError(reply, '-ERR Protocol error') ? null : 'a protocol error was due'));
      }
      if (this.temper === 'half-closing') this.finished = true;
    }
    this.socket?.in.put(Buffer.concat(parts));
    if (this.finished && this.socket !== null) {
      if (this.random.chance(0.5)) this.socket.in.put(Buffer.from('*2\r\n$3\r\nGET\r\n$10\r\nhalf'));
      this.socket.halfClosed = true;
    }
  }

  private expect(args: readonly string[], check: (reply: Value) => string | null): void {
    this.expected.push({ args, sentMs: this.witness.now(), check });
  }

  private command(): Buffer {
    const { random } = this;
    const token = `c${this.id}n${this.sequence++};`;
    const key = this.ownKey('w');
    const kinds = [
      'eval',
      'eval',
      'append',
      'append',
      'incr',
      'echo-key',
      'echo-key',
      'get',
      'mget',
      'mset',
      'del',
      'exists',
      'multi',
    ];
    const kind = random.pick([...kinds, 'ping', 'echo', 'hello', 'refused', 'unknown', 'big']);
    const padding = random.chance(0.05) ? '.'.repeat(random.int(1, random.chance(0.2) ? 90_000 : 3000)) : '';
    switch (kind) {
      case 'eval':
        return this.write(['EVAL', token, '1', key, padding], key, token, (reply) => exactly(reply, `$${token}`));
      case 'append':
        return this.write(['APPEND', key, token + padding], key, token, (reply) =>
          typeof reply === 'string' && /^:\d+$/.test(reply) && Number(reply.slice(1)) >= token.length + padding.length
            ? null
            : 'not a length',
        );
      case 'incr':
        return this.increment(this.ownKey('i'));
      case 'echo-key':
        return this.read(['EVAL_RO', token, '1', random.chance(0.5) ? key : `shared${random.int(0, 5)}`], (reply) =>
          exactly(reply, `$${token}`),
        );
      case 'get':
        return this.readOwn(key);
      case 'big':
        return random.chance(0.3)
          ? this.read(['GET', BIG_KEY], (reply) => exactly(reply, `$${this.cluster.bigValue}`))
          : this.read(['EVAL_RO', token, '1', 'shared1'], (reply) => exactly(reply, `$${token}`));
      case 'mget': {
        const keys = this.someKeys();
        return this.read(['MGET', ...keys], (reply) => this.checkValues(reply, keys));
      }
      case 'mset': {
        const pairs = this.someKeys().flatMap((each) => {
          const values = this.written.get(each) ?? new Set();
          this.written.set(each, values.add(token));
          return [each, token];
        });
        return this.several(['MSET', ...pairs], (reply) => exactly(reply, '+OK'));
      }
      case 'del':
      case 'exists': {
        const keys = this.someKeys();
        return this.several([kind.toUpperCase(), ...keys], (reply) =>
          typeof reply === 'string' && /^:\d+$/.test(reply) && Number(reply.slice(1)) <= keys.length
            ? null
            : 'not a count',
        );
      }
      case 'hello': {
        const proto = random.int(2, 3);
        this.expect(['HELLO', String(proto)], (reply) => {
          this.proto = proto;
          return Array.isArray(reply) && reply.length === 14 && reply[5] === `:${proto}` ? null : 'not a greeting';
        });
        return encodeCommandText(['HELLO', String(proto)]);
      }
      case 'ping':
        this.expect(['PING'], this.own('+PONG'));
        return random.chance(0.5) ? Buffer.from('PING\r\n') : encodeCommandText(['PING']);
      case 'refused':
        this.expect(['SHUTDOWN'], (reply) =>
          isError(reply, "-ERR unsupported command 'shutdown'") ? null : 'not refused',
        );
        return encodeCommandText(['SHUTDOWN']);
      case 'multi':
        return this.transaction(key);
      case 'unknown':
        this.expect([token], (reply) => (isError(reply, `-ERR unknown command '${token}'`) ? null : 'not unknown'));
        return encodeCommandText([token, 'a']);
      default:
        this.expect(['ECHO', token], this.own(`$${token}`));
        return encodeCommandText(['ECHO', token]);
    }
  }

  private ownKey(kind: string): string {
    // Some keys of a client share a slot, so that they can be moved together and asked for together.
    const n = this.random.int(0, 2);
    return n === 0 ? `${kind}${this.id}` : `{t${(this.id + n) % 4}}${kind}${this.id}.${n}`;
  }

  private someKeys(): string[] {
    const keys: string[] = [];
    for (let i = this.random.int(1, 5); i > 0; i--) keys.push(this.ownKey('m'));
    return keys;
  }

  private write(args: string[], key: string, token: string, check: (reply: Value) => string | null): Buffer {
    getOr(this.sent, key, () => []).push(token);
    this.expect(args, (reply) => {
      if (isError(reply)) return this.checkFailure(args, reply, sentMs, true);
      getOr(this.succeeded, key, () => []).push(token);
      return check(reply);
    });
    const sentMs = this.witness.now();
    return encodeCommandText(args);
  }

  private increment(key: string): Buffer {
    const count = getOr(this.counts, key, () => ({ sent: 0, succeeded: 0, last: 0 }));
    count.sent++;
    const sentMs = this.witness.now();
    this.expect(['INCR', key], (reply) => {
      if (isError(reply)) return this.checkFailure(['INCR', key], reply, sentMs, true);
      const value = typeof reply === 'string' && reply.startsWith(':') ? Number(reply.slice(1)) : Number.NaN;
      if (!(value > count.last) && !this.cluster.mayBeOvertaken(`INCR ${key}`, key))
        return `a counter that was at ${count.last}`;
      count.last = Math.max(count.last, value);
      count.succeeded++;
      return null;
    });
    return encodeCommandText(['INCR', key]);
  }

  /** MULTI, some writes to one key, EXEC: all of them or none. */
  private transaction(key: string): Buffer {
    const sentMs = this.witness.now();
    const commands: string[][] = [];
    const tokens: string[] = [];
    for (let i = this.random.int(0, 4); i > 0; i--) {
      const token = `c${this.id}n${this.sequence++};`;
      tokens.push(token);
      getOr(this.sent, key, () => []).push(token);
      commands.push(['APPEND', key, token]);
    }
    this.expect(['MULTI'], (reply) => exactly(reply, '+OK'));
    for (const args of commands) this.expect(args, (reply) => exactly(reply, '+QUEUED'));
    this.expect(['EXEC', ...tokens], (reply) => {
      if (isError(reply)) return this.checkFailure(commands[0] as string[], reply, sentMs, true);
      if (!Array.isArray(reply) || reply.length !== commands.length) return 'not as many replies as commands';
      if (reply.some((each) => typeof each !== 'string' || !/^:\d+$/.test(each))) return 'not lengths';
      for (const token of tokens) getOr(this.succeeded, key, () => []).push(token);
      return null;
    });
    return Buffer.concat([['MULTI'], ...commands, ['EXEC']].map((args) => encodeCommandText(args)));
  }

  private read(args: string[], check: (reply: Value) => string | null): Buffer {
    const sentMs = this.witness.now();
    this.expect(args, (reply) => (isError(reply) ? this.checkFailure(args, reply, sentMs, false) : check(reply)));
    return encodeCommandText(args);
  }

  /** Reads a key of its own: all that it was told is written must be in it. */
  private readOwn(key: string): Buffer {
    const before = this.sent.get(key)?.length ?? 0;
    return this.read(['GET', key], (reply) => {
      if (reply !== null && (typeof reply !== 'string' || !reply.startsWith('$'))) return 'not a value';
      const tokens: string[] = reply?.slice(1).match(/c\d+n\d+;/g) ?? [];
      if (tokens.some((token) => !token.startsWith(`c${this.id}n`))) return "another client's value";
      const earlier = new Set(this.sent.get(key)?.slice(0, before));
      for (const token of this.succeeded.get(key) ?? []) {
        if (!earlier.has(token) || tokens.includes(token) || this.cluster.mayBeOvertaken(token, key)) continue;
        return `${token} was written before and is not in it`;
      }
      return null;
    });
  }

  private several(args: string[], check: (reply: Value) => string | null): Buffer {
    const sentMs = this.witness.now();
    this.expect(args, (reply) => {
      if (isError(reply, '-finished with '))
        return this.witness.losses > 0 || this.late(sentMs) ? null : 'failed in part';
      return isError(reply) ? this.checkFailure(args, reply, sentMs, args[0] !== 'EXISTS') : check(reply);
    });
    return encodeCommandText(args);
  }

  /** The proxy answers by itself, unless it has to ask the servers about the client's rights and cannot. */
  private own(wanted: string): (reply: Value) => string | null {
    const sentMs = this.witness.now();
    return (reply) =>
      this.cluster.users.has(this.id) && reply === '-upstream failure' && (this.late(sentMs) || this.witness.losses > 0)
        ? null
        : exactly(reply, wanted);
  }

  private late(sentMs: number): boolean {
    return this.witness.mayOverflow || this.witness.now() - sentMs >= this.witness.opTimeoutMs - CLOCK_SLACK_MS;
  }

  /** An error is allowed for a write that was on the wire when its connection died, and after the time-out. */
  private checkFailure(args: string[], reply: Value, sentMs: number, isWrite: boolean): string | null {
    const late = this.late(sentMs);
    switch (reply) {
      case '-no upstream host':
        return late ? null : 'too early';
      case '-upstream failure': {
        if (late) return null;
        const several = ['MSET', 'DEL'].includes(args[0] as string);
        if (isWrite && (several ? this.witness.losses > 0 : this.witness.atRisk(tokenOf(args)))) return null;
        return isWrite ? 'the write was not at risk' : 'a read can be repeated';
      }
      default:
        return /^-(CLUSTERDOWN|LOADING) /.test(String(reply)) && late ? null : 'an error that must not be shown';
    }
  }

  private checkValues(reply: Value, keys: string[]): string | null {
    if (!Array.isArray(reply) || reply.length !== keys.length) return 'not as many values as keys';
    for (const [i, value] of reply.entries()) {
      if (value === null) continue;
      if (isError(value, '-upstream failure') || isError(value, '-no upstream host')) continue;
      if (/^-(CLUSTERDOWN|LOADING) /.test(String(value))) continue;
      if (typeof value !== 'string' || !this.written.get(keys[i] as string)?.has(value.slice(1))) {
        return `${value} was never written to ${keys[i]}`;
      }
    }
    return null;
  }

  // ---------------------------------------------------------------- receiving

  received(bytes: Buffer): void {
    if (this.gone) return;
    this.input = Buffer.concat([this.input, bytes]);
    for (;;) {
      const reply = decodeValue(this.input, 0);
      if (reply === null) return;
      this.input = this.input.subarray(reply.end);
      const expected = this.expected.shift();
      const shown = JSON.stringify(reply.value)?.slice(0, 200);
      if (expected === undefined) throw new Violation(`client ${this.id}: ${shown} answers no command`);
      const wrong = expected.check(reply.value);
      if (wrong !== null) {
        const command = expected.args.join(' ').slice(0, 200);
        const late = this.witness.now() - expected.sentMs;
        throw new Violation(`client ${this.id}: ${command} -> ${shown} after ${late.toFixed(0)} ms: ${wrong}`);
      }
      this.answered++;
    }
  }

  closed(): void {
    if (this.gone) return;
    this.closedByProxy = true;
    if (this.temper === 'slow' || this.temper === 'deaf') return;
    if (this.temper === 'half-closing' && this.finished && this.expected.length === 0) return;
    if (this.temper === 'junk' && this.junkSent && this.expected.length === 0) return;
    // Half a reply cannot be taken back: when its upstream dies, so does the client's connection.
    if (this.expected.some(({ args }) => args[0] === 'GET') && this.witness.losses > 0) return;
    const due = this.expected[0]?.args.join(' ').slice(0, 100);
    throw new Violation(`client ${this.id} (${this.temper}) was disconnected; ${due} was to be answered next`);
  }

  /** The RESP version that it was last told. */
  get version(): number {
    return this.proto;
  }
}

function isError(reply: Value, start = '-'): boolean {
  return typeof reply === 'string' && reply.startsWith(start);
}

function exactly(reply: Value, wanted: string): string | null {
  return reply === wanted ? null : `${wanted.slice(0, 60)} was due`;
}
