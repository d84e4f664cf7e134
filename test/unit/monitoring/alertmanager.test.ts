import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { parseForgeFile } from '../../../src/config/forge-file.js';
import { ForgeError } from '../../../src/errors.js';
import { alertmanagerConfig, INHIBITIONS } from '../../../src/monitoring/alertmanager.js';
import { alertsOf } from '../../../src/monitoring/alerts/index.js';
import { receiversOf } from '../../../src/monitoring/receivers.js';
import { watched } from '../../support/monitoring.js';

const ALL = {
  discord: { webhookFile: '/s/discord' },
  slack: { webhookFile: '/s/slack', channel: '#redis' },
  mail: { to: ['a@x.org', 'b@x.org'], from: 'f@x.org', smarthost: 'mail:587', username: 'u', passwordFile: '/s/mail' },
  webhook: { urlFile: '/s/url' },
};
const teamOf = (text: string) => parse(text).receivers.find(({ name }: { name: string }) => name === 'team');

describe('alertmanager.yml', () => {
  it('names the files of all secrets', () => {
    const team = teamOf(alertmanagerConfig(ALL, '0.28'));
    expect(team.discord_configs[0].webhook_url_file).toBe('/s/discord');
    expect(team.slack_configs).toHaveLength(1);
    expect(team.slack_configs[0]).toMatchObject({ api_url_file: '/s/slack', channel: '#redis' });
    expect(team.email_configs[0]).toMatchObject({
      to: 'a@x.org, b@x.org',
      auth_username: 'u',
      auth_password_file: '/s/mail',
    });
    expect(team.webhook_configs).toEqual([{ url_file: '/s/url', send_resolved: true }]);
  });

  it('reaches Discord in Slack’s words where Alertmanager wants the secret in the text otherwise', () => {
    const { webhook: _, ...others } = ALL;
    const team = teamOf(alertmanagerConfig(others, '0.25'));
    expect(team.discord_configs).toBeUndefined();
    expect(team.slack_configs.map((each: { api_url_file: string }) => each.api_url_file)).toEqual([
      '/s/slack',
      '/s/discord',
    ]);
  });

  it('refuses the secret address of a webhook for a version that cannot read it from a file', () => {
    const give = () => alertmanagerConfig({ webhook: { urlFile: '/s/url' } }, '0.25');
    expect(give).toThrow(ForgeError);
    expect(give).toThrow(/0\.25/);
    expect(teamOf(alertmanagerConfig({ webhook: { address: 'http://x/' } }, '0.25')).webhook_configs[0].url).toBe(
      'http://x/',
    );
  });

  it('has a receiver also when nobody is to be told', () => {
    expect(teamOf(alertmanagerConfig({}, '0.28'))).toEqual({ name: 'team' });
  });

  it('tells nobody of what is no more than worth knowing', () => {
    const { route } = parse(alertmanagerConfig(ALL, '0.28'));
    expect(route.receiver).toBe('nobody');
    expect(route.routes.flatMap(({ matchers }: { matchers: string[] }) => matchers)).toEqual([
      'severity="critical"',
      'severity="warning"',
    ]);
  });

  it('silences by alerts that there are, which are not less grave than what they silence', () => {
    const severities = new Map(alertsOf(watched()).map(({ name, severity }) => [name, severity]));
    for (const { source, targets } of INHIBITIONS) {
      expect([source, severities.get(source)]).toEqual([source, 'critical']);
      for (const target of targets) expect([target, severities.has(target)]).toEqual([target, true]);
    }
  });
});

describe('the receivers of forge.yaml', () => {
  const of = (alertmanager: string) => {
    const text = `cluster: orders\nnodes: [a:6379]\nmonitoring:\n  alertmanager: ${alertmanager}\n`;
    const [cluster] = parseForgeFile(text, 'forge.yaml').clusters;
    if (cluster === undefined) throw new Error('no cluster');
    return receiversOf(cluster, '/s');
  };

  it('have a file for each secret, and its place', () => {
    const { receivers, secrets } = of(
      '{ discord: { webhook: { environment: D } }, slack: { webhook: { filename: s } }, webhook: { url: { environment: W } }, mail: { to: [a@x.org], from: f@x.org, smarthost: "mail:25", password: { environment: P } } }',
    );
    expect(receivers).toEqual({
      discord: { webhookFile: '/s/discord-webhook' },
      slack: { webhookFile: '/s/slack-webhook' },
      mail: { to: ['a@x.org'], from: 'f@x.org', smarthost: 'mail:25', passwordFile: '/s/mail-password' },
      webhook: { urlFile: '/s/webhook-url' },
    });
    expect(secrets).toEqual([
      { name: 'discord-webhook', place: { environment: 'D' } },
      { name: 'slack-webhook', place: { filename: 's' } },
      { name: 'mail-password', place: { environment: 'P' } },
      { name: 'webhook-url', place: { environment: 'W' } },
    ]);
  });

  it('need no file for an address without a secret', () => {
    expect(of('{ webhook: { address: "http://10.0.0.1:8080/alerts" } }')).toEqual({
      receivers: { webhook: { address: 'http://10.0.0.1:8080/alerts' } },
      secrets: [],
    });
  });
});
