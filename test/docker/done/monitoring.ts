/** What watches the system: Prometheus, asked for its targets and alerts, and a webhook that Alertmanager tells. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { poll } from '../../support/redis.js';

const ASK_MS = 10_000;
/** Targets are found, scraped, and Prometheus has looked at its rules. */
const UP_MS = 60_000;
/** Alertmanager collects for half a minute before it tells. */
const TOLD_MS = 120_000;

interface Target {
  readonly labels: { readonly job: string; readonly instance: string };
  readonly health: string;
  readonly lastError: string;
}

interface Alert {
  readonly status: string;
  readonly labels: { readonly alertname: string; readonly cluster?: string };
}

/** Receives what Alertmanager sends. */
export class Webhook {
  readonly #alerts: Alert[] = [];
  readonly #server: http.Server;

  private constructor() {
    this.#server = http.createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      request.on('end', () => {
        this.#alerts.push(...(JSON.parse(body) as { alerts: Alert[] }).alerts);
        response.end();
      });
    });
  }

  static async listen(): Promise<Webhook> {
    const webhook = new Webhook();
    await new Promise<void>((resolve) => webhook.#server.listen(0, '127.0.0.1', resolve));
    return webhook;
  }

  get address(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/alerts`;
  }

  /** Waits until it has been told of this alert of the cluster. */
  async toldOf(name: string, cluster: string): Promise<void> {
    const isIt = ({ status, labels }: Alert) =>
      status === 'firing' && labels.alertname === name && labels.cluster === cluster;
    await poll(`the webhook hears of ${name}`, TOLD_MS, () => this.#alerts.some(isIt));
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** Waits until Prometheus has scraped everything. @returns how many targets each job has */
export async function targetsUp(address: string, jobs: Readonly<Record<string, number>>): Promise<void> {
  let seen = '';
  await poll('every target is up', UP_MS, async () => {
    const answer = await fetch(`http://${address}/api/v1/targets?state=active`, {
      signal: AbortSignal.timeout(ASK_MS),
    });
    const { data } = (await answer.json()) as { data: { activeTargets: Target[] } };
    const targets = data.activeTargets;
    const counts = Object.fromEntries(
      Object.keys(jobs).map((job) => [job, targets.filter(({ labels }) => labels.job === job).length]),
    );
    seen = targets
      .map(({ labels, health, lastError }) => `${labels.job} ${labels.instance} ${health} ${lastError}`)
      .join('\n');
    return targets.every(({ health }) => health === 'up') && JSON.stringify(counts) === JSON.stringify(jobs);
  }).catch((error: Error) => {
    throw new Error(`${error.message}\n${seen}`);
  });
}
