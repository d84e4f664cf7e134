import { Args } from '@oclif/core';
import { ChangeCommand } from '../../change-command.js';
import { type NodeAddress, parseAddress } from '../../cluster/address.js';
import { addressWords } from '../../operations/planners/node-choice.js';
import { planReplace, replaceRequest } from '../../operations/planners/replace.js';
import type { RunResult } from '../../operations/run.js';

export default class ClusterReplace extends ChangeCommand {
  static override summary = 'Put a new node in the place of an old one.';
  static override description =
    `The new node joins, copies the data of the old one’s shard, takes over by a planned failover where the old one is the
master, and the old one is forgotten everywhere and reset. Slots do not move. A dead replica is replaced as well; for a
dead master, a replica of it must take over first.
Exit codes: 0 replaced (or was already), 2 wrong nodes, 4 a node unreachable, 5 a guard refused, 6 locked, 7 timed out.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> 10.0.0.1:6379 10.0.0.9:6379',
    '<%= config.bin %> <%= command.id %> 5c1d0a7e2f90b3d4c6a8e1f7091b2c3d4e5f6a7b 10.0.0.9:6379@zone-b --yes',
  ];

  static override args = {
    old: Args.string({ description: 'The node that leaves: its id or address.', required: true }),
    new: Args.string({
      description: 'The node that takes its place, host:port or host:port@zone: empty, in cluster mode.',
      required: true,
    }),
  };

  async run(): Promise<RunResult> {
    const { args, flags } = await this.parse(ClusterReplace);
    const added: NodeAddress = parseAddress(args.new);
    const request = { old: args.old, new: added };
    return this.change({
      flags,
      operation: 'cluster replace',
      also: [...addressWords([args.old]).map((word) => parseAddress(word)), added],
      request: replaceRequest(request),
      plan: (snapshot) => planReplace(snapshot, request),
    });
  }
}
