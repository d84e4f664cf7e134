/** Runs scripts against one server and through the proxy at the same time, and says where they differ. */
import { RawClient } from '../../support/raw-client.js';
import { poll } from '../../support/redis.js';
import { encode } from '../../support/resp.js';
import { ALLOWED } from './allowed.js';
import { compared, missingInfo, otherClientFields, parseReply } from './compare.js';
import { entryOf } from './entry.js';
import type { Pair } from './pair.js';
import type { Script, Step } from './script.js';

/** Longest wait for one step's replies; nothing in the scripts waits longer than a tenth of a second. */
const REPLY_MS = 2_000;
/** Longest wait until a server holds a client back. Not reaching it is seen in what follows. */
const BLOCKED_MS = 500;
/** A SCAN that has not come to its end by then never will. */
const SCAN_CALLS_MAX = 1_000;
const SHOWN_CHARACTERS_MAX = 400;

export interface Difference {
  readonly script: string;
  readonly command: string;
  readonly server: string;
  readonly proxy: string;
}

/** One endpoint during one script: its connections, and what `@keep` kept. */
class Side {
  private readonly clients = new Map<string, RawClient>();
  private readonly kept = new Map<string, Buffer>();
  private waiting = 0;

  constructor(
    private readonly port: number,
    private readonly proto: number,
    private readonly blockedClients: () => Promise<number>,
  ) {}

  async client(name: string): Promise<RawClient> {
    const open = this.clients.get(name);
    if (open !== undefined) return open;
    const client = await RawClient.connect({ port: this.port, timeoutMs: REPLY_MS });
    if (this.proto === 3) await client.call('HELLO', 3);
    this.clients.set(name, client);
    return client;
  }

  /** What the step gave: raw replies, or an error in words. */
  async run(step: Step): Promise<Buffer[] | string> {
    try {
      const client = await this.client(step.on);
      if (step.kind === 'closed') {
        await client.untilClosed();
        this.drop(step.on);
        return client.unread.replies === 0 ? [] : `${client.unread.replies} replies before the end`;
      }
      if (step.marks.has('scan')) return [await this.scan(client, step.words)];
      if (step.words.length > 0) client.send(encode(step.words.map((word) => this.filled(word))));
      if (step.kind === 'block') await this.untilHeldBack();
      const replies = await client.raw(step.replies);
      if (step.kind === 'read') this.waiting = 0;
      const [name] = step.marks.get('keep') ?? [];
      if (name !== undefined && replies[0] !== undefined) this.keep(name, replies[0]);
      return replies;
    } catch (error) {
      return (error as Error).message.replace(/^\d+ replies arrive: not within.*/, `no reply within ${REPLY_MS} ms`);
    }
  }

  /** Forgets a connection that is of no more use: the next step on it opens another. */
  drop(name: string): void {
    this.clients.get(name)?.close();
    this.clients.delete(name);
  }

  close(): void {
    for (const name of this.clients.keys()) this.drop(name);
  }

  get open(): string[] {
    return [...this.clients.keys()];
  }

  private filled(word: Buffer): Buffer {
    const name = word[0] === 36 ? word.toString('latin1', 1) : '';
    return this.kept.get(name) ?? word;
  }

  private keep(name: string, raw: Buffer): void {
    const { text } = parseReply(raw);
    if (text !== null) this.kept.set(name, Buffer.from(text, 'latin1'));
  }

  private async untilHeldBack(): Promise<void> {
    this.waiting++;
    const enough = async () => (await this.blockedClients()) >= this.waiting;
    await poll('the client is held back', BLOCKED_MS, enough).catch(() => {});
  }

  /** A whole iteration from cursor 0 to cursor 0: all its elements, sorted, each once. */
  private async scan(client: RawClient, words: readonly Buffer[]): Promise<Buffer> {
    const found = new Set<string>();
    let cursor = words[1]!;
    for (let call = 0; call < SCAN_CALLS_MAX; call++) {
      const raw = await client.exchange(words[0]!, cursor, ...words.slice(2));
      const { items, type } = parseReply(raw);
      if (items === undefined) return raw;
      for (const item of items[1]!.items ?? []) found.add(JSON.stringify(item));
      cursor = Buffer.from(items[0]!.text!, 'latin1');
      if (cursor.toString() === '0') return Buffer.from(`${type}${[...found].sort().join('\n')}`, 'latin1');
    }
    return Buffer.from(`no end after ${SCAN_CALLS_MAX} calls`);
  }
}

const PING: Omit<Step, 'on'> = {
  kind: 'ask',
  words: [Buffer.from('PING')],
  replies: 1,
  marks: new Map(),
  text: 'PING at the end',
};

export class Runner {
  readonly differences: Difference[] = [];
  /** Allowed differences that were met. */
  readonly met = new Set<string>();
  /** Commands whose replies were compared. */
  compared = 0;

  constructor(
    private readonly pair: Pair,
    private readonly proto: 2 | 3,
  ) {}

  /** False for a command of other releases than this one. */
  private isKnown({ words }: Step): boolean {
    const entry = entryOf(words);
    return entry === undefined || (entry.servers & this.pair.release) !== 0;
  }

