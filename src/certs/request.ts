/** From what was asked for to what is made: names are read, addresses are looked up, secrets are fetched. */
import path from 'node:path';
import { requireAuthorityName } from './authority.js';
import type { SettingsWanted } from './from-settings.js';
import type { GenerateOptions } from './generate.js';
import { requireBits } from './keys.js';
import { parseHostNames } from './names.js';
import { readPassphrase } from './passphrase.js';
import { resolveHosts } from './resolve-hosts.js';
import { wantedCertificates } from './wanted.js';

export interface CertificateRequest extends Omit<GenerateOptions, 'wanted' | 'passphrase'> {
  readonly fromSettings: SettingsWanted;
  /** `NAME[,NAME…]` each. */
  readonly hosts: readonly string[];
  readonly clients: readonly string[];
  readonly proxyNames: readonly string[];
  /** Ask DNS for the addresses of hosts of which none is known. */
  readonly resolve: boolean;
  readonly passphraseFile?: string;
  readonly environment: NodeJS.ProcessEnv;
}

/**
 * @returns what to make, and the hosts for which DNS has no address
 * @throws ForgeError `usage` for names, sizes and the like that cannot be; `configuration` for a passphrase that is not there
 */
export async function generateOptions(
  request: CertificateRequest,
): Promise<{ options: GenerateOptions; unknown: readonly string[] }> {
  const { fromSettings, hosts, clients, proxyNames, resolve, passphraseFile, environment, ...rest } = request;
  requireBits(rest.bits);
  const caName = requireAuthorityName(rest.caName);
  const passphrase = await readPassphrase(passphraseFile, environment);
  const asked = [
    ...fromSettings.nodes,
    ...hosts.map(parseHostNames).map(([first, ...more]) => ({
      host: first?.value ?? '',
      addresses: more.map(({ value }) => value),
    })),
  ];
  const { addresses: resolved, unknown } = resolve ? await resolveHosts(asked) : { addresses: new Map(), unknown: [] };
  const wanted = wantedCertificates({
    nodes: fromSettings.nodes,
    serverName: fromSettings.serverName,
    hosts,
    clients,
    proxyNames: [...fromSettings.proxyNames, ...proxyNames],
    resolved,
  });
  return {
    options: {
      ...rest,
      ...{ wanted, caName },
      ...(passphrase === undefined ? {} : { passphrase }),
      ...(rest.caKeyFile === undefined ? {} : { caKeyFile: path.resolve(rest.caKeyFile) }),
    },
    unknown,
  };
}
