import { Flags } from '@oclif/core';
import { DrillCommand, type DrillResult } from '../../drill-command.js';
import { persistenceRehearsal } from '../../drills/rehearsals/persistence.js';

export default class DrillPersistence extends DrillCommand {
  static override summary = 'Rehearse that all nodes die at once, and come back with everything that was acknowledged.';
  static override description =
    `Kills all nodes at the same moment while clients write through the proxy, waits until they are back, and looks for every
write: of a cluster of forge up, of containers of forge deploy, or by your own --kill-command. Nothing is served meanwhile. For
staging: it needs --yes and the cluster's name.
Exit codes: 0 every bound holds, 2 wrong flags, 4 a node or the proxy unreachable, 5 refused or not confirmed, 7 not whole
again in time, 9 something was lost, or another bound does not hold.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> --name local --yes --confirm local',
    '<%= config.bin %> <%= command.id %> --max-pause 1m --html persistence.html --yes --confirm staging',
  ];

  static override flags = {
    'kill-command': Flags.string({
      description:
        'Program with arguments that kills a node. {host}, {port}, {address} and {id} are filled in; no shell reads it.',
      helpValue: 'COMMAND',
    }),
  };

  async run(): Promise<DrillResult> {
    const { flags } = await this.parse(DrillPersistence);
    return this.drill(flags, async (stage, settings) => {
      const { reachOf } = await import('../../drills/rehearsals/reach/find.js');
      const reach = await reachOf({
        settings,
        bySeed: flags.seed !== undefined,
        pool: stage.session.pool,
        ...(flags['kill-command'] === undefined ? {} : { killCommand: flags['kill-command'] }),
      });
      return persistenceRehearsal(stage, reach);
    });
  }
}
