import { Flags } from '@oclif/core';
import { ChangeCommand } from '../../change-command.js';
import { parseAddress } from '../../cluster/address.js';
import { readSettings } from '../../config/cluster-flags.js';
import { addressWords, splitWords } from '../../operations/planners/node-choice.js';
import { planRestart, restartRequest } from '../../operations/planners/restart.js';
import type { RunResult } from '../../operations/run.js';
import { howToRestart, restartArgs, restartFlags } from '../../restart-flags.js';

export default class ClusterRestart extends ChangeCommand {
  static override summary = 'Restart nodes one after the other, without an outage.';
  static override description =
    `In every shard the replicas first, then a planned failover, then the master that was. Before the next node is touched,
the one before is back with the same node id, has its data, and all nodes agree. A node is restarted by SHUTDOWN and its
supervisor, or by your own command; one of forge up by that (--name). A master without a replica is refused.
Exit codes: 0 all restarted, 2 unknown node, 4 a node does not answer, 5 a guard refused, 6 locked, 7 a node did not come
back or synchronise in time, 8 the restart command failed.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> 10.0.0.1:6379,10.0.0.4:6379 --fail-back --timeout 10m',
    '<%= config.bin %> <%= command.id %> --restart-command "ssh {host} systemctl restart redis-server@{port}" --yes',
  ];

  // Nodes may also be separated by spaces.
  static override strict = false;
  static override args = restartArgs;

  static override flags = {
    ...restartFlags,
    'allow-outage': Flags.boolean({
      description: 'Restart masters without a replica, too: their slots are not served meanwhile.',
      default: false,
    }),
  };

  async run(): Promise<RunResult> {
    const { argv, flags } = await this.parse(ClusterRestart);
    const nodes = splitWords(argv.map(String));
    const how = await howToRestart(flags, await readSettings(flags));
    const request = { nodes, ...how, failBack: flags['fail-back'], allowOutage: flags['allow-outage'] };
    return this.change({
      flags,
      operation: 'cluster restart',
      also: addressWords(nodes).map((word) => parseAddress(word)),
      request: restartRequest(request),
      plan: (snapshot) => planRestart(snapshot, request),
    });
  }
}
