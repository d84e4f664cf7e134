/** Who is told of alerts, by forge.yaml, and the files that hold what is secret of it. Pure. */
import type { AlertReceivers } from '../config/deploy-settings.js';
import type { ForgeCluster, SecretPlace } from '../config/forge-file.js';
import type { Receivers } from './alertmanager.js';

/** A file that Alertmanager reads a secret from. */
export interface SecretFile {
  /** Its name, in the folder of secrets. */
  readonly name: string;
  /** Where its content is now. */
  readonly place: SecretPlace;
}

/**
 * What `monitoring.alertmanager` says.
 * @param folder where Alertmanager finds files with secrets; absolute
 */
export function receiversOf(cluster: ForgeCluster, folder: string): { receivers: Receivers; secrets: SecretFile[] } {
  const { discord, slack, mail, webhook } = cluster.monitoring?.alertmanager ?? {};
  return receiversFrom(
    {
      ...(discord === undefined ? {} : { discord }),
      ...(slack === undefined ? {} : { slack }),
      ...(mail === undefined ? {} : { mail: { ...mail, smarthost: `${mail.smarthost.host}:${mail.smarthost.port}` } }),
      ...(webhook === undefined ? {} : { webhook }),
    },
    folder,
  );
}

/** The same of settings that are resolved already. @param folder as for `receiversOf` */
export function receiversFrom(
  { discord, slack, mail, webhook }: AlertReceivers,
  folder: string,
): { receivers: Receivers; secrets: SecretFile[] } {
  const secrets: SecretFile[] = [];
  const file = (name: string, place: SecretPlace): string => {
    secrets.push({ name, place });
    return `${folder}/${name}`;
  };
  const receivers: Receivers = {
    ...(discord === undefined ? {} : { discord: { webhookFile: file('discord-webhook', discord.webhook) } }),
    ...(slack === undefined
      ? {}
      : {
          slack: {
            webhookFile: file('slack-webhook', slack.webhook),
            ...(slack.channel ? { channel: slack.channel } : {}),
          },
        }),
    ...(mail === undefined
      ? {}
      : {
          mail: {
            ...{ to: mail.to, from: mail.from, smarthost: mail.smarthost },
            ...(mail.username === undefined ? {} : { username: mail.username }),
            ...(mail.password === undefined ? {} : { passwordFile: file('mail-password', mail.password) }),
          },
        }),
    ...(webhook?.url === undefined ? {} : { webhook: { urlFile: file('webhook-url', webhook.url) } }),
    ...(webhook?.address === undefined ? {} : { webhook: { address: webhook.address } }),
  };
  return { receivers, secrets };
}
