import { Flags } from '@oclif/core';
import { DrillCommand, type DrillResult } from '../../drill-command.js';
import { failoverRehearsal } from '../../drills/rehearsals/failover.js';
import { killRehearsal } from '../../drills/rehearsals/loss.js';

export default class DrillFailover extends DrillCommand {
  static override summary = 'Rehearse that replicas take over: planned, for every master, or by killing one.';
  static override description =
    `Clients that check everything work through the proxy meanwhile. Planned: each master hands its role over, one after the
other; clients may see a pause of a second at most, and no error. With --sudden a master is killed: of forge up, of forge
deploy, or by your own --kill-command. For staging: it needs --yes and the cluster's name.
Exit codes: 0 every bound holds, 2 wrong flags, 4 a node or the proxy unreachable, 5 refused or not confirmed, 6 locked,
7 not whole again in time, 9 a bound does not hold.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> --name local --yes --confirm local',
    '<%= config.bin %> <%= command.id %> --sudden --beside --html failover.html --yes --confirm staging',
    '<%= config.bin %> <%= command.id %> --sudden --node 10.0.0.1:6379 --kill-command "ssh {host} systemctl kill -s KILL redis-server@{port}" --yes --confirm staging',
  ];

  static override flags = {
    sudden: Flags.boolean({ description: 'Kill a master instead.', default: false }),
    node: Flags.string({
      description: 'With --sudden: the master that is killed; the first that has a replica when not given.',
      helpValue: 'NODE',
      dependsOn: ['sudden'],
    }),
    'kill-command': Flags.string({
      description:
        'With --sudden: program with arguments that kills a node. {host}, {port}, {address} and {id} are filled in; no shell reads it.',
      helpValue: 'COMMAND',
      dependsOn: ['sudden'],
    }),
    'fail-back': Flags.boolean({
      description: 'Give the former masters their role back.',
      default: false,
      exclusive: ['sudden'],
    }),
  };

  async run(): Promise<DrillResult> {
    const { flags } = await this.parse(DrillFailover);
    return this.drill(flags, async (stage, settings) => {
      if (!flags.sudden) return failoverRehearsal(stage, { failBack: flags['fail-back'] });
      const { reachOf } = await import('../../drills/rehearsals/reach/find.js');
      const reach = await reachOf({
        settings,
        bySeed: flags.seed !== undefined,
        pool: stage.session.pool,
        ...(flags['kill-command'] === undefined ? {} : { killCommand: flags['kill-command'] }),
      });
      const { node } = flags;
      const replicas = flags['wait-replicas'];
      return killRehearsal(stage, { reach, replicas, ...(node === undefined ? {} : { node }) });
    });
  }
}
