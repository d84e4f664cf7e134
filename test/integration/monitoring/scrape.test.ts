/** Alerts and panels are about what real exporters and the real proxy say; and an alert reaches somebody. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { alertsOf } from '../../../src/monitoring/alerts/index.js';
import { forCluster } from '../../../src/monitoring/rules.js';
import { namesIn, type Selector } from '../../support/promql.js';
import { poll } from '../../support/redis.js';
import { type Stack, startStack } from './stack.js';

const SEEN_MS = 30_000;
const WORK_MS = 200;
let stack: Stack;
let client: Redis;
let work: NodeJS.Timeout;

interface Target {
  readonly health: string;
  readonly lastError: string;
  readonly labels: Readonly<Record<string, string>>;
}

interface Rules {
  readonly groups: readonly {
    readonly rules: readonly { readonly name: string; readonly health: string; readonly lastError?: string }[];
  }[];
}

const targets = async () => (await stack.ask<{ activeTargets: readonly Target[] }>('targets')).activeTargets;
const refused = (error: Error) => error.message;

/** What clients do: reads, writes, a wrong type, and a write for which there is no room. */
async function doSomething(): Promise<void> {
  await client.mset('a', '1', 'b', '2').catch(refused);
  await client.hset('hash', 'field', 'value').catch(refused);
  await Promise.all([client.get('a'), client.get('nothing'), client.get('hash')].map((each) => each.catch(refused)));
}

