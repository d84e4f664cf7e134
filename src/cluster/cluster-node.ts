/** One node as another node describes it in its cluster table. */
import type { SlotSet } from './slots.js';

export type NodeRole = 'master' | 'replica';

/** A slot on its way between two masters. */
export interface OpenSlot {
  readonly slot: number;
  /** Id of the other master: the destination of a migrating slot, the source of an importing one. */
  readonly peerId: string;
}

export interface ClusterNode {
  /** 40 hexadecimal digits; random and temporary while the node is in handshake. */
  readonly id: string;
  /** IP address that the other nodes use; empty when the describing node does not know its own yet. */
  readonly ip: string;
  /** Port for clients; 0 with an unknown address. */
  readonly port: number;
  /** Port of the cluster bus. */
  readonly busPort: number;
  /** What `cluster-announce-hostname` says. */
  readonly hostname?: string;
  /** All flags as the node gives them, `myself` and `fail?` included. */
  readonly flags: readonly string[];
  readonly role: NodeRole;
  /** A replica's master; undefined for a master, and for a replica whose master is not known. */
  readonly masterId?: string;
  readonly configEpoch: number;
  /** Whether the describing node has a cluster bus connection to this one. */
  readonly linked: boolean;
  /** Slots that this master serves. */
  readonly slots: SlotSet;
  /** Slots that leave this node; only a node itself tells. */
  readonly migrating: readonly OpenSlot[];
  /** Slots that come to this node; only a node itself tells. */
  readonly importing: readonly OpenSlot[];
  /** Failure domain; Redis does not know it, the operator or the inventory tells (`assignZones`). */
  readonly zone?: string;
}

export function hasFlag(node: ClusterNode, flag: string): boolean {
  return node.flags.includes(flag);
}

/** True while the node was met but has not yet introduced itself: its id means nothing. */
export function isHandshake(node: ClusterNode): boolean {
  return hasFlag(node, 'handshake');
}

/** True for the node that made the description. */
export function isMyself(node: ClusterNode): boolean {
  return hasFlag(node, 'myself');
}

/** True when the describing node (`fail?`) or the cluster (`fail`) holds this node for dead. */
export function isFailing(node: ClusterNode): boolean {
  return hasFlag(node, 'fail') || hasFlag(node, 'fail?');
}

/** `host:port`, with the announced host name where there is one, IPv6 in brackets. */
export function nodeAddress(node: Pick<ClusterNode, 'ip' | 'port' | 'hostname'>): string {
  const host = node.hostname ?? node.ip;
  return `${host.includes(':') ? `[${host}]` : host}:${node.port}`;
}
