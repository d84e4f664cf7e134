/**
 * A connection for tens of thousands of commands: the client library connects and authenticates, and then its socket is
 * written and read here. A command costs a tenth of what it does there, and the machine that slots are moved from may be
 * the one that the nodes run on.
 */
import type { Duplex } from 'node:stream';
import { type Command, NodeConnection } from '../node-connection.js';
import { commandFailure } from '../node-failure.js';
import { encodeCommands } from './encode-commands.js';
import { type Reply, ReplyError, ReplyReader } from './reply-reader.js';

interface Request {
  readonly commands: readonly Command[];
  readonly binary: boolean;
  readonly outcomes: PromiseSettledResult<unknown>[];
  readonly resolve: (outcomes: PromiseSettledResult<unknown>[]) => void;
  /** Undefined when it has timed out: its replies are counted, nobody waits for them. */
  timer: NodeJS.Timeout | undefined;
}

export class BulkConnection extends NodeConnection {
  readonly #stream: Duplex;
  readonly #timeoutMs: number;
  readonly #reader = new ReplyReader();
  /** In the order in which they were sent. */
  readonly #requests: Request[] = [];
  #lost = false;

  /**
   * @param connection stands, has nothing under way, and is not used by anybody else from now on; closed with this one
   * @param timeoutMs bound for the replies to what is sent at once
   */
  constructor(connection: NodeConnection, timeoutMs: number) {
    super(connection.client, connection);
    this.#timeoutMs = timeoutMs;
    this.#stream = connection.client.stream;
    this.#stream.removeAllListeners('data');
    this.#stream.on('data', (piece: Buffer) => this.#read(piece));
    this.#stream.once('close', () => this.#lose());
    this.#stream.resume();
  }

  override get isOpen(): boolean {
    return !this.#lost && super.isOpen;
  }

  override async call(command: string, ...args: (string | number | Buffer)[]): Promise<unknown> {
    const [outcome] = await this.callAll([[command, ...args]]);
    if (outcome?.status === 'rejected') throw outcome.reason;
    return outcome?.value;
  }

  /** @param options.encoded the commands as bytes, where whoever sends them has them; of `commands`, only names count then */
  override callAll(
    commands: readonly Command[],
    { binary = false, encoded }: { binary?: boolean; encoded?: Buffer } = {},
  ): Promise<PromiseSettledResult<unknown>[]> {
    if (commands.length === 0) return Promise.resolve([]);
    return new Promise((resolve) => {
      const request: Request = { commands, binary, outcomes: [], resolve, timer: undefined };
      if (!this.isOpen) {
        this.#fail(request, new Error('the connection is closed'));
        return;
      }
      request.timer = setTimeout(() => {
        request.timer = undefined;
        this.#fail(request, new Error('timed out'));
      }, this.#timeoutMs);
      this.#requests.push(request);
      this.#stream.write(encoded ?? encodeCommands(commands));
    });
  }

  #read(piece: Buffer): void {
    let replies: Reply[];
    try {
      replies = this.#reader.push(piece);
    } catch {
      this.#stream.destroy();
      this.#lose();
      return;
    }
    for (const reply of replies) this.#take(reply);
  }

  #take(reply: Reply): void {
    const [request] = this.#requests;
    if (request === undefined) return;
    const { commands, outcomes, binary } = request;
    const [name] = commands[outcomes.length] as Command;
    outcomes.push(
      reply instanceof ReplyError
        ? { status: 'rejected', reason: commandFailure(reply, this.label, name) }
        : { status: 'fulfilled', value: binary ? reply : textOf(reply) },
    );
    if (outcomes.length < commands.length) return;
    this.#requests.shift();
    if (request.timer === undefined) return;
    clearTimeout(request.timer);
    request.resolve(outcomes);
  }

  /** What was not answered fails; who waits hears of what was. */
  #fail({ commands, outcomes, resolve }: Request, error: Error): void {
    const failed = commands.slice(outcomes.length).map(([name]): PromiseRejectedResult => {
      return { status: 'rejected', reason: commandFailure(error, this.label, name) };
    });
    resolve([...outcomes, ...failed]);
  }

  #lose(): void {
    if (this.#lost) return;
    this.#lost = true;
    for (const request of this.#requests.splice(0)) {
      if (request.timer === undefined) continue;
      clearTimeout(request.timer);
      this.#fail(request, new Error('the connection was closed'));
    }
  }
}

function textOf(reply: Reply): unknown {
  if (Buffer.isBuffer(reply)) return reply.toString();
  return Array.isArray(reply) ? reply.map(textOf) : reply;
}
