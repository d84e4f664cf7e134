import { Flags } from '@oclif/core';
import { ForgeCommand } from '../../base-command.js';
import { proxyChoice, proxyChoiceFlags } from '../../config/proxy-choice.js';
import { fileFlag } from '../../config/proxy-flags.js';
import { findProxy } from '../../proxy/control/find.js';
import { type UpgradeReport, upgradeProxy } from '../../proxy/control/upgrade.js';

const SECONDS_MAX = 86_400;

export default class ProxyUpgrade extends ForgeCommand {
  static override summary = 'Replace a running proxy by a new process; no connection is refused and no reply lost.';
  static override description =
    `Starts the new executable beside the old one on the same addresses, with the arguments and the environment of the old
one. When it is ready, new clients come to it, and the old process passes its clients on with their connections, or lets
those go with which that cannot be done (TLS): idle ones soon, the others at a pause between two commands. When the new
one does not get ready, the old one serves on.

Without --pid-file and --name: the proxy that runs here, when there is only one.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --binary /opt/forge-1.1/bin/forge-proxy --drain-time 120 --shutdown-time 300',
  ];

  static override flags = {
    ...proxyChoiceFlags,
    binary: fileFlag({ description: 'The new executable; default the one of this program.' }),
    'drain-time': Flags.integer({
      description: 'Seconds for clients of the old process that are never idle and cannot be passed on.',
      helpValue: 'S',
      default: 30,
      min: 0,
      max: SECONDS_MAX,
    }),
    'shutdown-time': Flags.integer({
      description: 'Seconds until its last clients are closed, blocked ones among them.',
      helpValue: 'S',
      default: 60,
      min: 0,
      max: SECONDS_MAX,
    }),
  };

  async run(): Promise<UpgradeReport & { pidFile: string }> {
    const { flags } = await this.parse(ProxyUpgrade);
    const { pidFile, found, words } = await findProxy(proxyChoice(flags));
    if (found) this.output.message(`Using ${words}.`);
    const report = await upgradeProxy({
      pidFile,
      ...(flags.binary === undefined ? {} : { binary: flags.binary }),
      drainS: flags['drain-time'],
      shutdownS: flags['shutdown-time'],
      signal: this.signal,
    });
    this.output.data(
      `Process ${report.pid} (version ${report.version}) serves; process ${report.old} ${report.oldEnded ? 'has ended' : 'drains'}.`,
    );
    return { ...report, pidFile };
  }
}
