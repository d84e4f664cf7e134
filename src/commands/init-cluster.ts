import { Args, Flags } from '@oclif/core';
import { dryRunFlag, ForgeCommand, yesFlag } from '../base-command.js';
import { type NodeAddress, parseAddressList } from '../cluster/address.js';
import { REPLICAS_PER_MASTER_MAX } from '../cluster/init/plan.js';
import { type FormedShard, type InitSession, openInit, WAIT_MS } from '../cluster/init/session.js';
import { formatSlots } from '../cluster/slots.js';
import { clusterFlags, readSettings } from '../config/cluster-flags.js';
import { formatDuration, parseDuration } from '../config/duration.js';
import type { ForgeCluster } from '../config/forge-file.js';
import { requireKnownName, resolveTarget } from '../config/resolve.js';
import { ForgeError } from '../errors.js';
import { renderSlotBar, shardLetter } from '../ui/slot-bar.js';
import { renderTable } from '../ui/table.js';
import { runTasks } from '../ui/tasks.js';

const TIMEOUT_MIN_MS = 1_000;
const TIMEOUT_MAX_MS = 3_600_000;
const BAR_WIDTH_MAX = 64;
const REPLICAS_DEFAULT = 1;
// The nodes are the arguments.
const { seed: _, ...connectFlags } = clusterFlags;

interface InitClusterResult {
  status: 'planned' | 'formed' | 'unchanged';
  replicasPerMaster: number;
  shards: FormedShard[] | PlannedShards;
  notes: readonly string[];
  /** Milliseconds from the first command that changed something until all was verified. */
  elapsedMs?: number;
}

type PlannedShards = { master: { address: string }; slots: string; replicas: { address: string }[] }[];

