/** Alertmanager's configuration: who is told of what. Secrets are named by their files and never in the text. Pure. */

import type { AlertmanagerVersion } from '../config/monitoring-schema.js';
import { ForgeError } from '../errors.js';
import { yamlText } from './yaml.js';

/** Where alerts go. Each secret is the absolute path of a file, as Alertmanager sees it. */
export interface Receivers {
  readonly discord?: { readonly webhookFile: string };
  readonly slack?: { readonly webhookFile: string; readonly channel?: string };
  readonly mail?: {
    readonly to: readonly string[];
    readonly from: string;
    /** `host:port`. */
    readonly smarthost: string;
    readonly username?: string;
    readonly passwordFile?: string;
  };
  /** The address itself only where it holds no secret. */
  readonly webhook?: { readonly urlFile: string } | { readonly address: string };
}

/** An alert that says all that another one says: of the pair only the first is sent, where these labels are the same. */
export const INHIBITIONS: readonly { source: string; targets: readonly string[]; equal: readonly string[] }[] = [
  { source: 'HostDiskFull', targets: ['HostDiskAlmostFull', 'HostDiskFillsSoon'], equal: ['instance', 'mountpoint'] },
  { source: 'CertificateExpiresNow', targets: ['CertificateExpiresSoon'], equal: ['certificate'] },
  { source: 'ClusterSlotsFailing', targets: ['ClusterSlotsSuspected'], equal: [] },
  { source: 'RedisOutOfMemory', targets: ['HighMemoryUsage'], equal: ['instance'] },
  { source: 'NodeExporterDown', targets: ['RedisExporterDown'], equal: ['host'] },
];

/** Alerts that come together are told of together, and again while they last. */
const TIMES = { group_wait: '30s', group_interval: '5m', repeat_interval: '4h' };
const CRITICAL_AGAIN = '1h';
const TEAM = 'team';
const NOBODY = 'nobody';

const TITLE = '{{ .CommonLabels.cluster }}: {{ .CommonLabels.alertname }} ({{ .Status }})';
const TEXT =
  '{{ range .Alerts }}[{{ .Labels.severity }}] {{ .Annotations.summary }}\n{{ .Annotations.description }}\n{{ .Annotations.runbook_url }}\n{{ end }}';

/**
 * `alertmanager.yml`. Critical alerts and warnings go to every receiver; what is only worth knowing, and the watchdog, is
 * shown on Alertmanager's own page.
 * @throws ForgeError `configuration` for a receiver that this version of Alertmanager cannot be given without its secret in the text
 */
export function alertmanagerConfig(receivers: Receivers, version: AlertmanagerVersion): string {
  return yamlText({
    route: {
      receiver: NOBODY,
      group_by: ['alertname', 'cluster'],
      ...TIMES,
      routes: [
        { receiver: TEAM, matchers: ['severity="critical"'], repeat_interval: CRITICAL_AGAIN },
        { receiver: TEAM, matchers: ['severity="warning"'] },
      ],
    },
    inhibit_rules: INHIBITIONS.map(({ source, targets, equal }) => ({
      source_matchers: [`alertname="${source}"`],
      target_matchers: [`alertname=~"${targets.join('|')}"`],
      equal: ['cluster', ...equal],
    })),
    receivers: [{ name: NOBODY }, { name: TEAM, ...integrations(receivers, version) }],
  });
}

function integrations({ discord, slack, mail, webhook }: Receivers, version: AlertmanagerVersion): object {
  const old = version === '0.25';
  if (old && webhook !== undefined && 'urlFile' in webhook) {
    throw new ForgeError('configuration', 'Alertmanager 0.25 takes no address of a webhook from a file.', {
      next: 'Take Alertmanager 0.28 or newer and set monitoring.alertmanager_version: "0.28", or name an address without a secret: monitoring.alertmanager.webhook.address.',
    });
  }
  const chats = [
    ...(slack === undefined ? [] : [slackConfig(slack.webhookFile, slack.channel)]),
    // Discord understands Slack's messages at its own address with /slack behind it.
    ...(discord === undefined || !old ? [] : [slackConfig(discord.webhookFile)]),
  ];
  return {
    ...(discord === undefined || old
      ? {}
      : {
          discord_configs: [
            { webhook_url_file: discord.webhookFile, send_resolved: true, title: TITLE, message: TEXT },
          ],
        }),
    ...(chats.length === 0 ? {} : { slack_configs: chats }),
    ...(mail === undefined ? {} : { email_configs: [mailConfig(mail)] }),
    ...(webhook === undefined ? {} : { webhook_configs: [webhookConfig(webhook)] }),
  };
}

function webhookConfig(webhook: NonNullable<Receivers['webhook']>): object {
  const to = 'urlFile' in webhook ? { url_file: webhook.urlFile } : { url: webhook.address };
  return { ...to, send_resolved: true };
}

function slackConfig(file: string, channel?: string): object {
  return {
    api_url_file: file,
    ...(channel === undefined ? {} : { channel }),
    send_resolved: true,
    title: TITLE,
    text: TEXT,
  };
}

function mailConfig({ to, from, smarthost, username, passwordFile }: NonNullable<Receivers['mail']>): object {
  return {
    to: to.join(', '),
    from,
    smarthost,
    ...(username === undefined ? {} : { auth_username: username }),
    ...(passwordFile === undefined ? {} : { auth_password_file: passwordFile }),
    send_resolved: true,
    headers: { Subject: TITLE },
  };
}
