import { Flags } from '@oclif/core';
import { dryRunFlag, ForgeCommand, yesFlag } from '../../base-command.js';
import { readSettings, settingsFlags } from '../../config/cluster-flags.js';
import { deployChoiceFlags } from '../../config/deploy-choice.js';
import { loadDeploySettings, ownAddresses } from '../../config/deploy-settings-load.js';
import type { Deployment, ShownCommand } from '../../deploy/deployment.js';
import {
  checkCommands,
  checkMonitoring,
  chooseMonitoringHosts,
  monitoringDeployment,
} from '../../deploy/monitoring-deployment.js';
import { buildOnHosts, type MonitoringBuild, monitoringBuilds, shownBuilds } from '../../deploy/monitoring-images.js';
import { requireFree } from '../../deploy/obstacles.js';
import type { DeployAction } from '../../deploy/plan.js';
import { ForgeError } from '../../errors.js';
import { type DeployRow, deployTable } from '../../ui/deploy-plan.js';

interface MonitoringResult {
  readonly cluster: string;
  readonly status: 'unchanged' | 'planned' | 'done';
  readonly containers: readonly DeployRow[];
  /** With --dry-run: exactly what would be run, in its order. */
  readonly commands?: readonly ShownCommand[];
  readonly elapsedMs: number;
}

const { host, all } = deployChoiceFlags;

export default class DeployMonitoring extends ForgeCommand {
  static override summary =
    'Run exporters, Prometheus, Alertmanager and Grafana as hardened containers, as forge.yaml says.';
  static override description =
    `Exporters of Redis and of the host on this machine, or on every Docker host of forge.yaml; Prometheus, Alertmanager and
Grafana on the hosts that forge.yaml names. promtool and amtool prove the files first. Other targets, alerts and receivers are
taken while everything runs; what needs a new container is replaced, and one that does not come up gives its place back to the
one before. What Prometheus has gathered stays. Run again, it does nothing, or the rest.
Exit codes: 0 as wanted, 3 a setting is wrong, 4 a host or a new container does not answer, 5 a name or a port is taken, 8 some
hosts failed, 10 no Docker or no image, 11 no permission.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --all --dry-run',
    '<%= config.bin %> <%= command.id %> --host a1 --yes',
  ];

  static override flags = {
    ...settingsFlags,
    ...yesFlag,
    ...dryRunFlag,
    host,
    all,
    set: Flags.string({
      description: 'A setting over that of forge.yaml: monitoring.node_exporter.port=9101. May be repeated.',
      helpValue: 'NAME=VALUE',
      multiple: true,
      multipleNonGreedy: true,
    }),
    build: Flags.boolean({ description: 'Build the images on the hosts first; not that of Grafana.', default: false }),
  };

  async run(): Promise<MonitoringResult> {
    const started = performance.now();
    const { flags } = await this.parse(DeployMonitoring);
    const settings = await readSettings(flags);
    const wanted = await loadDeploySettings(settings, flags.set ?? []);
    const { cluster, environment } = settings;
    const deployment = await monitoringDeployment({
      settings: wanted,
      ...(cluster === undefined ? {} : { cluster }),
      hosts: chooseMonitoringHosts(wanted.hosts, { hosts: flags.host ?? [], all: flags.all }, ownAddresses()),
      environment,
      signal: this.signal,
    });
    const builds = flags.build ? await monitoringBuilds(deployment.desired, wanted.monitoring.baseImage) : [];
    const actions = await this.#plan(deployment, builds, flags['dry-run']);
    const rows = actions.map(rowOf);
    const changed = actions.filter(({ kind }) => kind !== 'unchanged');
    const result = (status: MonitoringResult['status'], commands?: readonly ShownCommand[]): MonitoringResult => ({
      cluster: wanted.cluster,
      status,
      containers: rows,
      ...(commands === undefined ? {} : { commands }),
      elapsedMs: Math.round(performance.now() - started),
    });
    this.output.data(deployTable(rows, this.output.colors));
    if (flags['dry-run']) {
      const commands = [
        ...shownBuilds(deployment, builds),
        ...checkCommands(deployment, changed),
        ...actions.flatMap((action) => deployment.commands(action)),
      ];
      for (const { line } of commands) this.output.data(line);
      this.output.message('Dry run: nothing was changed.');
      return result('planned', commands);
    }
    if (changed.length === 0) {
      this.output.message('Nothing is to be done.');
      return result('unchanged');
    }
    await checkMonitoring(deployment, changed, (container) =>
      this.output.warning(
        `${container}: its image has no promtool or amtool, so that its files are not proved before.`,
      ),
    );
    await this.confirm(`Deploy ${changed.length} of ${rows.length} containers that watch ${wanted.cluster}?`);
    const words = { begun: '→', done: '✔', failed: '✖' };
    await deployment.carryOut(changed, {
      action: ({ kind, desired }, state) =>
        this.output.message(`${words[state]} ${desired.options.name} on ${desired.host}: ${kind}`),
    });
    const done = result('done');
    this.output.data(`Deployed in ${(done.elapsedMs / 1_000).toFixed(1)} s.`);
    return done;
  }

  async #plan(
    deployment: Deployment,
    builds: readonly MonitoringBuild[],
    dryRun: boolean,
  ): Promise<readonly DeployAction[]> {
    if (deployment.desired.length === 0) {
      throw new ForgeError('usage', 'forge.yaml wants nothing of monitoring on the chosen hosts.', {
        next: 'Name other hosts, or what is to run there: monitoring in forge.yaml.',
      });
    }
    await deployment.look();
    const leftovers = await deployment.leftovers();
    if (leftovers.length > 0 && !dryRun) {
      this.output.message('An earlier deployment was ended halfway: what it left is put right first.');
      await deployment.recover(leftovers, { command: ({ line }) => this.output.message(`  ${line}`) });
    }
    if (builds.length > 0 && !dryRun) {
      await buildOnHosts(deployment, builds, ({ host, image }) =>
        this.output.message(`Building ${image} on ${host} …`),
      );
      await deployment.look();
    }
    const { actions, obstacles } = deployment.plan(new Set(builds.map(({ image }) => image)));
    requireFree(obstacles, ['--build']);
    return actions;
  }
}

function rowOf({ kind, desired, reasons }: DeployAction): DeployRow {
  return { node: desired.options.name, host: desired.host, action: kind, rolling: false, reasons };
}
