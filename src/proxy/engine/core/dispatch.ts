import type { Bytes } from '../bytes.js';
import { attend } from '../clients/attend.js';
import type { CommandEntry } from '../commands/catalog.js';
import { Route } from '../commands/routes.js';
import { CommandFlag } from '../commands/spec.js';
import { encodeInline, splitInline } from '../resp/inline.js';
import { DEFAULT_LIMITS, FRAME_COMPLETE, frameRequest, RequestFrame } from '../resp/request-framer.js';
import { Counter } from '../stats.js';
import type { Client } from './client.js';
import { HANDLERS } from './handlers.js';
import { ADMIT_PASS, ADMIT_WAIT } from './mode.js';
import { printable, refuseArity, replyError, unknownCommand } from './refuse.js';
import { sendKeyed } from './send.js';

const inlineFrame = new RequestFrame();

/** What is recorded of commands that are not served: no more of a client's own words than is needed. */
const UNKNOWN = 'unknown';
const UNKNOWN_COMMAND = 'ERR unknown command';
const UNKNOWN_SUBCOMMAND = 'ERR unknown subcommand';
const ARITY = 'ERR wrong number of arguments';

/**
 * Serves the command in `bytes[start, frame.end)`: answers it here, or sends it on. False when it has to wait until
 * the client's earlier commands are answered; nothing has happened then.
 */
export function dispatch(client: Client, bytes: Bytes, start: number, frame: RequestFrame): boolean {
  if (frame.inline) return dispatchInline(client, bytes, frame);
  const core = client.core;
  const entry = core.catalog.find(bytes, frame.starts[0], frame.ends[0]);
  if (!client.authenticated && !mayRunBeforeLogin(entry)) {
    core.countRequest(null);
    core.sampler.refused(client, entry?.name ?? UNKNOWN, frame, core.texts.noAuth);
    client.reply(core.texts.noAuth);
    return true;
  }
  if (entry === null) {
    core.countRequest(null);
    client.mode?.refused?.(client);
    const error = unknownCommand(bytes, frame);
    core.sampler.refused(client, UNKNOWN, frame, UNKNOWN_COMMAND);
    replyError(client, error);
    return true;
  }
  if (!entry.container) return run(client, entry, bytes, start, frame);
  if (frame.count < 2) return run(client, entry, bytes, start, frame);
  const sub = core.catalog.findSubcommand(entry, bytes, frame.starts[1], frame.ends[1]);
  if (sub !== null) return run(client, sub, bytes, start, frame);
  core.countRequest(null);
  client.mode?.refused?.(client);
  const word = printable(bytes, frame.starts[1], frame.ends[1]);
  core.sampler.refused(client, entry.name, frame, UNKNOWN_SUBCOMMAND);
  replyError(client, `ERR unknown subcommand '${word}'. Try ${entry.name.toUpperCase()} HELP.`);
  return true;
}

function mayRunBeforeLogin(entry: CommandEntry | null): boolean {
  return entry !== null && (entry.spec.flags & CommandFlag.no_auth) !== 0;
}

function run(client: Client, entry: CommandEntry, bytes: Bytes, start: number, frame: RequestFrame): boolean {
  if (!entry.accepts(frame.count)) {
    client.mode?.refused?.(client, entry);
    client.core.sampler.refused(client, entry.name, frame, ARITY);
    refuseArity(client, entry);
    return true;
  }
  if (client.guard !== null) {
    const refusal = client.guard.refusal(client, entry, bytes, frame);
    if (refusal !== null) {
      client.core.countRequest(entry);
      client.core.countError(entry);
      client.mode?.refused?.(client, entry);
      client.core.sampler.refused(client, entry.name, frame, refusal);
      client.reply(refusal);
      return true;
    }
  }
  client.lastEntry = entry;
  const { sampler } = client.core;
  if (--sampler.left === 0) return sampler.take(client, entry, bytes, start, frame, attended);
  return attended(client, entry, bytes, start, frame);
}

function attended(client: Client, entry: CommandEntry, bytes: Bytes, start: number, frame: RequestFrame): boolean {
  if (client.core.attention !== 0) return attend(client, entry, bytes, start, frame, serve);
  return serve(client, entry, bytes, start, frame);
}

function serve(client: Client, entry: CommandEntry, bytes: Bytes, start: number, frame: RequestFrame): boolean {
  if (client.mode !== null) {
    const verdict = client.mode.admit(client, entry, bytes, start, frame);
    if (verdict !== ADMIT_PASS) return verdict !== ADMIT_WAIT;
  }
  // The most frequent kind by far is called without a look into the table.
  if (entry.route === Route.keyed) return sendKeyed(client, entry, bytes, start, frame);
  return HANDLERS[entry.route](client, entry, bytes, start, frame);
}

// ---------------------------------------------------------------- odd ones

function dispatchInline(client: Client, bytes: Bytes, frame: RequestFrame): boolean {
  const core = client.core;
  const args = splitInline(bytes, frame.starts[0], frame.ends[0]);
  if (args === null) {
    core.count(Counter.downstream_cx_protocol_error);
    client.reply(core.text('-ERR Protocol error: unbalanced quotes in request\r\n'), true);
    return true;
  }
  if (args.length === 0) return true;
  const name = String.fromCharCode(...args[0].slice(0, 8)).toLowerCase();
  if (name === 'host:' || name === 'post') {
    // HTTP that was led here by a browser or a proxy: Redis closes such connections without a word.
    core.count(Counter.downstream_cx_protocol_error);
    core.logs.note('warn', 'an HTTP request came to the Redis port; the connection was closed', {
      client: client.address,
    });
    client.reply(core.texts.empty, true);
    return true;
  }
  const command = encodeInline(args, core.runtime.allocate);
  if (frameRequest(command, 0, command.length, inlineFrame, DEFAULT_LIMITS) !== FRAME_COMPLETE) return true;
  return dispatch(client, command, 0, inlineFrame);
}
