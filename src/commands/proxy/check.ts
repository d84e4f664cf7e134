import { ForgeCommand } from '../../base-command.js';
import { fileFlag } from '../../config/proxy-flags.js';
import { checkProxyConfig } from '../../proxy/control/check.js';

export default class ProxyCheck extends ForgeCommand {
  static override summary = 'Check a configuration of the proxy without starting it.';
  static override description = 'Exit code 0: it is right; 3: it is not, and every fault is told with its line.';
  static override examples = ['<%= config.bin %> <%= command.id %> --config proxy.yaml'];

  static override flags = {
    config: fileFlag({ char: 'c', description: 'Configuration (YAML).', required: true }),
  };

  async run(): Promise<{ config: string; valid: true }> {
    const { flags } = await this.parse(ProxyCheck);
    await checkProxyConfig(flags.config, this.signal);
    this.output.data(`${flags.config} is right.`);
    return { config: flags.config, valid: true };
  }
}
