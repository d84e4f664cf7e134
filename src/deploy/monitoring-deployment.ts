/** What watches a cluster, as forge.yaml wants it on Docker hosts: exporters everywhere, the other programs on one host. */
import type { DeployHost, DeploySettings } from '../config/deploy-settings.js';
import { engineOf } from '../config/deploy-settings-hosts.js';
import type { ForgeCluster } from '../config/forge-file.js';
import { renderCommand } from '../docker/command.js';
import { failureReason } from '../docker/failure.js';
import { ForgeError } from '../errors.js';
import { deployedCluster } from '../monitoring/deployed.js';
import { exporterInstances } from '../monitoring/exporters.js';
import type { DesiredContainer } from './container.js';
import { Deployment, type ShownCommand } from './deployment.js';
import { checkCommand, readVerdict } from './monitoring-check.js';
import {
  alertmanagerContainer,
  exporterContainer,
  grafanaContainer,
  prometheusContainer,
} from './monitoring-container.js';
import { monitoringEffect } from './monitoring-effect.js';
import { exporterLogin, hostOf, readMonitoringFiles } from './monitoring-files.js';
import type { DeployAction } from './plan.js';

export interface MonitoringChoice {
  /** Names of hosts. */
  readonly hosts: readonly string[];
  readonly all: boolean;
}

/**
 * Names of the hosts that are meant: those that are named, all of them, or else this machine.
 * @param isOwn whether an address is this machine's
 * @throws ForgeError `usage` for a host that forge.yaml does not have, or when none is meant
 */
export function chooseMonitoringHosts(
  hosts: readonly DeployHost[],
  choice: MonitoringChoice,
  isOwn: (address: string) => boolean,
): string[] {
  const names = hosts.map(({ name }) => name);
  const unknown = choice.hosts.filter((host) => !names.includes(host));
  if (unknown.length > 0) {
    throw new ForgeError('usage', `There is no host ${unknown.join(', ')}.`, { next: `Hosts: ${names.join(', ')}.` });
  }
  if (choice.all) return names;
  if (choice.hosts.length > 0) return [...new Set(choice.hosts)];
  const here = hosts.filter(({ address, docker }) => isOwn(address) || docker?.startsWith('unix://') === true);
  if (here.length > 0) return here.map(({ name }) => name);
  throw new ForgeError('usage', 'No Docker host of forge.yaml is this machine.', {
    next: 'Deploy on every host with --all, or on some with --host NAME.',
  });
}

export interface MonitoringDeploymentOptions {
  readonly settings: DeploySettings;
  /** What forge.yaml says of thresholds and further targets. */
  readonly cluster?: ForgeCluster;
  /** Names of hosts. */
  readonly hosts: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
}

/**
 * @throws ForgeError `configuration` for passwords, certificates and secrets that are not where they should be, and for
 *   receivers that the chosen Alertmanager cannot take
 */
export async function monitoringDeployment(options: MonitoringDeploymentOptions): Promise<Deployment> {
  const { settings, hosts, signal } = options;
  const desired = await desiredMonitoring(options);
  requireEnginesOfTheirOwn(settings.hosts, desired);
  return new Deployment({
    cluster: settings.cluster,
    hosts: settings.hosts,
    desired,
    also: hosts,
    effectOf: monitoringEffect,
    ...(signal === undefined ? {} : { signal }),
  });
}

