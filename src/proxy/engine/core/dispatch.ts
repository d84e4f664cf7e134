import { type Bytes, equalsIgnoreCase, latin1, writeAscii } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import { Route } from '../commands/routes.js';
import { keySlot } from '../hash/crc16.js';
import { runLocal } from '../local/local.js';
import { encodeInline, splitInline } from '../resp/inline.js';
import { DEFAULT_LIMITS, FRAME_COMPLETE, frameRequest, RequestFrame } from '../resp/request-framer.js';
import { Counter } from '../stats.js';
import type { Client } from './client.js';
import { Fanout } from './fanout.js';
import { acquireRequest } from './request.js';

const inlineFrame = new RequestFrame();

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
    client.reply(core.texts.noAuth);
    return true;
  }
  if (entry === null) {
    core.countRequest(null);
    replyError(client, unknownCommand(bytes, frame));
    return true;
  }
  if (!entry.container) return run(client, entry, bytes, start, frame);
  if (frame.count < 2) return run(client, entry, bytes, start, frame);
  const sub = core.catalog.findSubcommand(entry, bytes, frame.starts[1], frame.ends[1]);
  if (sub !== null) return run(client, sub, bytes, start, frame);
  core.countRequest(null);
  const word = printable(bytes, frame.starts[1], frame.ends[1]);
  replyError(client, `ERR unknown subcommand '${word}'. Try ${entry.name.toUpperCase()} HELP.`);
  return true;
}

function mayRunBeforeLogin(entry: CommandEntry | null): boolean {
  return entry !== null && (entry.name === 'auth' || entry.name === 'hello' || entry.name === 'quit');
}

function run(client: Client, entry: CommandEntry, bytes: Bytes, start: number, frame: RequestFrame): boolean {
  const core = client.core;
  if (entry.route === Route.refused) {
    core.countRequest(entry);
    core.count(Counter.splitter_unsupported_command);
    core.countError(entry);
    client.reply(core.text(`-ERR unsupported command '${entry.name}': it ${entry.refusal}\r\n`));
    return true;
  }
  if (!entry.accepts(frame.count)) {
    core.countRequest(entry);
    core.count(Counter.splitter_invalid_request);
    core.countError(entry);
    client.reply(core.text(`-ERR wrong number of arguments for '${entry.name}' command\r\n`));
    return true;
  }
  switch (entry.route) {
    case Route.keyed:
      break;
    case Route.keyedUnlessBlock:
      if (!hasBlock(bytes, frame)) break;
      core.countRequest(entry);
      core.count(Counter.splitter_unsupported_command);
      core.countError(entry);
      client.reply(core.text(`-ERR unsupported command '${entry.name}': it ${entry.refusal}\r\n`));
      return true;
    case Route.splitValues:
    case Route.splitOk:
    case Route.splitSum:
      return split(client, entry, bytes, start, frame);
    case Route.anyMaster:
      core.countRequest(entry);
      send(client, entry, bytes, start, frame.end, -1);
      return true;
    default: {
      if (!runLocal(client, entry, bytes, frame)) return false;
      core.countRequest(entry);
      return true;
    }
  }
  core.countRequest(entry);
  const key = entry.firstKey(bytes, frame);
  if (key < 0) {
    core.count(Counter.splitter_invalid_request);
    core.countError(entry);
    client.reply(core.text(`-ERR wrong number of arguments for '${entry.name}' command\r\n`));
    return true;
  }
  send(client, entry, bytes, start, frame.end, key === 0 ? -1 : keySlot(bytes, frame.starts[key], frame.ends[key]));
  return true;
}

function send(client: Client, entry: CommandEntry, bytes: Bytes, start: number, end: number, slot: number): void {
  const request = acquireRequest();
  request.entry = entry;
  request.bytes = bytes;
  request.start = start;
  request.end = end;
  request.slot = slot;
  request.proto = client.proto;
  request.startedMs = client.core.nowMs;
  client.push(request);
  client.core.route(request);
}

/** The BLOCK option of XREAD and XREADGROUP stands before STREAMS. */
function hasBlock(bytes: Bytes, frame: RequestFrame): boolean {
  for (let i = 1; i < frame.count; i++) {
    const is = (word: string) => equalsIgnoreCase(bytes, frame.starts[i], frame.ends[i], word);
    if (is('block')) return true;
    if (is('streams')) return false;
    // What an option takes is passed over: a group may be named 'streams'.
    if (is('count')) i += 1;
    else if (is('group')) i += 2;
  }
  return false;
}

// ---------------------------------------------------------------- commands over several slots

const slots: { array: Uint16Array } = { array: new Uint16Array(64) };

/**
 * Sends a command whose keys are in several slots as one command a slot; what goes to one shard goes in one write.
 * With all keys in one slot it goes on unchanged, and stays atomic.
 */
