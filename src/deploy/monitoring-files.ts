/** The files of exporters, Prometheus, Alertmanager and Grafana, with what is secret of them. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { CLIENT_DEFAULT } from '../config/certificate-flags.js';
import { readSecret, readUserPasswords } from '../config/deploy-secrets.js';
import type { DeployHost, DeploySettings } from '../config/deploy-settings.js';
import { authorityFile } from '../config/deploy-settings-load.js';
import { ForgeError } from '../errors.js';
import type { MonitoredCluster } from '../monitoring/cluster.js';
import type { ExporterLogin } from '../monitoring/exporters.js';
import { monitoringFiles } from '../monitoring/files.js';
import { receiversFrom, type SecretFile } from '../monitoring/receivers.js';
import { readTemplate } from '../runtime/template.js';
import {
  addressUrl,
  FETCH_FILE,
  GRAFANA_PASSWORD_FILE,
  MONITORING_TARGETS,
  RELOAD_FILE,
} from './monitoring-container.js';
import type { NodeFile } from './redis-container.js';

/** Where Prometheus is when it is one of the operator's own, as `forge monitoring generate` has it. */
const OWN_PROMETHEUS = 'http://127.0.0.1:9090';

export interface MonitoringSources {
  readonly settings: DeploySettings;
  readonly monitored: MonitoredCluster;
  readonly environment: NodeJS.ProcessEnv;
}

/** Files by the program that reads them. */
export interface MonitoringFiles {
  readonly prometheus: readonly NodeFile[];
  readonly alertmanager: readonly NodeFile[];
  readonly grafana: readonly NodeFile[];
}

/**
 * As whom the Redis exporter logs in.
 * @throws ForgeError `configuration` without a user for it, or for certificates that are not there
 */
export async function exporterLogin({
  settings,
  environment,
}: Pick<MonitoringSources, 'settings' | 'environment'>): Promise<ExporterLogin> {
  const users = await readUserPasswords(settings, environment);
  const monitor = users.find(({ role }) => role === 'monitor');
  if (monitor === undefined) {
    throw new ForgeError('configuration', 'redis.users.monitor is off, and the Redis exporter has no other user.', {
      next: 'Give it one, or write monitoring.redis_exporter: off.',
    });
  }
  return { user: monitor.name, password: monitor.secret, ...(await exporterTls(settings, monitor.name)) };
}

async function exporterTls({ redis }: DeploySettings, user: string): Promise<Omit<ExporterLogin, 'user' | 'password'>> {
  if (redis.tls === undefined) return {};
  const { directory, authClients } = redis.tls;
  const authority = await authorityFile(directory);
  if (authority === undefined) {
    throw new ForgeError('configuration', `${directory} has no ca.crt.`, { next: `forge gen-certs ${directory}` });
  }
  const ca = await read(authority);
  if (authClients !== 'yes') return { ca };
  // Nodes let nobody in who shows no certificate.
  for (const folder of [`clients/${user}`, `clients/${CLIENT_DEFAULT}`]) {
    const [certificate, key] = await Promise.all(
      ['client.crt', 'client.key'].map((file) => readOptional(path.join(directory, folder, file))),
    );
    if (certificate !== undefined && key !== undefined) return { ca, certificate, key };
  }
  throw new ForgeError('configuration', `${directory} has no certificate for the Redis exporter.`, {
    next: `Nodes ask clients for one (redis.tls.auth_clients: yes). Make it: forge gen-certs ${directory} --renew --client ${user}`,
  });
}

/**
 * Everything of the programs that run once.
 * @throws ForgeError `configuration` for a secret that is not at its place, or a receiver that this Alertmanager cannot take
 */
export async function readMonitoringFiles({
  settings,
  monitored,
  environment,
}: MonitoringSources): Promise<MonitoringFiles> {
  const { monitoring, hosts, folder } = settings;
  const { alertmanager, grafana, prometheus } = monitoring;
  const [fetch, reload] = await Promise.all(['monitoring/fetch.sh', 'monitoring/reload.sh'].map(readTemplate));
  const scripts = [
    { path: FETCH_FILE, content: fetch ?? '' },
    { path: RELOAD_FILE, content: reload ?? '' },
  ];
  const { receivers, secrets } = receiversFrom(monitoring.receivers, `${MONITORING_TARGETS.alertmanager}/secrets`);
  const files = monitoringFiles(monitored, receivers, {
    prometheusUrl:
      prometheus === undefined ? OWN_PROMETHEUS : addressUrl(hostOf(hosts, prometheus.host), prometheus.port),
    dashboards: `${MONITORING_TARGETS.grafana}/dashboards`,
  });
  const below = (start: string): NodeFile[] =>
    files.flatMap(({ path: file, content }) =>
      file.startsWith(`${start}/`) ? [{ path: file.slice(start.length + 1), content }] : [],
    );
  return {
    prometheus: [...below('prometheus'), ...scripts],
    alertmanager:
      alertmanager === undefined
        ? []
        : [...below('alertmanager'), ...scripts, ...(await secretFiles(secrets, folder, environment))],
    grafana:
      grafana === undefined ? [] : [...below('grafana'), await grafanaPassword(grafana.password, folder, environment)],
  };
}

async function secretFiles(
  secrets: readonly SecretFile[],
  folder: string,
  environment: NodeJS.ProcessEnv,
): Promise<NodeFile[]> {
  const faults: string[] = [];
  const files = await Promise.all(
    secrets.map(async ({ name, place }) => {
      try {
        return { path: `secrets/${name}`, content: (await readSecret(place, folder, environment)).trim() };
      } catch (error) {
        if (!(error instanceof ForgeError)) throw error;
        faults.push(`monitoring.alertmanager: ${name}: ${error.message}`);
        return { path: `secrets/${name}`, content: '' };
      }
    }),
  );
  if (faults.length === 0) return files;
  throw new ForgeError('configuration', faults.join('\n'), {
    next: 'Alertmanager would tell nobody. Set the variable, in the environment or in .env, or write the file.',
  });
}

async function grafanaPassword(
  place: NonNullable<DeploySettings['monitoring']['grafana']>['password'],
  folder: string,
  environment: NodeJS.ProcessEnv,
): Promise<NodeFile> {
  if (place === undefined) {
    throw new ForgeError('configuration', 'monitoring.grafana has no password: everybody would be its administrator.', {
      next: 'Name its place: password: { environment: GRAFANA_PASSWORD } or { filename: FILE }.',
    });
  }
  return { path: GRAFANA_PASSWORD_FILE, content: await readSecret(place, folder, environment) };
}

/** @throws Error for a name that is none of `hosts`: settings are resolved */
export function hostOf(hosts: readonly DeployHost[], name: string): DeployHost {
  const host = hosts.find((each) => each.name === name);
  if (host === undefined) throw new Error(`deploy: no host ${name}`);
  return host;
}

async function read(file: string): Promise<string> {
  return await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new ForgeError('configuration', `${file} cannot be read.`, {
      next: 'Check its path and its permissions.',
      cause,
    });
  });
}

async function readOptional(file: string): Promise<string | undefined> {
  return await readFile(file, 'utf8').catch(() => undefined);
}
