/** Whether containers of nodes may be taken away: not while a cluster counts on them. Pure. */
import { formatAddress } from '../cluster/address.js';
import type { ClusterNode } from '../cluster/cluster-node.js';

export interface NodeView {
  readonly host: string;
  readonly container: string;
  /** What CLUSTER NODES says; undefined when the node runs and cannot be asked. */
  readonly nodes?: readonly ClusterNode[];
}

/** A container that is to go and does not run, with the addresses that others may know its node by. */
export interface StoppedNode {
  readonly container: string;
  readonly addresses: readonly string[];
}

export interface RemovalChoice {
  /** Every node that runs, those that stay as well. */
  readonly views: readonly NodeView[];
  /** `host container` of those that are to go. */
  readonly going: ReadonlySet<string>;
  readonly stopped: readonly StoppedNode[];
}

export type RemovalVerdict =
  /** No cluster counts on any of them. */
  | { readonly kind: 'free' }
  /** All nodes of a cluster that has slots. */
  | { readonly kind: 'whole' }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

export const keyOf = ({ host, container }: Pick<NodeView, 'host' | 'container'>) => `${host} ${container}`;

export function judgeRemoval({ views, going, stopped }: RemovalChoice): RemovalVerdict {
  const leaving = views.filter((view) => going.has(keyOf(view)));
  const ids = new Set(leaving.flatMap(({ nodes }) => myself(nodes)?.id ?? []));
  const gone = new Set(stopped.flatMap(({ addresses }) => addresses));
  // Who is stopped and goes is not left behind.
  const staysBehind = (node: ClusterNode) => !ids.has(node.id) && !namesOf(node).some((name) => gone.has(name));
  const reasons: string[] = [];
  let whole = false;
  for (const { container, nodes } of leaving) {
    if (nodes === undefined) {
      reasons.push(`${container} runs, and cannot be asked whether a cluster counts on it`);
      continue;
    }
    if (!hasSlots(nodes)) continue;
    whole = true;
    const others = nodes.filter(staysBehind);
    if (others.length > 0)
      reasons.push(`${container} is a member of a cluster, of which ${count(others.length)} would stay`);
  }
  for (const { container, addresses } of stopped) {
    const staying = views.filter((view) => !going.has(keyOf(view)));
    const known = staying.some(
      ({ nodes }) =>
        nodes !== undefined &&
        hasSlots(nodes) &&
        nodes.some((node) => namesOf(node).some((name) => addresses.includes(name))),
    );
    if (known) reasons.push(`${container} is stopped, and still a member of a cluster whose other nodes run`);
  }
  if (reasons.length > 0) return { kind: 'refused', reasons };
  return { kind: whole ? 'whole' : 'free' };
}

const myself = (nodes: readonly ClusterNode[] | undefined) => nodes?.find(({ flags }) => flags.includes('myself'));
const hasSlots = (nodes: readonly ClusterNode[]) => nodes.some(({ slots }) => slots.length > 0);
const count = (nodes: number) => (nodes === 1 ? 'one node' : `${nodes} nodes`);

function namesOf({ ip, port, hostname }: ClusterNode): string[] {
  return [ip, hostname].flatMap((host) => (host === undefined || host === '' ? [] : [formatAddress({ host, port })]));
}
