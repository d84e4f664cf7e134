import { Args, Flags } from '@oclif/core';
import { DrillCommand, type DrillResult } from '../../drill-command.js';
import { restartRehearsal } from '../../drills/rehearsals/rolling-restart.js';
import { splitWords } from '../../operations/planners/node-choice.js';
import { parseRestartCommand } from '../../operations/steps/restart-command.js';

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
  static override args = {
    nodes: Args.string({
      description: 'Nodes to restart: ids or addresses, separated by commas. All when none is named.',
      required: false,
    }),
  };

  static override flags = {
    'restart-command': Flags.string({
      description:
        'Program with arguments that restarts one node, instead of SHUTDOWN. {host}, {port}, {address} and {id} are filled in; no shell reads it.',
      helpValue: 'COMMAND',
    }),
    'start-command': Flags.string({
      description:
        'Program with arguments that starts one node after SHUTDOWN, where no supervisor does; written like the other.',
      helpValue: 'COMMAND',
      exclusive: ['restart-command'],
    }),
    'fail-back': Flags.boolean({ description: 'Give the former masters their role back.', default: false }),
  };

  async run(): Promise<DrillResult> {
    const { argv, flags } = await this.parse(DrillRollingRestart);
    const text = flags['start-command'] ?? flags['restart-command'];
    return this.drill(flags, async (stage, settings) => {
      const local = text === undefined ? await startOf(settings.unknownName, flags.seed) : undefined;
      return restartRehearsal(stage, {
        nodes: splitWords(argv.map(String)),
        command: text === undefined ? local : parseRestartCommand(text),
        starts: flags['start-command'] !== undefined || local !== undefined,
        failBack: flags['fail-back'],
        allowOutage: false,
      });
    });
  }
}

/** Nodes of `forge up` stay away after SHUTDOWN, since that is how they are ended: it starts them again as well. */
async function startOf(name: string | undefined, seed: string | undefined): Promise<string[] | undefined> {
  if (name === undefined || seed !== undefined) return undefined;
  const { startCommandOf } = await import('../../local/start-command.js');
  return startCommandOf(name);
}
