import { ForgeCommand } from '../../base-command.js';
import { proxyChoice, proxyChoiceFlags } from '../../config/proxy-choice.js';
import { findProxy } from '../../proxy/control/find.js';
import { stopProxy } from '../../proxy/control/instance.js';
import type { StopOutcome } from '../../runtime/runtime.js';

export default class ProxyStop extends ForgeCommand {
  static override summary = 'Stop a proxy of this host: it drains its clients and ends.';
  static override description =
    `Finds the proxy by its pid file, and stops nothing that is not that proxy. A proxy that is not running is no error.
Without --pid-file and --name: the proxy that runs here, when there is only one.
The proxy of a local cluster comes back with "forge up".`;
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --name local',
    '<%= config.bin %> <%= command.id %> --pid-file /run/forge-proxy.pid',
  ];

  static override flags = { ...proxyChoiceFlags };

  async run(): Promise<{ pidFile: string; outcome: StopOutcome }> {
    const { flags } = await this.parse(ProxyStop);
    const { pidFile, found, words: which } = await findProxy(proxyChoice(flags));
    if (found) this.output.message(`Using ${which}.`);
    const outcome = await stopProxy(pidFile);
    const words = {
      absent: `No proxy is running (${pidFile}).`,
      ended: 'The proxy is stopped.',
      killed: 'The proxy did not end in time and was killed.',
    };
    this.output.data(words[outcome]);
    return { pidFile, outcome };
  }
}
