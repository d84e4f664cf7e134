import { Flags } from '@oclif/core';
import { ForgeCommand } from '../../base-command.js';
import { parseAddress } from '../../cluster/address.js';
import { proxyChoice, proxyChoiceFlags } from '../../config/proxy-choice.js';
import { findProxy } from '../../proxy/control/find.js';
import { type ReloadReport, reloadProxy } from '../../proxy/control/reload.js';

export default class ProxyReload extends ForgeCommand {
  static override summary = 'Have a running proxy read its configuration again; no client is disconnected.';
  static override description =
    `A configuration that cannot be used changes nothing: it is refused with every fault (exit code 3), and the old one stays.
What only a restart changes is named; "forge proxy upgrade" restarts without disconnecting anybody. While an upgrade is
under way it is refused (exit code 5): the new process has read the configuration already.

Without --pid-file, --name and --admin: the proxy that runs here, when there is only one.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> --dry-run',
    '<%= config.bin %> <%= command.id %> --pid-file /run/forge-proxy/proxy.pid',
  ];

  static override flags = {
    ...proxyChoiceFlags,
    admin: Flags.string({
      description: 'Ask over its admin port, in place of the socket beside the pid file.',
      helpValue: 'HOST:PORT',
    }),
    'dry-run': Flags.boolean({ description: 'Only show what would change.', default: false }),
  };

  async run(): Promise<ReloadReport & { pidFile: string | null }> {
    const { flags } = await this.parse(ProxyReload);
    const pidFile = flags.admin === undefined ? await this.#find(flags) : null;
    const report = await reloadProxy({
      ...(pidFile === null ? {} : { pidFile }),
      ...(flags.admin === undefined ? {} : { admin: parseAddress(flags.admin) }),
      dryRun: flags['dry-run'],
      signal: this.signal,
    });
    const done = report.outcome === 'dry run' ? 'would change' : 'changed';
    for (const line of report.changes) this.output.data(`${done}: ${line}`);
    for (const line of report.restart) this.output.data(`needs a restart: ${line}`);
    if (report.changes.length + report.restart.length === 0) this.output.data('The configuration is the same.');
    return { ...report, pidFile };
  }

  async #find(flags: Parameters<typeof proxyChoice>[0]): Promise<string> {
    const { pidFile, found, words } = await findProxy(proxyChoice(flags));
    if (found) this.output.message(`Using ${words}.`);
    return pidFile;
  }
}