function split(client: Client, entry: CommandEntry, bytes: Bytes, start: number, frame: RequestFrame): boolean {
  const core = client.core;
  const step = entry.keyStep;
  const keys = (frame.count - 1) / step;
  core.countRequest(entry);
  if (!Number.isInteger(keys)) {
    core.count(Counter.splitter_invalid_request);
    core.countError(entry);
    client.reply(core.text(`-ERR wrong number of arguments for '${entry.name}' command\r\n`));
    return true;
  }
  if (slots.array.length < keys) slots.array = new Uint16Array(keys * 2);
  const slotOfKey = slots.array;
  let same = true;
  for (let i = 0, arg = 1; i < keys; i++, arg += step) {
    slotOfKey[i] = keySlot(bytes, frame.starts[arg], frame.ends[arg]);
    if (slotOfKey[i] !== slotOfKey[0]) same = false;
  }
  if (same) {
    send(client, entry, bytes, start, frame.end, slotOfKey[0]);
    return true;
  }

  const fanout = new Fanout(entry.route);
  const partOfSlot = new Map<number, number>();
  const keysOfPart: number[][] = [];
  for (let i = 0; i < keys; i++) {
    let part = partOfSlot.get(slotOfKey[i]);
    if (part === undefined) {
      part = keysOfPart.length;
      partOfSlot.set(slotOfKey[i], part);
      keysOfPart.push([]);
    }
    keysOfPart[part].push(i);
    if (entry.route === Route.splitValues) fanout.partOfKey.push(part);
  }

  const parent = acquireRequest();
  parent.entry = entry;
  parent.proto = client.proto;
  parent.startedMs = core.nowMs;
  parent.fanout = fanout;
  fanout.remaining = keysOfPart.length;
  client.push(parent);
  const commands = encodeParts(client, entry, bytes, frame, step, keysOfPart);
  for (let p = 0; p < keysOfPart.length; p++) {
    const part = acquireRequest();
    part.entry = entry;
    part.bytes = commands.bytes;
    part.start = commands.offsets[p];
    part.end = commands.offsets[p + 1];
    part.slot = slotOfKey[keysOfPart[p][0]];
    part.proto = client.proto;
    part.startedMs = core.nowMs;
    part.parent = parent;
    fanout.parts.push(part);
  }
  // `parts` is complete before the first one is sent: one that fails at once must find the others.
  for (const part of fanout.parts) core.route(part);
  return true;
}

/** The parts as commands, one behind the other in one buffer. */
function encodeParts(
  client: Client,
  entry: CommandEntry,
  bytes: Bytes,
  frame: RequestFrame,
  step: number,
  keysOfPart: readonly number[][],
): { bytes: Bytes; offsets: number[] } {
  const core = client.core;
  const name = core.text(`$${entry.name.length}\r\n${entry.name.toUpperCase()}\r\n`);
  const headers: Bytes[] = [];
  let size = 0;
  for (const keys of keysOfPart) {
    const header = core.countLine(keys.length * step + 1);
    headers.push(header);
    size += header.length + name.length;
  }
  // An argument's `$<length>\r\n` line stands before it in the received command and is copied with it.
  const last = frame.count;
  let previousEnd = frame.ends[0] + 2;
  const firstByte = previousEnd;
  size += frame.ends[last - 1] + 2 - firstByte;
  const out = core.runtime.allocate(size);
  const argStart = (arg: number) => (arg === 1 ? firstByte : frame.ends[arg - 1] + 2);
  const offsets = [0];
  let at = 0;
  for (let p = 0; p < keysOfPart.length; p++) {
    at += headers[p].copy(out, at, 0, headers[p].length);
    at += name.copy(out, at, 0, name.length);
    for (const key of keysOfPart[p]) {
      const first = 1 + key * step;
      previousEnd = frame.ends[first + step - 1] + 2;
      const from = argStart(first);
      bytes.copy(out, at, from, previousEnd);
      at += previousEnd - from;
    }
    offsets.push(at);
  }
  return { bytes: out, offsets };
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
    core.runtime.log('warn', 'an HTTP request came to the Redis port; the connection was closed', {
      client: client.address,
    });
    client.reply(core.texts.empty, true);
    return true;
  }
  const command = encodeInline(args, core.runtime.allocate);
  if (frameRequest(command, 0, command.length, inlineFrame, DEFAULT_LIMITS) !== FRAME_COMPLETE) return true;
  return dispatch(client, command, 0, inlineFrame);
}

/** Bytes of arguments that Redis shows in its error for an unknown command. */
const SHOWN_ARGUMENTS_BYTES_MAX = 128;

function unknownCommand(bytes: Bytes, frame: RequestFrame): string {
  const name = printable(bytes, frame.starts[0], Math.min(frame.ends[0], frame.starts[0] + SHOWN_ARGUMENTS_BYTES_MAX));
  let args = '';
  for (let i = 1; i < frame.count && args.length < SHOWN_ARGUMENTS_BYTES_MAX; i++) {
    const room = SHOWN_ARGUMENTS_BYTES_MAX - args.length;
    args += `'${printable(bytes, frame.starts[i], Math.min(frame.ends[i], frame.starts[i] + room))}' `;
  }
  return `ERR unknown command '${name}', with args beginning with: ${args}`;
}

/** What a client said, as Redis shows it: up to a zero byte, on one line. */
function printable(bytes: Bytes, start: number, end: number): string {
  const text = latin1(bytes, start, end);
  const zero = text.indexOf('\0');
  return (zero < 0 ? text : text.slice(0, zero)).replace(/[\r\n]/g, ' ');
}

/** Answers with an error that shows a client's own bytes: each character stands for one byte. */
function replyError(client: Client, text: string): void {
  const line = `-${text}\r\n`;
  const bytes = client.core.runtime.allocate(line.length);
  writeAscii(line, bytes, 0);
  client.reply(bytes);
}
