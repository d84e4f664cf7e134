import { DrillCommand, type DrillResult } from '../../drill-command.js';
import { restartRehearsal } from '../../drills/rehearsals/rolling-restart.js';
import { splitWords } from '../../operations/planners/node-choice.js';
import { howToRestart, restartArgs, restartFlags } from '../../restart-flags.js';

export default class DrillRollingRestart extends DrillCommand {
  static override summary = 'Rehearse that all nodes are restarted, one after the other.';
  static override description =
    `Does what "forge cluster restart" does, while clients that check everything work through the proxy: they may see a pause
of a second at most, and no error. For staging: it needs --yes and the cluster's name.
Exit codes: 0 every bound holds, 2 wrong flags, 4 a node or the proxy unreachable, 5 refused or not confirmed, 6 locked,
7 a node did not come back in time, 8 the restart command failed, 9 a bound does not hold.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> --name local --yes --confirm local',
    '<%= config.bin %> <%= command.id %> --restart-command "ssh {host} systemctl restart redis-server@{port}" --yes --confirm staging',
  ];

  // Nodes may also be separated by spaces.
  static override strict = false;
  static override args = restartArgs;
  static override flags = restartFlags;

  async run(): Promise<DrillResult> {
    const { argv, flags } = await this.parse(DrillRollingRestart);
    return this.drill(flags, async (stage, settings) => {
      const nodes = splitWords(argv.map(String));
      const how = await howToRestart(flags, settings);
      return restartRehearsal(stage, { nodes, ...how, failBack: flags['fail-back'], allowOutage: false });
    });
  }
}
