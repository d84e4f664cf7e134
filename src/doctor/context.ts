/** What all checks of forge doctor share: what was asked for, and what is known of the cluster. */
import { formatAddress, type NodeAddress, parseAddress } from '../cluster/address.js';
import type { ConnectSettings } from '../cluster/node-pool.js';
import type { ClusterSnapshot } from '../cluster/snapshot/snapshot.js';
import type { Settings, TargetFlags } from '../config/resolve.js';

/** Each step of reaching a node. */
export const NODE_STEP_MS = 3_000;
/** Nodes that are asked at once. */
export const PARALLEL_MAX = 64;

export interface DoctorContext {
  readonly flags: TargetFlags;
  /** Undefined when forge.yaml or .env cannot be read. */
  readonly settings?: Settings;
  /** Why they cannot. */
  readonly settingsFailure?: unknown;
  /** Who logs in to nodes; undefined when nobody named any, or the credentials cannot be read. */
  readonly connect?: ConnectSettings;
  /** Nodes that were named, by a flag, the environment or forge.yaml. */
  readonly named: readonly NodeAddress[];
  /** Where they were named. */
  readonly source?: string;
  /** The whole cluster by its own word; rejects when it cannot be read. Undefined when nobody named a node. */
  readonly snapshot?: Promise<ClusterSnapshot>;
  readonly sudo: boolean;
  readonly signal: AbortSignal;
}

/** A node and its bus port. */
export interface KnownNode extends NodeAddress {
  readonly busPort: number;
}

const BUS_OFFSET = 10_000;

/** The nodes that were named, and all members, those by the address at which they answered. */
export async function knownNodes({ snapshot, named }: DoctorContext): Promise<KnownNode[]> {
  const plain = named.map((node) => ({ ...node, busPort: node.port + BUS_OFFSET }));
  const found = await snapshot?.catch(() => undefined);
  if (found === undefined) return plain;
  const members = found.topology.nodes.flatMap((node): KnownNode[] => {
    const report = found.report(node.id);
    const { host, port } = report === undefined ? { host: node.ip, port: node.port } : parseAddress(report.address);
    return host === '' ? [] : [{ host, port, busPort: node.busPort }];
  });
  const addresses = new Set(members.map(formatAddress));
  return [...members, ...plain.filter((node) => !addresses.has(formatAddress(node)))];
}