beforeAll(async () => {
  stack = await startStack();
  client = new Redis({ port: stack.proxy.port, host: stack.proxy.host, lazyConnect: true });
  client.on('error', () => undefined);
  await client.connect();
  const [master] = stack.cluster.masters;
  await master?.call('CONFIG', 'SET', 'maxmemory', 1);
  await doSomething();
  for (const key of ['x', 'y', 'z', 'full']) await client.set(key, '1').catch(refused);
  await master?.call('CONFIG', 'SET', 'maxmemory', '200mb');
  work = setInterval(() => void doSomething(), WORK_MS);
  await poll('everything has been scraped twice', SEEN_MS, async () => {
    const scraped = await stack.query('sum(count_over_time(up[1m])) >= 2 * count(up)');
    return scraped.length > 0 && (await targets()).every(({ health }) => health === 'up');
  }).catch(async (error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify((await targets()).filter(({ health }) => health !== 'up'))}`);
  });
  // The rules have been evaluated as well, so that there is what the watchdog says.
  await poll('the watchdog is there', SEEN_MS, async () => (await stack.query('ALERTS')).length > 0);
}, 90_000);

afterAll(async () => {
  clearInterval(work);
  client?.disconnect();
  await stack?.stop();
}, 30_000);

/** The panels' queries, as Grafana would send them. */
function panelQueries(): { title: string; expression: string }[] {
  const file = path.join(stack.directory, 'grafana', 'dashboards', 'redisforge.json');
  const { panels } = JSON.parse(readFileSync(file, 'utf8')) as {
    panels: { title: string; targets?: { expr: string }[] }[];
  };
  const filled = (expression: string) =>
    expression.replaceAll('$cluster', 'orders').replaceAll('$instance', '.*').replaceAll('$__rate_interval', '20s');
  return panels.flatMap(({ title, targets: queries = [] }) =>
    queries.map(({ expr }) => ({ title, expression: filled(expr) })),
  );
}

/** What is wrong with a selector: nobody exposes its metric, one of its labels, or a label's value. */
async function fault({ metric, matchers }: Selector): Promise<string | undefined> {
  const series = await stack.ask<readonly Record<string, string>[]>('series', { 'match[]': metric });
  if (series.length === 0) return `nobody exposes ${metric}`;
  for (const { label, operator, value } of matchers) {
    const values = series.flatMap((each) => (each[label] === undefined ? [] : [each[label]]));
    if (values.length === 0) return `${metric} has no label ${label}`;
    if (operator === '=' && !values.includes(value)) return `${metric} has no ${label}="${value}"`;
    if (operator === '=~' && !values.some((each) => new RegExp(`^(?:${value})$`).test(each))) {
      return `no ${label} of ${metric} is like ${value}`;
    }
  }
  return undefined;
}

async function faultsOf(name: string, expression: string): Promise<string[]> {
  const { selectors, labels } = namesIn(expression);
  const faults = (await Promise.all(selectors.map(fault))).filter((each) => each !== undefined);
  const known = new Set<string>();
  for (const { metric } of selectors) {
    const series = await stack.ask<readonly Record<string, string>[]>('series', { 'match[]': metric });
    for (const each of series) for (const label of Object.keys(each)) known.add(label);
  }
  const unknown = labels.filter((label) => !known.has(label)).map((label) => `nothing has the label ${label}`);
  return [...faults, ...unknown].map((each) => `${name}: ${each}`);
}

describe('a real Prometheus', () => {
  it('has every target up: each node, each host, the proxy, itself and Alertmanager', { timeout: 70_000 }, async () => {
    const jobs = async () =>
      (await targets()).map(({ labels, health }) => `${labels['job']} ${labels['zone'] ?? '-'} ${health}`).sort();
    await expect
      .poll(jobs, { timeout: SEEN_MS })
      .toEqual([
        'alertmanager - up',
        'prometheus - up',
        'redisforge-node zone-a up',
        'redisforge-proxy - up',
        'redisforge-redis zone-a up',
        'redisforge-redis zone-a up',
        'redisforge-redis zone-b up',
        'redisforge-redis zone-c up',
        'redisforge-redis-exporter zone-a up',
      ]);
    const up = async () => (await stack.query('redis_up == 1')).map(({ metric }) => metric['instance']).sort();
    const nodes = stack.cluster.nodes.map(({ address }) => address).sort();
    await expect.poll(up, { timeout: SEEN_MS }).toEqual(nodes);
  });

  it('gets all figures with no more rights than the monitoring user is given', async () => {
    expect(await stack.query('redis_exporter_last_scrape_error != 0')).toEqual([]);
    const denied = await Promise.all(stack.cluster.nodes.map((node) => node.call('ACL', 'LOG')));
    expect(denied.map((each) => JSON.stringify(each))).toEqual(stack.cluster.nodes.map(() => '[]'));
  });

  it('knows every metric and label that an alert speaks of', { timeout: 60_000 }, async () => {
    const faults: string[] = [];
    for (const { name, expression } of alertsOf(stack.monitored)) {
      faults.push(...(await faultsOf(name, forCluster(expression, 'orders'))));
    }
    expect(faults).toEqual([]);
  });

  it('knows every metric and label that a panel shows', { timeout: 60_000 }, async () => {
    const faults: string[] = [];
    for (const { title, expression } of panelQueries()) faults.push(...(await faultsOf(title, expression)));
    expect(faults).toEqual([]);
  });

  it('would be found out: a metric, a label and a value that nobody has', async () => {
    const of = (expression: string) => faultsOf('it', expression);
    expect(await of('rate(redis_uptime[5m])')).toEqual(['it: nobody exposes redis_uptime']);
    expect(await of('redis_up{shard="a"}')).toEqual(['it: redis_up has no label shard']);
    expect(await of('redis_up{cluster="another"}')).toEqual(['it: redis_up has no cluster="another"']);
    expect(await of('sum by (shard) (redis_up)')).toEqual(['it: nothing has the label shard']);
  });

  it('has something to show in every panel', { timeout: 60_000 }, async () => {
    // Once is enough: on a busy machine a scrape may be late at times.
    let empty = panelQueries();
    expect(empty.length).toBeGreaterThan(50);
    await poll('every panel has had data', SEEN_MS, async () => {
      const answers = await Promise.all(empty.map(({ expression }) => stack.query(expression)));
      empty = empty.filter((_, index) => answers[index]?.length === 0);
      return empty.length === 0;
    }).catch(() => expect(empty).toEqual([]));
  });

  it('evaluates every rule', async () => {
    const { groups } = await stack.ask<Rules>('rules');
    const rules = groups.flatMap((group) => group.rules);
    expect(rules.length).toBe(alertsOf(stack.monitored).length);
    expect(rules.filter(({ health }) => health !== 'ok')).toEqual([]);
  });

  it('raises nothing about a cluster that is well', async () => {
    const firing = await stack.query('ALERTS{alertstate="firing",alertname!~"Host.*"}');
    expect(firing.map(({ metric }) => metric['alertname'])).toEqual(['Watchdog']);
  });
});

describe('an alert', () => {
  it('is raised, goes through Alertmanager and reaches the webhook', { timeout: 60_000 }, async () => {
    const [master] = stack.cluster.masters;
    if (master === undefined) throw new Error('there is no master');
    // With maxclients full of those that are there, who comes next is turned away: the exporter as well, so not for long.
    const administrator = await master.connect();
    await administrator.call('CONFIG', 'SET', 'maxclients', 1);
    const outcome = await Promise.allSettled([master.call('PING')]);
    await administrator.call('CONFIG', 'SET', 'maxclients', 10_000);
    administrator.close();
    expect(outcome.map(({ status }) => status)).toEqual(['rejected']);
    await poll('the webhook is told', SEEN_MS, () =>
      stack.told.some((body) => body.includes('RedisRejectedConnections')),
    );
    const body = stack.told.find((each) => each.includes('RedisRejectedConnections')) ?? '';
    const { alerts, receiver } = JSON.parse(body) as {
      receiver: string;
      alerts: { status: string; labels: Record<string, string>; annotations: Record<string, string> }[];
    };
    expect(receiver).toBe('team');
    expect(alerts).toHaveLength(1);
    expect(alerts[0]).toMatchObject({
      status: 'firing',
      labels: { cluster: 'orders', severity: 'critical', instance: master.address },
      annotations: {
        summary: `Redis ${master.address} turned clients away`,
        runbook_url: 'https://runbooks.example/alerts.md#redisrejectedconnections',
      },
    });
    expect(stack.told.some((each) => each.includes('Watchdog'))).toBe(false);
  });

  it('is not needed for a new node: its target is there without a restart', { timeout: 60_000 }, async () => {
    const more = stack.forgeYaml.replace('nodes:\n', 'nodes:\n  - 127.0.0.1:9@zone-a\n');
    const { files } = await stack.generate(more);
    expect(files.filter(({ action }) => action !== 'keep').map((file) => file.path)).toEqual([
      'prometheus/targets/orders.redis.json',
    ]);
    await poll('it is scraped, and found to be down', SEEN_MS, async () => {
      return (await stack.query('redis_up{instance="127.0.0.1:9"} == 0')).length === 1;
    });
  });
});
