import { existsSync } from 'node:fs';
import { Flags } from '@oclif/core';
import { ForgeCommand } from '../../base-command.js';
import { parseAddress } from '../../cluster/address.js';
import { DEFAULT_ADMIN, defaultPidFile, fileFlag, pidFileFlag } from '../../config/proxy-flags.js';
import { EXIT_CODES } from '../../errors.js';
import { forgeHome } from '../../local/paths.js';
import type { AdminAddress } from '../../proxy/control/admin.js';
import { readProxyConfig } from '../../proxy/control/config-file.js';
import { type ProxyStatusReport, proxyStatus } from '../../proxy/control/status.js';

export default class ProxyStatus extends ForgeCommand {
  static override summary = 'Show whether a proxy runs and serves.';
  static override description = `Asks the process (by the pid file) and the admin page.
Exit code 0: it serves; 4: it is down; 9: it runs but does not serve.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --admin 127.0.0.1:9901 --json',
  ];

  static override flags = {
    ...pidFileFlag,
    admin: Flags.string({
      description: `Its admin address; default from --config, else what the process says, else ${DEFAULT_ADMIN}.`,
      helpValue: 'HOST:PORT',
    }),
    config: fileFlag({ char: 'c', description: 'Its configuration, to learn the admin address.' }),
  };

  async run(): Promise<ProxyStatusReport> {
    const { flags } = await this.parse(ProxyStatus);
    const standard = defaultPidFile(forgeHome());
    const pidFile = flags['pid-file'] ?? (existsSync(standard) ? standard : undefined);
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
