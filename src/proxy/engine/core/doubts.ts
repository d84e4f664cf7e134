/**
 * Writes that may be lost with the master that took them: it died, or was cut off until another one was elected, and that one need
 * not have them. A client that is connected to Redis itself would have lost its connection; here it is `WAIT` that has to tell,
 * as whoever is asked now counts the replicas of what *it* has.
 */
import type { Unsure } from '../clients/details.js';
import type { Client } from './client.js';
import type { Core } from './core.js';
import { SILENT_MS, silentSince } from './expiry.js';
import type { Lane } from './lane.js';
import type { UpstreamNode } from './upstream-node.js';

/** A node that was cut off and stays master for so long afterwards has kept what it took. */
const DOUBT_MS = 30_000;

const UNTOLD: Unsure = { told: false, wrote: 0 };

/** A connection for writes is lost: whether it can be made again decides what that was. */
export function connectionLost(core: Core, { node, readonly }: Lane): void {
  // The map may be older than the redirection by which something was written to it.
  if (!readonly && !node.deposed) node.lostMs = core.nowMs;
}

/** It cannot: the process that took the writes is gone, as far as is known. */
export function connectFailed(core: Core, node: UpstreamNode): void {
  if (core.nowMs - node.lostMs < DOUBT_MS) loseWrites(core, node);
}

/** Who owns slots now, and who did. What a master took before its slots were taken from it is in doubt. */
export function takeMasters(core: Core, nodes: Iterable<UpstreamNode>, masters: ReadonlySet<UpstreamNode>): void {
  for (const node of nodes) {
    const isMaster = masters.has(node);
    if (node.master && !isMaster && masters.size > 0 && wasTaken(node, core.nowMs)) loseWrites(core, node);
    node.deposed = masters.size > 0 && (node.master || node.deposed) && !isMaster;
    node.master = isMaster;
  }
}

/**
 * A planned failover takes nothing from anybody: the old master hands over all that it has, and owes no answers for `SILENT_MS`
 * when it loses its slots.
 */
function wasTaken(node: UpstreamNode, nowMs: number): boolean {
  if (nowMs - Math.max(node.lostMs, node.downMs) < DOUBT_MS) return true;
  return node.openLanes().some((lane) => silentSince(lane, nowMs - SILENT_MS));
}

function loseWrites(core: Core, node: UpstreamNode): void {
  node.lostMs = Number.NEGATIVE_INFINITY;
  for (const client of core.clients) if ((client.wrote & node.bit) !== 0) makeUnsure(client);
}

export function makeUnsure(client: Client): void {
  client.details.unsure = UNTOLD;
}

/**
 * Whether `WAIT` has to answer this client that nothing is known to be kept: once it may have lost something, and again until it
 * has written something since it was told.
 */
export function tellDoubt(client: Client): boolean {
  const { details, wrote } = client;
  const { unsure } = details;
  if (unsure === null) return false;
  if (!unsure.told) {
    details.unsure = { told: true, wrote };
    client.wrote = 0;
    return true;
  }
  if (wrote === 0) return true;
  client.wrote |= unsure.wrote;
  details.unsure = null;
  return false;
}
