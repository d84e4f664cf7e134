import path from 'node:path';
import { Args, Flags } from '@oclif/core';
import { dryRunFlag, ForgeCommand } from '../../base-command.js';
import { readSettings, settingsFlags } from '../../config/cluster-flags.js';
import { folderOf, requireKnownName } from '../../config/resolve.js';
import { ForgeError } from '../../errors.js';
import { type GenerateResult, generateMonitoring } from '../../monitoring/generate.js';
import { renderTable } from '../../ui/table.js';

const absolute = Flags.custom<string>({ helpValue: 'DIR', parse: async (text) => path.resolve(text) });

export default class MonitoringGenerate extends ForgeCommand {
  static override summary = 'Write the configuration of an own Prometheus, Alertmanager and Grafana.';
  static override description =
    `From what forge.yaml says of a cluster: what to scrape, alerts, who is told of them, and a dashboard.
Run again after a change of forge.yaml, it replaces what differs, each file whole; Prometheus takes new targets by itself.
Exit codes: 0 written, 3 forge.yaml or the directory is wrong, 5 a file is there that forge did not write.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> /etc/redisforge/monitoring --dry-run',
    '<%= config.bin %> <%= command.id %> --name orders --prometheus-url http://10.0.0.20:9090',
  ];
  static override args = {
    directory: Args.string({ description: 'Where the files go.', default: 'monitoring' }),
  };
  static override flags = {
    ...settingsFlags,
    ...dryRunFlag,
    force: Flags.boolean({ description: 'Replace files that forge did not write, too.', default: false }),
    'prometheus-url': Flags.string({
      description: 'Where Grafana finds Prometheus (http://127.0.0.1:9090).',
      helpValue: 'URL',
    }),
    secrets: absolute({ description: 'Where Alertmanager finds files with secrets (DIRECTORY/alertmanager/secrets).' }),
    dashboards: absolute({ description: 'Where Grafana reads dashboards (DIRECTORY/grafana/dashboards).' }),
  };

  async run(): Promise<GenerateResult> {
    const { flags, args } = await this.parse(MonitoringGenerate);
    const prometheusUrl = flags['prometheus-url'];
    if (prometheusUrl !== undefined && !/^https?:\/\/[^\s@]+$/.test(prometheusUrl)) {
      throw new ForgeError('usage', '--prometheus-url is no address.', {
        next: 'Write for example http://10.0.0.20:9090.',
      });
    }
    const settings = await readSettings(flags);
    requireKnownName(settings);
    const { cluster } = settings;
    if (cluster === undefined) {
      throw new ForgeError('configuration', 'There is no forge.yaml that names a cluster.', {
        next: 'Name the file with --config; docs/forge-yaml.md shows one.',
      });
    }
    const result = await generateMonitoring({
      cluster,
      environment: settings.environment,
      folder: folderOf(settings),
      directory: path.resolve(args.directory),
      secrets: flags.secrets,
      prometheusUrl,
      dashboards: flags.dashboards,
      dryRun: flags['dry-run'],
      force: flags.force,
    });
    this.#show(result);
    return result;
  }

  #show({ files, directory, dryRun, warnings }: GenerateResult): void {
    for (const warning of warnings) this.output.warning(warning);
    this.output.data(
      renderTable(
        ['ACTION', 'FILE'],
        files.map((file) => [file.action, file.path]),
      ),
    );
    const changes = files.filter(({ action }) => action !== 'keep').length;
    const done = dryRun ? 'would be written' : 'written';
    this.output.data(`${changes} of ${files.length} files ${done} in ${directory}.`);
  }
}
