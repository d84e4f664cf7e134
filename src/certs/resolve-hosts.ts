/** Addresses of hosts that are known by their names only: nodes of a cluster are found by their addresses. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { mapBounded } from '../cluster/bounded.js';
import type { WantedNode } from './wanted.js';

const LOOKUP_MS = 3_000;
const LOOKUPS_AT_ONCE = 16;
/** More addresses of one host are no host's. */
const ADDRESSES_MAX = 16;

export interface ResolvedHosts {
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  /** Names that nobody knows, or about which nobody answered in time. */
  readonly unknown: readonly string[];
}

/** Asks for the addresses of nodes that have none in forge.yaml. */
export async function resolveHosts(nodes: readonly Pick<WantedNode, 'host' | 'addresses'>[]): Promise<ResolvedHosts> {
  const names = new Set(
    nodes
      .filter(({ host, addresses = [] }) => isIP(host) === 0 && !addresses.some((each) => isIP(each) !== 0))
      .map(({ host }) => host),
  );
  const found = await mapBounded([...names], LOOKUPS_AT_ONCE, async (name) => [name, await addressesOf(name)] as const);
  return {
    addresses: new Map(found.filter(([, addresses]) => addresses.length > 0)),
    unknown: found.filter(([, addresses]) => addresses.length === 0).map(([name]) => name),
  };
}

async function addressesOf(name: string): Promise<string[]> {
  const stop = new AbortController();
  const late = sleep(LOOKUP_MS, [], { signal: stop.signal, ref: true }).catch(() => []);
  const asked = lookup(name, { all: true }).then(
    (all) => all.map(({ address }) => address).filter((address) => !address.includes('%')),
    () => [],
  );
  const addresses = await Promise.race([asked, late]);
  stop.abort();
  return addresses.slice(0, ADDRESSES_MAX);
}
