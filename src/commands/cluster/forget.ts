import { Args, Flags } from '@oclif/core';
import { ChangeCommand } from '../../change-command.js';
import { parseAddress } from '../../cluster/address.js';
import { ForgeError } from '../../errors.js';
import { forgetRequest, planForget } from '../../operations/planners/forget.js';
import { addressWords, splitWords } from '../../operations/planners/node-choice.js';
import type { RunResult } from '../../operations/run.js';

export default class ClusterForget extends ChangeCommand {
  static override summary = 'Take dead nodes out of every node’s table.';
  static override description =
    `All members forget the nodes within the time in which gossip does not bring them back (60 seconds), and it is verified
that nobody knows them any more. Nodes that answer, that others do not hold for dead, that serve slots or have replicas
are refused.
Exit codes: 0 forgotten, 2 unknown node, 4 a node unreachable, 5 a guard refused, 6 locked, 7 timed out.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> 10.0.0.7:6379',
    '<%= config.bin %> <%= command.id %> 5c1d0a7e2f90b3d4c6a8e1f7091b2c3d4e5f6a7b --yes',
    '<%= config.bin %> <%= command.id %> --dead --dry-run',
  ];

  // Nodes may also be separated by spaces.
  static override strict = false;
  static override args = {
    nodes: Args.string({ description: 'Dead nodes: ids or addresses, separated by commas.', required: false }),
  };

  static override flags = {
    dead: Flags.boolean({
      description: 'All that do not answer, are held for dead by the cluster, and serve no slots.',
      default: false,
    }),
  };

  async run(): Promise<RunResult> {
    const { argv, flags } = await this.parse(ClusterForget);
    const request = { nodes: splitWords(argv.map(String)), dead: flags.dead };
    if (request.nodes.length === 0 && !flags.dead && flags.plan === undefined) {
      throw new ForgeError('usage', 'Nobody is named.', { next: 'Name the dead nodes, or all of them with --dead.' });
    }
    return this.change({
      repairs: true,
      flags,
      operation: 'cluster forget',
      also: addressWords(request.nodes).map((word) => parseAddress(word)),
      request: forgetRequest(request),
      plan: (snapshot) => planForget(snapshot, request),
    });
  }
}
