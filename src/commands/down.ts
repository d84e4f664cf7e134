import { Flags } from '@oclif/core';
import { ForgeCommand, yesFlag } from '../base-command.js';
import { localClusterFlags } from '../config/local-flags.js';
import { bringDown, type DownResult } from '../local/down.js';
import { clusterPaths, forgeHome } from '../local/paths.js';
import { loadState } from '../local/state.js';
import { runTasks } from '../ui/tasks.js';

export default class Down extends ForgeCommand {
  static override summary = 'Stop the local cluster; its data stays.';
  static override description =
    `Stops the proxy and the nodes that "forge up" started, and nothing else. "forge up" brings the same cluster back.
With --purge everything of the cluster is deleted: data, passwords, logs.`;
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --purge'];

  static override flags = {
    ...localClusterFlags,
    ...yesFlag,
    purge: Flags.boolean({ description: 'Delete the data, passwords and logs, too (asks first).', default: false }),
  };

  /** Redis may take 20 s to put its data to rest. */
  protected override readonly cleanUpMs = 30_000;

  async run(): Promise<DownResult> {
    const { flags } = await this.parse(Down);
    const home = forgeHome(flags.home);
    const paths = clusterPaths(home, flags.name);
    const { directory, name } = paths;
    if (flags.purge && (await loadState(paths)) !== undefined) {
      await this.confirm(`Delete the cluster "${name}" with all its data and passwords (${directory})?`, {
        confirmWord: name,
      });
    }
    const result = await bringDown({
      home,
      name,
      purge: flags.purge,
      runSteps: (steps) => runTasks(steps, { output: this.output, context: undefined, signal: this.signal }),
    });
    this.output.data(words(result));
    return result;
  }
}

function words(result: DownResult): string {
  if (!result.existed) return `There is no local cluster "${result.name}": nothing to stop.`;
  if (result.purged) return `The cluster "${result.name}" is stopped and deleted.`;
  const again = `forge up${result.name === 'local' ? '' : ` --name ${result.name}`}`;
  const stopped = result.stopped.length === 0 ? 'was not running' : 'is stopped';
  return `The cluster "${result.name}" ${stopped}. Its data is in ${result.data}; start it again: ${again}`;
}
