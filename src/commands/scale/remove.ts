import { Args, Flags } from '@oclif/core';
import { ChangeCommand } from '../../change-command.js';
import { parseAddress } from '../../cluster/address.js';
import { readFollowing } from '../../cluster/snapshot/follow-setting.js';
import { moveFlags, readMove } from '../../config/move-flags.js';
import { ForgeError } from '../../errors.js';
import { addressWords, splitWords } from '../../operations/planners/node-choice.js';
import { planScaleRemove, scaleRemoveRequest } from '../../operations/planners/scale-remove.js';
import type { RunResult } from '../../operations/run.js';

export default class ScaleRemove extends ChangeCommand {
  static override summary = 'Take nodes out of a cluster.';
  static override description =
    `Masters are drained first, and their replicas follow others; a master that would lose its last replica gets one of a
master that has more. Then the nodes are forgotten everywhere and, where they answer, reset. Dead nodes are removed as
long as no keys are lost by that: a dead master that serves slots is refused, its replica must take over first.
Exit codes: 0 removed, 2 unknown node, 4 a node unreachable, 5 refused, 6 locked, 7 timed out, 8 partly done.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> 10.0.0.7:6379',
    '<%= config.bin %> <%= command.id %> 10.0.0.7:6379,10.0.0.8:6379 --with-replicas --yes',
    '<%= config.bin %> <%= command.id %> 5c1d0a7e2f90b3d4c6a8e1f7091b2c3d4e5f6a7b --dry-run',
  ];

  // Nodes may also be separated by spaces.
  static override strict = false;
  static override args = {
    nodes: Args.string({ description: 'Nodes: ids or addresses, separated by commas.', required: false }),
  };

  static override flags = {
    'with-replicas': Flags.boolean({
      description: 'Remove the replicas of removed masters, too, instead of attaching them elsewhere.',
      default: false,
    }),
    ...moveFlags,
  };

  async run(): Promise<RunResult> {
    const { argv, flags } = await this.parse(ScaleRemove);
    const nodes = splitWords(argv.map(String));
    if (nodes.length === 0 && flags.plan === undefined) {
      throw new ForgeError('usage', 'No node is named.', {
        next: 'Name the nodes that are to leave, by id or address.',
      });
    }
    const options = { nodes, withReplicas: flags['with-replicas'] };
    return this.change({
      flags,
      operation: 'scale remove',
      also: addressWords(nodes).map((word) => parseAddress(word)),
      request: scaleRemoveRequest(options),
      plan: async (snapshot, { pool, weights }) =>
        planScaleRemove(snapshot, options, await readFollowing(pool, snapshot), weights),
      move: readMove(flags),
    });
  }
}
