import type { Bytes } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import type { Handler } from '../core/handlers.js';
import { Hold } from '../core/hold.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { Attention } from './attention.js';

/** Serves a command while clients are paused or monitored, slots are half moved, or some commands are to fail. */
export function attend(
  client: Client,
  entry: CommandEntry,
  bytes: Bytes,
  start: number,
  frame: RequestFrame,
  serve: Handler,
): boolean {
  const { core } = client;
  if (core.attention & Attention.overload && core.admission.shedding.refuses(client, entry, frame)) return true;
  if (core.attention & Attention.pause && core.pause.holds(client, entry)) return false;
  // Afterwards, because one that has to wait comes here again.
  const alone = core.attention & Attention.halfMoved && core.halfMoved.concerns(client, entry, bytes, frame);
  const served =
    core.attention & Attention.faults
      ? core.faults.serve(client, entry, bytes, start, frame, serve)
      : serve(client, entry, bytes, start, frame);
  if (alone && served && client.head !== null) client.setHold(Hold.order);
  if (served && core.attention & Attention.monitor) core.monitors.feed(client, entry, bytes, frame);
  return served;
}
