import { Counter } from '../stats.js';
import type { Core } from './core.js';
import type { NodeEntry, Router } from './router.js';
import { formatAddress, UpstreamNode } from './upstream-node.js';

/** The nodes of one upstream cluster that a worker knows: those of the topology, and those that redirections named. */
export class Nodes {
  /** By their numbers in the slot map. The array stays the same. */
  readonly byIndex: (UpstreamNode | undefined)[] = [];
  private readonly byAddress = new Map<string, UpstreamNode>();
  private readonly indexes = new Map<UpstreamNode, number>();
  /** Known ones that the topology does not list. */
  private unknown = 0;

  constructor(
    private readonly core: Core,
    private readonly router: Router,
  ) {}

  /** Known nodes, listed or not. */
  all(): IterableIterator<UpstreamNode> {
    return this.byAddress.values();
  }

  /** Its number in the slot map. */
  indexOf(node: UpstreamNode): number | undefined {
    return this.indexes.get(node);
  }

  /** False when the node has been forgotten. */
  has(node: UpstreamNode): boolean {
    return this.byAddress.get(node.address) === node;
  }

  /** The node at an address that a redirection names; null when too many unknown ones are open. */
  named(host: string, port: number): UpstreamNode | null {
    const address = formatAddress(host, port);
    const known = this.byAddress.get(address);
    if (known !== undefined) return known;
    if (this.unknown >= (this.router.settings.unknownMax ?? this.core.limits.upstreamUnknownMax)) {
      this.router.count(Counter.max_upstream_unknown_connections_reached);
      return null;
    }
    const node = new UpstreamNode(this.core, this.router, host, port);
    this.byAddress.set(address, node);
    this.unknown++;
    return node;
  }

  /** Takes the nodes of the topology. */
  list(entries: readonly NodeEntry[]): void {
    const listed = new Set<UpstreamNode>();
    this.byIndex.length = 0;
    this.indexes.clear();
    for (const entry of entries) {
      const address = formatAddress(entry.host, entry.port);
      let node = this.byAddress.get(address);
      const fresh = node === undefined || !node.listed;
      if (node === undefined) {
        node = new UpstreamNode(this.core, this.router, entry.host, entry.port);
        this.byAddress.set(address, node);
      } else if (!node.listed) this.unknown--;
      node.listed = true;
      node.masterIndex = entry.masterIndex ?? -1;
      if (fresh) node.lagging = this.router.settings.lagBound === true;
      this.byIndex[entry.index] = node;
      this.indexes.set(node, entry.index);
      listed.add(node);
    }
    for (const node of this.byAddress.values()) {
      if (node.listed && !listed.has(node)) {
        node.listed = false;
        this.unknown++;
      }
    }
  }

  /** Forgets one that the topology does not list. */
  forget(node: UpstreamNode): void {
    if (this.byAddress.delete(node.address)) this.unknown--;
  }
}
