import { SLOT_COUNT } from '../hash/crc16.js';
import { type Reply, ReplyError } from '../resp/decode.js';

export interface ClusterNode {
  readonly id: string;
  readonly host: string;
  readonly port: number;
}

/** Slots `start` to `end` (both counted in), their master and its replicas. */
export interface SlotRange {
  readonly start: number;
  readonly end: number;
  readonly master: ClusterNode;
  readonly replicas: readonly ClusterNode[];
}

/**
 * Reads the reply to CLUSTER SLOTS (https://redis.io/docs/latest/commands/cluster-slots/).
 * @param answeredBy host of the node that answered: it stands where a node names no host of its own
 * @throws Error when the reply is an error, or not of that form
 */
export function readClusterSlots(reply: Reply, answeredBy: string): SlotRange[] {
  if (reply instanceof ReplyError) throw new Error(reply.message || 'CLUSTER SLOTS: an error without words');
  if (!Array.isArray(reply)) throw new Error('CLUSTER SLOTS: not an array');
  return reply.map((row) => readRange(row, answeredBy));
}

function readRange(row: Reply, answeredBy: string): SlotRange {
  if (!Array.isArray(row) || row.length < 3) throw new Error('CLUSTER SLOTS: a range of unknown form');
  const [start, end, ...nodes] = row;
  if (!isSlot(start) || !isSlot(end) || end < start) throw new Error('CLUSTER SLOTS: a range out of bounds');
  const [master, ...replicas] = nodes.map((node) => readNode(node, answeredBy));
  return { start, end, master, replicas };
}

function isSlot(value: Reply | undefined): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < SLOT_COUNT;
}

/** [preferred endpoint, port, id, [metadata …]]; the endpoint is null or '?' when the node does not know it. */
function readNode(node: Reply, answeredBy: string): ClusterNode {
  if (!Array.isArray(node)) throw new Error('CLUSTER SLOTS: a node of unknown form');
  const [endpoint, port, id] = node;
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65535) {
    throw new Error('CLUSTER SLOTS: a node without a port');
  }
  const named = typeof endpoint === 'string' && endpoint !== '' && endpoint !== '?';
  return { id: typeof id === 'string' ? id : '', host: named ? endpoint : answeredBy, port };
}
