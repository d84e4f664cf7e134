/** Images of exporters, Prometheus and Alertmanager, built on the hosts from templates/monitoring.Dockerfile. */
import { archiveInput } from '../docker/archive.js';
import { type DockerCommand, renderCommand } from '../docker/command.js';
import { buildImage } from '../docker/commands/image.js';
import { readTemplate } from '../runtime/template.js';
import type { DesiredContainer } from './container.js';
import type { Deployment, ShownCommand } from './deployment.js';

/** The same archive for the same Dockerfile. */
const STABLE_TIME = new Date(0);
/** Packages of Debian, and the programs in them. */
const PROGRAMS: Readonly<Partial<Record<DesiredContainer['role'], string>>> = {
  prometheus: 'prometheus',
  alertmanager: 'prometheus-alertmanager',
  'redis-exporter': 'prometheus-redis-exporter',
  'node-exporter': 'prometheus-node-exporter',
};

export interface MonitoringBuild {
  readonly host: string;
  readonly image: string;
  readonly command: DockerCommand;
}

/** What is built for these containers; Debian has no Grafana. The engine keeps what is the same as the last time. */
export async function monitoringBuilds(
  desired: readonly DesiredContainer[],
  baseImage: string,
): Promise<readonly MonitoringBuild[]> {
  const dockerfile = await readTemplate('monitoring.Dockerfile');
  const context = archiveInput([{ path: 'Dockerfile', content: dockerfile, mode: 0o644, uid: 0, gid: 0 }], STABLE_TIME);
  return desired.flatMap(({ host, role, options: { image } }): MonitoringBuild[] => {
    const program = PROGRAMS[role];
    if (program === undefined) return [];
    return [
      { host, image, command: buildImage({ tag: image, context, arguments: { BASE: baseImage, PROGRAM: program } }) },
    ];
  });
}

export function shownBuilds(deployment: Deployment, builds: readonly MonitoringBuild[]): ShownCommand[] {
  return builds.map(({ host, command }) => ({
    host,
    line: renderCommand(command, deployment.engine(host).endpoint),
  }));
}

/** Builds host beside host, on each one image after the other. @throws ForgeError what the engine throws */
export async function buildOnHosts(
  deployment: Deployment,
  builds: readonly MonitoringBuild[],
  onBuild: (build: MonitoringBuild) => void,
): Promise<void> {
  const hosts = [...new Set(builds.map(({ host }) => host))];
  await Promise.all(
    hosts.map(async (host) => {
      for (const build of builds) {
        if (build.host !== host) continue;
        onBuild(build);
        await deployment.engine(host).run(build.command);
      }
    }),
  );
}
