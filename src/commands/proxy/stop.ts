import { ForgeCommand } from '../../base-command.js';
import { defaultPidFile, pidFileFlag } from '../../config/proxy-flags.js';
import { forgeHome } from '../../local/paths.js';
import { stopProxy } from '../../proxy/control/instance.js';
import type { StopOutcome } from '../../runtime/runtime.js';

export default class ProxyStop extends ForgeCommand {
  static override summary = 'Stop a proxy of this host: it drains its clients and ends.';
  static override description =
    'Finds the proxy by its pid file, and stops nothing that is not that proxy. A proxy that is not running is no error.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --pid-file /run/forge-proxy.pid',
  ];

  static override flags = { ...pidFileFlag };

  async run(): Promise<{ pidFile: string; outcome: StopOutcome }> {
    const { flags } = await this.parse(ProxyStop);
    const pidFile = flags['pid-file'] ?? defaultPidFile(forgeHome());
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