/** The containers of the chosen hosts. */
async function desiredMonitoring(options: MonitoringDeploymentOptions): Promise<DesiredContainer[]> {
  const { settings, cluster, environment } = options;
  const chosen = settings.hosts.filter(({ name }) => options.hosts.includes(name));
  const monitored = deployedCluster(settings, cluster);
  const files = await readMonitoringFiles({ settings, monitored, environment });
  const login = settings.monitoring.redisExporter.enabled ? await exporterLogin({ settings, environment }) : {};
  const exporters = exporterInstances(monitored, login).flatMap((exporter): DesiredContainer[] => {
    // Further hosts of `monitoring.hosts` have exporters of their own.
    const host = chosen.find(({ address }) => address === exporter.host);
    return host === undefined ? [] : [exporterContainer(settings, host, exporter)];
  });
  const { prometheus, alertmanager, grafana } = settings.monitoring;
  const placed = [
    ...(alertmanager === undefined
      ? []
      : [alertmanagerContainer(settings, hostOf(settings.hosts, alertmanager.host), alertmanager, files.alertmanager)]),
    ...(prometheus === undefined
      ? []
      : [prometheusContainer(settings, hostOf(settings.hosts, prometheus.host), prometheus, files.prometheus)]),
    ...(grafana === undefined
      ? []
      : [grafanaContainer(settings, hostOf(settings.hosts, grafana.host), grafana, files.grafana)]),
  ];
  return [...exporters, ...placed.filter(({ host }) => options.hosts.includes(host))];
}

/**
 * Two hosts of one engine would each have an exporter of the same name there. Pure.
 * @throws ForgeError `configuration` that names both
 */
export function requireEnginesOfTheirOwn(hosts: readonly DeployHost[], desired: readonly DesiredContainer[]): void {
  const engines = new Map(hosts.map((host) => [host.name, engineOf(host)]));
  const taken = new Map<string, string>();
  for (const { host, options } of desired) {
    const key = `${engines.get(host) ?? host} ${options.name}`;
    const other = taken.get(key) ?? host;
    taken.set(key, other);
    if (other === host) continue;
    const message = `The hosts ${other} and ${host} of forge.yaml are one Docker engine, and ${options.name} can be there once.`;
    throw new ForgeError('configuration', message, {
      host,
      next: 'Let hosts name each engine once, with all of its nodes (docker_host), or switch the exporters off: monitoring in forge.yaml.',
    });
  }
}

/** Those that would get other files than they have. */
function toBeChecked(actions: readonly DeployAction[]): readonly DeployAction[] {
  return actions.filter(({ kind }) => kind !== 'unchanged');
}

/** The commands by which files are checked before anything is changed. */
export function checkCommands(deployment: Deployment, actions: readonly DeployAction[]): ShownCommand[] {
  return toBeChecked(actions).flatMap(({ desired }) => {
    const command = checkCommand(desired);
    if (command === undefined) return [];
    return [{ host: desired.host, line: renderCommand(command, deployment.engine(desired.host).endpoint) }];
  });
}

/**
 * Has the tools of Prometheus and Alertmanager look at what they would get. Nothing is changed.
 * @param onUnchecked told of a container whose image has no such tool
 * @throws ForgeError `configuration` with what a tool has found; what the engine throws
 */
export async function checkMonitoring(
  deployment: Deployment,
  actions: readonly DeployAction[],
  onUnchecked: (container: string) => void,
): Promise<void> {
  await Promise.all(
    toBeChecked(actions).map(async ({ desired }) => {
      const command = checkCommand(desired);
      if (command === undefined) return;
      const { name, image } = desired.options;
      const verdict = readVerdict(await run(deployment, desired, command));
      if (verdict.kind === 'none') onUnchecked(name);
      if (verdict.kind !== 'wrong') return;
      const tool = desired.role === 'prometheus' ? 'promtool' : 'amtool';
      throw new ForgeError('configuration', [`${name}: ${tool} refuses its files.`, ...verdict.lines].join('\n'), {
        host: desired.host,
        next: `Nothing was changed. Correct monitoring in forge.yaml; alertmanager_version has to be that of ${image}.`,
        details: { container: name, tool, lines: verdict.lines },
      });
    }),
  );
}

async function run(
  deployment: Deployment,
  { host, options }: DesiredContainer,
  command: NonNullable<ReturnType<typeof checkCommand>>,
): Promise<string> {
  try {
    return await deployment.engine(host).run(command);
  } catch (error) {
    if (failureReason(error) !== 'no-program-in-image') throw error;
    throw new ForgeError('missing', `The image ${options.image} has no shell, by which its health is asked.`, {
      host,
      next: 'Take one with sh and either bash or wget: templates/monitoring.Dockerfile builds it, --build does so on the hosts.',
      cause: error,
    });
  }
}
