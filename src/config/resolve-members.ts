/** Which member of a cluster an address of the operator means: names are resolved, zones go with them. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { formatAddress, type NodeAddress } from '../cluster/address.js';

/** A name server that does not answer must not hold a command up: without an answer, the zone is not known. */
const LOOKUP_MS = 2_000;
/** Look-ups at once; each takes a thread of Node's pool. */
const PARALLEL_MAX = 16;

/** What a node says of itself; the shape of a cluster's node. */
export interface Member {
  readonly ip: string;
  readonly port: number;
  readonly hostname?: string;
}

export type Lookup = (host: string) => Promise<readonly string[]>;

const systemLookup: Lookup = async (host) => (await lookup(host, { all: true })).map(({ address }) => address);

/** Addresses that the operator wrote, by what the nodes call themselves. */
export class KnownMembers {
  readonly #byAddress: ReadonlyMap<string, NodeAddress>;

  private constructor(byAddress: ReadonlyMap<string, NodeAddress>) {
    this.#byAddress = byAddress;
  }

  /** Resolves all names, each within two seconds; one that cannot be resolved is known by its name only. */
  static async of(addresses: readonly NodeAddress[], look: Lookup = systemLookup): Promise<KnownMembers> {
    const found = await resolveHosts(addresses, look);
    const byAddress = new Map<string, NodeAddress>();
    for (const address of addresses) {
      for (const host of [address.host, ...(found.get(address.host) ?? [])]) {
        const key = formatAddress({ host, port: address.port });
        // An address that is written twice may have its zone in one place only.
        if (byAddress.get(key)?.zone === undefined) byAddress.set(key, address);
      }
    }
    return new KnownMembers(byAddress);
  }

  /** The address that means this member. */
  find({ ip, port, hostname }: Member): NodeAddress | undefined {
    const byIp = this.#byAddress.get(formatAddress({ host: ip, port }));
    if (byIp !== undefined || hostname === undefined) return byIp;
    return this.#byAddress.get(formatAddress({ host: hostname.toLowerCase(), port }));
  }
}

/** What every name among the addresses resolves to; nothing for one that cannot be resolved within two seconds. */
export async function resolveHosts(
  addresses: readonly NodeAddress[],
  look: Lookup = systemLookup,
): Promise<Map<string, readonly string[]>> {
  const hosts = [...new Set(addresses.map(({ host }) => host))].filter((host) => isIP(host) === 0);
  const found = new Map<string, readonly string[]>();
  const queue = hosts.values();
  const work = async () => {
    for (const host of queue) found.set(host, await bounded(look(host)));
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL_MAX, hosts.length) }, work));
  return found;
}

async function bounded(looking: Promise<readonly string[]>): Promise<readonly string[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<readonly string[]>((resolve) => {
    timer = setTimeout(() => resolve([]), LOOKUP_MS);
  });
  try {
    return await Promise.race([looking, late]);
  } catch {
    return [];
  } finally {
    clearTimeout(timer);
  }
}