  private sides(): [Side, Side] {
    const { server, proxy } = this.pair;
    return [
      new Side(server.port, this.proto, () => this.pair.blockedDirectly()),
      new Side(proxy.port, this.proto, () => this.pair.blockedBehindProxy()),
    ];
  }

  /**
   * Runs a script step by step. At its end every connection must be in step: nothing left over, and it answers. With
   * `stopWhenLost`, for steps that stand on each other, a reply that does not come ends the script.
   */
  async run(script: Script, { stopWhenLost = false } = {}): Promise<void> {
    const [direct, proxied] = this.sides();
    try {
      for (const step of script.steps) {
        const lost = !(await this.step(script, step, direct, proxied));
        if (lost && stopWhenLost) return;
      }
      for (const on of direct.open) await this.step(script, { ...PING, on }, direct, proxied);
    } finally {
      direct.close();
      proxied.close();
    }
  }

  /** False when a reply did not come. */
  private async step(script: Script, step: Step, direct: Side, proxied: Side): Promise<boolean> {
    if (!this.isKnown(step)) return true;
    const [expected, found] = await Promise.all([direct.run(step), proxied.run(step)]);
    this.compare(script.title, step, expected, found);
    if (typeof found !== 'string' && typeof expected !== 'string') return true;
    // What comes late must not be taken for the reply of another command.
    direct.drop(step.on);
    proxied.drop(step.on);
    return false;
  }

  /** Sends all commands in one write, on one connection, and compares the replies in their order. */
  async pipeline({ title, steps }: Script): Promise<void> {
    const alone = (step: Step) => step.marks.has('alone') || step.marks.has('scan') || step.text.includes('$');
    const usable = steps.filter((step) => this.isKnown(step) && !alone(step));
    const bytes = Buffer.concat(usable.map(({ words }) => encode(words)));
    const [direct, proxied] = this.sides();
    try {
      const [expected, found] = await Promise.all(
        [direct, proxied].map(async (side) => {
          const client = await side.client('a');
          client.send(bytes);
          const replies: Buffer[] = [];
          for (let i = 0; i < usable.length; i++) {
            const reply = await client.raw(1).catch((error: Error) => error.message);
            if (typeof reply === 'string') break;
            replies.push(reply[0]!);
          }
          return replies;
        }),
      );
      const name = `${title}, pipelined`;
      usable.forEach((step, i) => {
        const of = (replies: Buffer[]) => (replies[i] === undefined ? 'no reply' : [replies[i]]);
        this.compare(name, step, of(expected!), of(found!));
      });
    } finally {
      direct.close();
      proxied.close();
    }
  }

  /** True when both sides gave the same, or what is allowed. */
  compare(title: string, step: Step, expected: Buffer[] | string, found: Buffer[] | string): boolean {
    this.compared++;
    const server = describe(expected, step);
    const proxy = describe(found, step);
    if (server === proxy) return true;
    const lacking = this.lacking(step, expected, found);
    if (lacking === '') return true;
    if (lacking !== undefined) {
      this.differences.push({ script: title, command: step.text, server: 'more', proxy: `not ${lacking}` });
      return false;
    }
    const [allowed] = step.marks.get('allowed') ?? [];
    if (allowed !== undefined && Array.isArray(found) && ALLOWED[allowed]!.proxy.test(latin1(found))) {
      this.met.add(allowed);
      return true;
    }
    const command = step.text === '' ? step.words.join(' ') : step.text;
    this.differences.push({ script: title, command, server: shown(expected, server), proxy: shown(found, proxy) });
    return false;
  }

  /** For replies that are compared field by field: what the proxy's lacks. Undefined for all others. */
  private lacking({ marks }: Step, expected: Buffer[] | string, found: Buffer[] | string): string | undefined {
    if (typeof expected === 'string' || typeof found === 'string' || found[0]![0] !== expected[0]![0]) return undefined;
    if (marks.has('info')) return missingInfo(expected[0]!, found[0]!);
    return marks.has('fields') ? otherClientFields(expected[0]!, found[0]!) : undefined;
  }

  report(): string {
    return this.differences
      .map(({ script, command, server, proxy }) => `[${script}] ${command}\n  server: ${server}\n  proxy:  ${proxy}`)
      .join('\n');
  }
}

const latin1 = (replies: readonly Buffer[]) => Buffer.concat(replies).toString('latin1');

function describe(replies: Buffer[] | string, { marks }: Step): string {
  if (typeof replies === 'string') return `(${replies})`;
  if (marks.has('scan')) return latin1(replies);
  return replies.map((reply) => compared(reply, marks)).join('');
}

/** Both the raw replies and, where it is another text, what is compared of them. */
function shown(replies: Buffer[] | string, text: string): string {
  const raw = typeof replies === 'string' ? text : latin1(replies);
  const all = raw === text ? JSON.stringify(raw) : `${JSON.stringify(raw)} as ${text}`;
  return all.length > SHOWN_CHARACTERS_MAX ? `${all.slice(0, SHOWN_CHARACTERS_MAX)}… (${all.length})` : all;
}
