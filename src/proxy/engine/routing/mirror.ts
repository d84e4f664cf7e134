import type { Bytes } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import type { Core } from '../core/core.js';
import { withProto } from '../core/lane-id.js';
import { requestFor } from '../core/request.js';
import type { Router } from '../core/router.js';
import { Counter } from '../stats.js';
import type { Mirror, Way } from './routing.js';

/** Sends copies of a command with its keys in one slot to the clusters that mirror its route. */
export function mirrorCommand(
  client: Client,
  way: Way,
  entry: CommandEntry,
  bytes: Bytes,
  start: number,
  end: number,
  keyStart: number,
  keyEnd: number,
): void {
  const { core } = client;
  for (const mirror of way.mirrors) {
    if (!chosen(core, mirror, entry)) continue;
    const { router } = mirror;
    sendCopy(client, router, router.keySpace.slotOf(bytes, keyStart, keyEnd), entry, bytes, start, end);
  }
}

/** Whether this mirror gets this command. */
export function chosen(core: Core, { excludeReads, fraction }: Mirror, entry: CommandEntry): boolean {
  if (excludeReads && entry.repeatable) return false;
  return fraction >= 1 || core.random() < fraction;
}

/**
 * Sends a command whose reply nobody waits for. It never waits itself: without a connection, or with much before it, it
 * is dropped, and counted.
 */
export function sendCopy(
  client: Client,
  router: Router,
  slot: number,
  entry: CommandEntry,
  bytes: Bytes,
  start: number,
  end: number,
): void {
  const { core } = client;
  // Replies are thrown away, so their RESP version does not matter; whose rights it runs by does.
  const id = withProto(client.laneId, 2);
  const lane = router.laneOf(slot, id);
  const { mirrorInFlightMax, mirrorOutputBytesMax } = core.limits;
  if (
    lane === null ||
    !lane.open ||
    lane.inFlight >= mirrorInFlightMax ||
    lane.output.bytes + (end - start) > mirrorOutputBytesMax
  ) {
    router.count(Counter.upstream_rq_mirror_dropped);
    lane?.connect();
    return;
  }
  const request = requestFor(entry, bytes, start, end, router, slot, core.nowMs, id);
  router.count(Counter.upstream_rq_mirror);
  lane.send(request);
  // It is never sent again: what it was received in need not be kept for it.
  request.bytes = null;
}
