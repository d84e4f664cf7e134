import { type Allocate, type Bytes, latin1, parseDecimal, utf8 } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import { detach } from '../core/input.js';
import { bulk } from '../resp/encode.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { auth } from './auth.js';
import { clientCommand } from './client-command.js';
import { hello } from './hello.js';
import { monitor } from './monitor.js';
import { reset } from './reset.js';

/** The arguments of a local command. */
export class Arguments {
  constructor(
    readonly bytes: Bytes,
    private readonly frame: RequestFrame,
  ) {}

  get count(): number {
    return this.frame.count;
  }

  /** An argument as UTF-8. */
  text(index: number): string {
    return utf8(this.bytes, this.frame.starts[index], this.frame.ends[index]);
  }

  /** An argument's bytes, to be kept. */
  bytesOf(index: number, allocate: Allocate): Bytes {
    return detach(allocate, this.bytes, this.frame.starts[index], this.frame.ends[index]);
  }

  /** An argument in lower case, for options and subcommands. */
  word(index: number): string {
    return latin1(this.bytes, this.frame.starts[index], this.frame.ends[index]).toLowerCase();
  }

  /** An argument as an integer; NaN when it is none. */
  integer(index: number): number {
    return parseDecimal(this.bytes, this.frame.starts[index], this.frame.ends[index]);
  }

  /** An argument as the bulk string that it would be in a reply. */
  bulk(client: Client, index: number): Bytes {
    const start = this.frame.starts[index];
    const end = this.frame.ends[index];
    const head = client.core.text(`$${end - start}\r\n`);
    const reply = client.core.runtime.allocate(head.length + end - start + 2);
    head.copy(reply, 0, 0, head.length);
    this.bytes.copy(reply, head.length, start, end);
    reply[reply.length - 2] = 13;
    reply[reply.length - 1] = 10;
    return reply;
  }
}

/** Answers a command in the proxy. False when it must wait until the client's earlier commands are answered. */
export function runLocal(client: Client, entry: CommandEntry, bytes: Bytes, frame: RequestFrame): boolean {
  const core = client.core;
  const separator = entry.name.indexOf('|');
  const name = separator < 0 ? entry.name : entry.name.slice(0, separator);
  if (name === 'ping' && frame.count === 1) {
    client.reply(core.texts.pong);
    return true;
  }
  const args = new Arguments(bytes, frame);
  switch (name) {
    case 'ping':
      if (frame.count > 2) client.reply(core.text("-ERR wrong number of arguments for 'ping' command\r\n"));
      else client.reply(args.bulk(client, 1));
      return true;
    case 'echo':
      client.reply(args.bulk(client, 1));
      return true;
    case 'quit':
      client.reply(core.texts.ok, true);
      return true;
    case 'select':
      select(client, args);
      return true;
    case 'time':
      time(client);
      return true;
    case 'auth':
      auth(client, args);
      return true;
    case 'hello':
      return hello(client, args);
    case 'reset':
      return reset(client);
    case 'monitor':
      monitor(client, entry);
      return true;
    default:
      clientCommand(client, entry, args);
      return true;
  }
}

/** A cluster has one database, number 0. */
function select(client: Client, args: Arguments): void {
  const index = args.integer(1);
  if (index === 0) client.reply(client.core.texts.ok);
  else if (Number.isInteger(index)) client.reply(client.core.text('-ERR DB index is out of range\r\n'));
  else client.reply(client.core.text('-ERR value is not an integer or out of range\r\n'));
}

function time(client: Client): void {
  const now = Date.now();
  const microseconds = Math.floor((performance.now() % 1) * 1000) + (now % 1000) * 1000;
  client.reply(client.core.text(`*2\r\n${bulk(String(Math.floor(now / 1000)))}${bulk(String(microseconds))}`));
}
