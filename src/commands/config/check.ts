import { ForgeCommand } from '../../base-command.js';
import { clusterFlags, readSettings } from '../../config/cluster-flags.js';
import { loadDeploySettings } from '../../config/deploy-settings-load.js';
import type { Settings } from '../../config/resolve.js';
import { type Finding, findEnvFaults, findFaults } from '../../config/resolve-findings.js';
import { ForgeError } from '../../errors.js';
import { proveDeployment } from '../../runtime/prove-deployment.js';
import { printable } from '../../ui/printable.js';

interface ConfigCheckResult {
  readonly forgeFile: string | null;
  readonly envFile: string | null;
  /** Names of the clusters that were checked; none when settings come from flags and the environment alone. */
  readonly clusters: readonly string[];
  readonly warnings: readonly Finding[];
}

export default class ConfigCheck extends ForgeCommand {
  static override summary = 'Check forge.yaml and .env, and all that they refer to.';
  static override description =
    'Every fault is told, with its line: settings, places of secrets, certificates, the configuration of the proxy, names of hosts. All clusters of the file are checked, or the one that is named. No node is spoken to. Exit codes: 0 right (warnings are told), 3 wrong.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --config prod/forge.yaml --json',
  ];
  static override flags = clusterFlags;

  async run(): Promise<ConfigCheckResult> {
    const { flags } = await this.parse(ConfigCheck);
    const whole = await readSettings(flags, process.env, { unchosen: true });
    const every: readonly (string | undefined)[] = whole.forgeFile?.content.clusters.map(({ name }) => name) ?? [];
    if (flags.name !== undefined && !every.includes(flags.name)) {
      throw new ForgeError('usage', `There is no cluster ${flags.name} in forge.yaml.`, {
        next: every.length === 0 ? undefined : `There are: ${every.join(', ')}.`,
      });
    }
    const names = flags.name === undefined ? every : [flags.name];
    const several = every.length > 1;
    const findings: Finding[] = [];
    for (const name of names.length === 0 ? [undefined] : names) {
      // With one cluster, nobody names it: then the environment goes before the file, as for every other command.
      const settings: Settings = several ? await readSettings({ ...flags, name }) : await readSettings(flags);
      const found = await findFaults(flags, settings);
      if (found.every(({ level }) => level !== 'fault')) found.push(...(await this.#proofOf(settings)));
      findings.push(...(several ? found.map((each) => ({ ...each, about: `${name}: ${each.about}` })) : found));
    }
    return this.#conclude(whole, [...(await findEnvFaults(whole)), ...findings]);
  }

  /** What the server itself refuses of a deployment that seems right, where this machine has that server. */
  async #proofOf(settings: Settings): Promise<Finding[]> {
    if (settings.cluster?.redis === undefined) return [];
    try {
      await proveDeployment(await loadDeploySettings(settings), process.env, this.signal);
      return [];
    } catch (error) {
      if (!(error instanceof ForgeError) || error.kind !== 'configuration') throw error;
      return [{ level: 'fault', about: 'redis', message: error.message }];
    }
  }

  #conclude({ forgeFile, envFile }: Settings, findings: readonly Finding[]): ConfigCheckResult {
    const faults = findings.filter(({ level }) => level === 'fault');
    const warnings = findings.filter(({ level }) => level === 'warning');
    const line = ({ about, message }: Finding) => printable(`${about}: ${message}`);
    for (const each of warnings) this.output.warning(line(each));
    if (faults.length > 0) {
      throw new ForgeError('configuration', faults.map(line).join('\n'), { details: { faults, warnings } });
    }
    const files = [forgeFile?.path, envFile?.path].filter((file) => file !== undefined);
    if (files.length === 0)
      this.output.data('There is no forge.yaml and no .env here: flags and the environment decide.');
    else this.output.data(`${files.join(' and ')} ${files.length === 1 ? 'is' : 'are'} right.`);
    return {
      forgeFile: forgeFile?.path ?? null,
      envFile: envFile?.path ?? null,
      clusters: forgeFile?.content.clusters.map(({ name }) => name) ?? [],
      warnings,
    };
  }
}
