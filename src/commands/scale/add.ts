import { Args, Flags } from '@oclif/core';
import { ChangeCommand } from '../../change-command.js';
import { parseAddressList } from '../../cluster/address.js';
import { REPLICAS_PER_MASTER_MAX } from '../../cluster/init/plan.js';
import { moveFlags, readMove } from '../../config/move-flags.js';
import { ForgeError } from '../../errors.js';
import { addressWords } from '../../operations/planners/node-choice.js';
import { planScaleAdd, scaleAddRequest } from '../../operations/planners/scale-add.js';
import { parseShare } from '../../operations/planners/weights.js';
import type { RunResult } from '../../operations/run.js';

export default class ScaleAdd extends ChangeCommand {
  static override summary = 'Add nodes to a cluster.';
  static override description =
    `New masters join, get the cluster's functions and their share of the slots, with the fewest moves; new replicas are
attached where replicas are fewest, off their master's host and zone. Nodes must be empty and in cluster mode. The same
command again finishes what was interrupted, and does nothing when all is done.
Exit codes: 0 added (or was already), 2 wrong nodes, 4 a node unreachable, 5 a guard refused, 6 locked, 7 timed out,
8 partly done.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> 10.0.0.7:6379',
    '<%= config.bin %> <%= command.id %> 10.0.0.7:6379@zone-a,10.0.0.8:6379@zone-b --replicas 1 --yes',
    '<%= config.bin %> <%= command.id %> 10.0.0.9:6379 --role replica --replica-of 10.0.0.1:6379',
    '<%= config.bin %> <%= command.id %> 10.0.0.7:6379 --weight 2 --rate 50mb --dry-run',
  ];

  // Addresses may also be separated by spaces.
  static override strict = false;
  static override args = {
    nodes: Args.string({
      description: 'Addresses of the nodes, host:port or host:port@zone, separated by commas.',
      required: false,
    }),
  };

  static override flags = {
    role: Flags.option({
      options: ['master', 'replica'] as const,
      description: 'What the nodes are to be; master when not given, replica with --replica-of.',
    })(),
    'replica-of': Flags.string({
      description: 'The master that the nodes follow; those with the fewest replicas when not given.',
      helpValue: 'NODE',
    }),
    replicas: Flags.integer({
      description: 'Replicas of every new master; they are chosen among the nodes that are added.',
      default: 0,
      min: 0,
      max: REPLICAS_PER_MASTER_MAX,
      helpValue: 'N',
    }),
    weight: Flags.string({
      description:
        'Share of every new master, where others have 1; 0 for no slots; as forge.yaml has it when not given, else 1.',
      helpValue: 'W',
    }),
    ...moveFlags,
  };

  async run(): Promise<RunResult> {
    const { argv, flags } = await this.parse(ScaleAdd);
    const nodes = argv.length === 0 ? [] : parseAddressList(argv.join(','));
    if (nodes.length === 0 && flags.plan === undefined) {
      throw new ForgeError('usage', 'No node is named.', { next: 'Name the nodes that are to join, host:port.' });
    }
    const replicaOf = flags['replica-of'];
    const options = {
      nodes,
      role: flags.role ?? (replicaOf === undefined ? ('master' as const) : ('replica' as const)),
      ...(replicaOf === undefined ? {} : { replicaOf }),
      replicas: flags.replicas,
      ...(flags.weight === undefined ? {} : { weight: parseShare(flags.weight) }),
    };
    const named = replicaOf === undefined ? [] : addressWords([replicaOf]);
    return this.change({
      flags,
      operation: 'scale add',
      also: [...nodes, ...named.flatMap((word) => parseAddressList(word))],
      request: scaleAddRequest(options),
      plan: (snapshot, { weights }) => planScaleAdd(snapshot, options, weights),
      move: readMove(flags),
    });
  }
}
