import { type Bytes, copyBytes } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import type { Core } from '../core/core.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { chosen, sendCopy } from './mirror.js';
import type { Mirror, Way } from './routing.js';

/**
 * Sends copies of a command that is split over slots: a mirror has slots of its own.
 * @param ways of each key
 */
export function mirrorSplit(
  client: Client,
  entry: CommandEntry,
  bytes: Bytes,
  start: number,
  frame: RequestFrame,
  ways: readonly Way[],
): void {
  for (const way of new Set(ways)) {
    for (const mirror of way.mirrors) {
      if (chosen(client.core, mirror, entry)) copy(client, mirror, entry, bytes, start, frame, ways, way);
    }
  }
}

function copy(
  client: Client,
  { router }: Mirror,
  entry: CommandEntry,
  bytes: Bytes,
  start: number,
  frame: RequestFrame,
  ways: readonly Way[],
  way: Way,
): void {
  const step = entry.keyStep;
  const groups = new Map<number, number[]>();
  for (let i = 0, arg = 1; i < ways.length; i++, arg += step) {
    if (ways[i] !== way) continue;
    const slot = router.keySpace.slotOf(bytes, frame.starts[arg], frame.ends[arg]);
    const group = groups.get(slot);
    if (group === undefined) groups.set(slot, [arg]);
    else group.push(arg);
  }
  for (const [slot, args] of groups) {
    if (args.length === ways.length) sendCopy(client, router, slot, entry, bytes, start, frame.end);
    else {
      const part = encodePart(client.core, bytes, frame, args, step);
      sendCopy(client, router, slot, entry, part, 0, part.length);
    }
  }
}

/** The command with only some of its keys. @param args argument numbers of these keys */
function encodePart(core: Core, bytes: Bytes, frame: RequestFrame, args: readonly number[], step: number): Bytes {
  const head = core.text(`*${args.length * step + 1}\r\n$${frame.ends[0] - frame.starts[0]}\r\n`);
  let size = head.length + frame.ends[0] - frame.starts[0] + 2;
  for (const arg of args) size += frame.ends[arg + step - 1] - frame.ends[arg - 1];
  const out = core.runtime.allocate(size);
  let at = copyBytes(head, 0, head.length, out, 0);
  at = copyBytes(bytes, frame.starts[0], frame.ends[0] + 2, out, at);
  // An argument's `$<length>` line stands behind the CRLF of the one before.
  for (const arg of args) at = copyBytes(bytes, frame.ends[arg - 1] + 2, frame.ends[arg + step - 1] + 2, out, at);
  return out;
}
