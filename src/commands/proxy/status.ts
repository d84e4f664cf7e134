import { Flags } from '@oclif/core';
import { ForgeCommand } from '../../base-command.js';
import { parseAddress } from '../../cluster/address.js';
import { proxyChoice, proxyChoiceFlags } from '../../config/proxy-choice.js';
import { DEFAULT_ADMIN, fileFlag } from '../../config/proxy-flags.js';
import { EXIT_CODES } from '../../errors.js';
import type { AdminAddress } from '../../proxy/control/admin.js';
import { readProxyConfig } from '../../proxy/control/config-file.js';
import { findProxy } from '../../proxy/control/find.js';
import { type ProxyStatusReport, proxyStatus } from '../../proxy/control/status.js';

export default class ProxyStatus extends ForgeCommand {
  static override summary = 'Show whether a proxy runs and serves.';
  static override description = `Asks the process (by the pid file) and the admin page.
Exit code 0: it serves; 4: it is down; 9: it runs but does not serve.

Without --pid-file and --name: the proxy that runs here, when there is only one.
With --admin alone, only the admin page is asked.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --admin 127.0.0.1:9901 --json',
  ];

  static override flags = {
    ...proxyChoiceFlags,
    admin: Flags.string({
      description: `Its admin address; default from --config, else what the process says, else ${DEFAULT_ADMIN}.`,
      helpValue: 'HOST:PORT',
    }),
    config: fileFlag({ char: 'c', description: 'Its configuration, to learn the admin address.' }),
  };

  async run(): Promise<ProxyStatusReport> {
    const { flags } = await this.parse(ProxyStatus);
    const pidFile = await this.#find(flags);
    const admin = await adminAddress(flags.admin, flags.config);
    const guessed = flags.admin === undefined && flags.config === undefined;
    const report = await proxyStatus({ pidFile, admin, guessed, signal: this.signal });
    for (const line of lines(report)) this.output.data(line);
    process.exitCode = {
      up: EXIT_CODES.done,
      'not ready': EXIT_CODES.verification,
      down: EXIT_CODES.unreachable,
    }[report.health];
    return report;
  }

  /** Undefined when there is no proxy to be found: then only the admin page is asked. */
  async #find(flags: Parameters<typeof proxyChoice>[0] & { admin?: string }): Promise<string | undefined> {
    // Another host's, perhaps: what runs here has nothing to do with it, unless it is said.
    if (flags.admin !== undefined && flags['pid-file'] === undefined && flags.name === undefined) return undefined;
    const { pidFile, found, phase, words } = await findProxy(proxyChoice(flags));
    if (found) this.output.message(`Using ${words}.`);
    return phase === 'absent' && flags.name === undefined ? undefined : pidFile;
  }
}

async function adminAddress(given: string | undefined, config: string | undefined): Promise<AdminAddress> {
  if (given === undefined && config !== undefined) {
    const { admin } = await readProxyConfig(config);
    if (admin !== undefined) return admin.address;
  }
  const { host, port } = parseAddress(given ?? DEFAULT_ADMIN);
  return { host, port };
}

function lines(report: ProxyStatusReport): string[] {
  const { pid, memoryBytes, admin, fault, health, server, stats } = report;
  const memory = memoryBytes === null ? '' : `, ${(memoryBytes / 1024 / 1024).toFixed(1)} MB`;
  const version = typeof server?.['version'] === 'string' ? [`Version   ${server['version']}`] : [];
  return [
    `State     ${health}${fault === null ? '' : `: ${fault}`}`,
    ...(pid === null ? [] : [`Process   ${pid}${memory}, ${report.supervised ? 'supervised' : 'not supervised'}`]),
    ...(report.restarts === 0 ? [] : [`Restarts  ${report.restarts}`]),
    `Admin     http://${admin.host.includes(':') ? `[${admin.host}]` : admin.host}:${admin.port}`,
    ...version,
    ...Object.entries(stats).map(([name, value]) => `${name} ${value}`),
  ];
}