export default class InitCluster extends ForgeCommand {
  static override summary = 'Form a new Redis Cluster of empty nodes.';
  static override description =
    `Plans masters, slots and replicas, shows the plan, asks, and forms the cluster. Masters are spread over hosts and zones;
a replica is never on its master's host when another arrangement exists. Nodes that hold keys or belong to another
cluster are refused. Run again after an interruption, it finishes the job; on a finished cluster it changes nothing.
The password comes from REDIS_REQUIREPASS or --password-file, the ACL user from REDIS_USERNAME or --username.
Exit codes: 0 formed (or was already), 2 wrong nodes, 4 a node or bus port unreachable, 5 a node refused, 7 timed out,
11 access denied.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> 10.0.0.1:6379,10.0.0.2:6379,10.0.0.3:6379,10.0.0.4:6379,10.0.0.5:6379,10.0.0.6:6379',
    '<%= config.bin %> <%= command.id %> redis-1:6379@zone-a,redis-2:6379@zone-b,redis-3:6379@zone-c --replicas-per-master 0 --dry-run',
    '<%= config.bin %> <%= command.id %> "[2001:db8::1]:6379,[2001:db8::2]:6379,[2001:db8::3]:6379" --replicas-per-master 0 --yes --json',
  ];

  // Addresses may also be separated by spaces.
  static override strict = false;
  static override args = {
    nodes: Args.string({
      description:
        'Addresses, host:port or host:port@zone, separated by commas; earlier ones become masters first. Without any, the nodes of forge.yaml.',
    }),
  };

  static override flags = {
    'replicas-per-master': Flags.integer({
      description: 'Replicas of every master (1, or what forge.yaml says); nodes left over become additional replicas.',
      min: 0,
      max: REPLICAS_PER_MASTER_MAX,
      helpValue: 'N',
    }),
    timeout: Flags.string({
      description: 'Bound of each wait (join, agreement, synchronisation), for example 30s or 2m.',
      default: formatDuration(WAIT_MS),
      helpValue: 'DURATION',
    }),
    ...connectFlags,
    ...yesFlag,
    ...dryRunFlag,
  };

  async run(): Promise<InitClusterResult> {
    const { argv, flags } = await this.parse(InitCluster);
    const settings = await readSettings(flags);
    requireKnownName(settings);
    const { connect } = await resolveTarget(flags, settings);
    const session = await openInit({
      nodes: argv.length > 0 ? parseAddressList(argv.join(',')) : nodesOf(settings.cluster),
      replicasPerMaster: flags['replicas-per-master'] ?? settings.cluster?.replicas_per_master ?? REPLICAS_DEFAULT,
      connect,
      waitMs: parseDuration(flags.timeout, { minMs: TIMEOUT_MIN_MS, maxMs: TIMEOUT_MAX_MS }),
      signal: this.signal,
    });
    try {
      return await this.#form(session, flags['dry-run']);
    } finally {
      session.close();
    }
  }

  async #form(session: InitSession, dryRun: boolean): Promise<InitClusterResult> {
    const { plan, notes, state } = session;
    const common = { replicasPerMaster: plan.replicasPerMaster, notes };
    if (state === 'finished') {
      this.#show(session.shards, notes);
      this.output.message('These nodes are this cluster already: nothing to do.');
      return { status: 'unchanged', ...common, shards: session.shards };
    }
    const shards = plannedShards(session);
    this.#show(shards, notes);
    if (state === 'begun') this.output.message('An earlier run was interrupted; this one goes on where it stopped.');
    if (dryRun) {
      this.output.message('Dry run: nothing was changed.');
      return { status: 'planned', ...common, shards };
    }
    await this.confirm(`Form this cluster of ${session.nodes.length} nodes?`);
    const started = performance.now();
    const tasks = session.steps().map(({ title, run }) => ({ title, run: async () => run() }));
    // Every step hears the signal itself, and puts back what it changed for the time being.
    await runTasks(tasks, { output: this.output, context: {} });
    const elapsedMs = Math.round(performance.now() - started);
    const seconds = (elapsedMs / 1_000).toFixed(2);
    this.output.data(
      `Formed in ${seconds} s: all nodes agree on 16384 slots, ${plan.shards.length} masters serve, all replicas are in sync.`,
    );
    return { status: 'formed', ...common, shards: session.shards, elapsedMs };
  }

  #show(shards: FormedShard[] | PlannedShards, notes: readonly string[]): void {
    const rows = shards.map(({ master, slots, replicas }, index) => [
      shardLetter(index),
      slots,
      master.address,
      replicas.map(({ address }) => address).join(' '),
    ]);
    this.output.data(renderTable(['SHARD', 'SLOTS', 'MASTER', 'REPLICAS'], rows));
    const spans = shards.flatMap(({ slots }, shard) =>
      slots.split(',').map((range) => {
        const [from = 0, to = from] = range.split('-').map(Number);
        return { from, to, shard };
      }),
    );
    this.output.data(`\n${renderSlotBar(spans, Math.min(BAR_WIDTH_MAX, this.output.columns))}`);
    for (const note of notes) this.output.message(`Note: ${note}`);
  }
}

/** The nodes of forge.yaml: those that are to be masters first, as the order of the arguments says it. */
function nodesOf(cluster: ForgeCluster | undefined): NodeAddress[] {
  const nodes = cluster?.nodes ?? [];
  if (nodes.length === 0) {
    throw new ForgeError('usage', 'No node is named, neither here nor in forge.yaml.', {
      next: 'Name the nodes: host:port,host:port,…',
    });
  }
  const rank = { master: 0, undecided: 1, replica: 2 };
  const sorted = nodes.toSorted((left, right) => rank[left.role ?? 'undecided'] - rank[right.role ?? 'undecided']);
  return sorted.map(({ role: _role, ...address }) => address);
}

/** The plan in the words of the result; a zone is shown with its node. */
function plannedShards(session: InitSession): PlannedShards {
  const zoneOf = new Map(session.nodes.map(({ label, zone }) => [label, zone]));
  const shown = (label: string) => {
    const zone = zoneOf.get(label);
    return { address: zone === undefined ? label : `${label}@${zone}` };
  };
  return session.plan.shards.map(({ master, slots, replicas }) => ({
    master: shown(master),
    slots: formatSlots(slots),
    replicas: replicas.map(shown),
  }));
}
