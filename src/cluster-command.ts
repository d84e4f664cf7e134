/** What every command that talks to a cluster shares: who to ask, as whom, and the session that results. */
import { ForgeCommand } from './base-command.js';
import { formatAddress, type NodeAddress, parseAddressList } from './cluster/address.js';
import { type ClusterFlagValues, clusterFlags, readSettings } from './config/cluster-flags.js';
import type { ForgeNode } from './config/forge-file.js';
import { resolveTarget, type Settings, type Target } from './config/resolve.js';
import { KnownMembers } from './config/resolve-members.js';
import { ClusterSession, type OpenSessionOptions } from './operations/session.js';

export interface SessionOptions extends Pick<OpenSessionOptions, 'also' | 'record' | 'untilAgreed'> {
  /** Further seeds, below all that the operator said. */
  readonly fallback?: { readonly addresses: readonly string[]; readonly source: string };
}

export abstract class ClusterCommand extends ForgeCommand {
  static override baseFlags = { ...ForgeCommand.baseFlags, ...clusterFlags };

  /** Work with a session that is closed afterwards, whatever happens. */
  protected async withSession<Result>(
    flags: ClusterFlagValues,
    work: (session: ClusterSession) => Promise<Result>,
    { fallback, ...options }: SessionOptions = {},
  ): Promise<Result> {
    const settings = await readSettings(flags);
    const { seeds: found, connect } = await targetOf(flags, settings, fallback);
    const seeds = parseAddressList(found.text);
    // A seed that was named otherwise may be of another cluster.
    const byName = settings.unknownName === undefined && found.source === 'forge.yaml';
    const name =
      flags.seed === undefined ? (settings.unknownName ?? (byName ? settings.cluster?.name : undefined)) : undefined;
    const nodes = settings.cluster?.nodes ?? [];
    const zones = await zonesOf([...nodes, ...seeds, ...(options.also ?? [])]);
    const weightOf = await weightsOf(nodes);
    const session = await ClusterSession.open({
      seeds,
      source: found.source,
      connect,
      ...(name === undefined ? {} : { name }),
      ...(weightOf === undefined ? {} : { weightOf }),
      ...(zones === undefined ? {} : { zoneOf: (node) => zones.find(node)?.zone }),
      ...options,
    });
    try {
      if (found.source !== 'forge.yaml') await this.#compare(session, settings);
      return await work(session);
    } finally {
      session.close();
    }
  }

  /** Who stands in the folder of one cluster and has another's address in the environment is told so. */
  async #compare({ snapshot, cluster: seed }: ClusterSession, { cluster }: Settings): Promise<void> {
    if (cluster === undefined || cluster.nodes.length === 0) return;
    const known = await KnownMembers.of(cluster.nodes);
    const { nodes } = snapshot.topology;
    if (nodes.some((node) => known.find(node) !== undefined)) return;
    const listed = cluster.nodes.slice(0, 3).map(formatAddress).join(', ');
    this.output.warning(`the cluster at ${seed} has none of the nodes of ${cluster.name} in forge.yaml (${listed}).`);
  }
}

/** Where the cluster is and who logs in: by flags, environment, forge.yaml, or the name of a local cluster. */
export async function targetOf(
  flags: ClusterFlagValues,
  settings: Settings,
  fallback?: SessionOptions['fallback'],
): Promise<Target> {
  if (settings.unknownName === undefined) return resolveTarget(flags, settings, fallback);
  const { localTarget } = await import('./local/target.js');
  const names = settings.forgeFile?.content.clusters.map(({ name }) => name);
  const { addresses, username, passwordFile } = await localTarget(settings.unknownName, names);
  const given = {
    ...flags,
    seed: flags.seed ?? addresses.join(','),
    username: flags.username ?? username,
    'password-file': flags['password-file'] ?? passwordFile,
  };
  return resolveTarget(given, { ...settings, environment: {} });
}

/** What forge.yaml says of a node's weight; undefined when it tells none: then no name needs to be resolved. */
async function weightsOf(nodes: readonly ForgeNode[]): Promise<OpenSessionOptions['weightOf']> {
  const told = new Map<NodeAddress, number>(
    nodes.flatMap((node) => (node.weight === undefined ? [] : [[node, node.weight] as const])),
  );
  if (told.size === 0) return undefined;
  const known = await KnownMembers.of([...told.keys()]);
  return (node) => {
    const address = known.find(node);
    return address === undefined ? undefined : told.get(address);
  };
}

/** Undefined when no zone is told: then no name needs to be resolved. */
async function zonesOf(addresses: readonly NodeAddress[]): Promise<KnownMembers | undefined> {
  const told = addresses.filter(({ zone }) => zone !== undefined);
  return told.length === 0 ? undefined : KnownMembers.of(told);
}
