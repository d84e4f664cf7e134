import { Args, Flags } from '@oclif/core';
import { ChangeCommand } from '../../change-command.js';
import { parseAddress } from '../../cluster/address.js';
import { ForgeError } from '../../errors.js';
import { failoverRequest, planFailover } from '../../operations/planners/failover.js';
import { addressWords, splitWords } from '../../operations/planners/node-choice.js';
import type { RunResult } from '../../operations/run.js';
import { FAILOVER_MODES } from '../../operations/steps/failover.js';

export default class ClusterFailover extends ChangeCommand {
  static override summary = 'Make replicas the masters of their shards.';
  static override description =
    `Name the replicas that are to be masters, or with --from the masters that are to hand their role over. Waits until the
replica has the master's data, lets both agree (no write is lost), and confirms the new role by the node itself, by a
majority of the masters and by the former master; Redis's own OK only means that it was begun.
Exit codes: 0 confirmed (or was so already), 2 unknown node, 4 a node unreachable, 5 a guard refused, 6 locked, 7 not
confirmed in time.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> 10.0.0.4:6379',
    '<%= config.bin %> <%= command.id %> --from 10.0.0.1:6379,10.0.0.2:6379 --yes',
    '<%= config.bin %> <%= command.id %> --from 10.0.0.1:6379 --mode force',
  ];

  // Nodes may also be separated by spaces.
  static override strict = false;
  static override args = {
    nodes: Args.string({
      description: 'Nodes that are to be masters: ids or addresses, separated by commas.',
      required: false,
    }),
  };

  static override flags = {
    from: Flags.string({
      description: 'Masters whose best replica takes their role, separated by commas.',
      helpValue: 'NODE[,NODE]',
      multiple: true,
      multipleNonGreedy: true,
    }),
    mode: Flags.option({
      options: FAILOVER_MODES,
      description:
        'planned: both agree, nothing is lost. force: the master is dead, the masters vote. takeover: nobody is asked.',
      default: 'planned' as const,
    })(),
  };

  async run(): Promise<RunResult> {
    const { argv, flags } = await this.parse(ClusterFailover);
    const promote = splitWords(argv.map(String));
    const from = splitWords(flags.from ?? []);
    if (promote.length + from.length === 0 && flags.plan === undefined) {
      throw new ForgeError('usage', 'Nobody is named.', {
        next: 'Name the replica that is to be the master, or a master with --from.',
      });
    }
    const request = { promote, from, mode: flags.mode };
    return this.change({
      flags,
      operation: 'cluster failover',
      also: addressWords([...promote, ...from]).map((word) => parseAddress(word)),
      request: failoverRequest(request),
      plan: (snapshot) => planFailover(snapshot, request),
    });
  }
}
