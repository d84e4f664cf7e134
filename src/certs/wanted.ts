/** Which certificates there should be, by forge.yaml and flags. Pure. */
import { ForgeError } from '../errors.js';
import { type CertificateRole, clientFolder, nodeFolder, PROXY_FOLDER } from './layout.js';
import {
  commonNameOf,
  parseClientName,
  parseHostNames,
  parseSubjectName,
  requireFewNames,
  type SubjectName,
  uniqueNames,
} from './names.js';

/** A certificate that is to be there. */
export interface WantedCertificate {
  readonly role: CertificateRole;
  /** Relative to the folder of certificates; certificate and key are in it. */
  readonly folder: string;
  readonly commonName: string;
  /** Names that it must be for; none for a client. */
  readonly names: readonly SubjectName[];
  /** Names that it gets when it is made anew, without being renewed for their sake: what DNS said at the moment. */
  readonly extraNames: readonly SubjectName[];
}

export interface WantedNode {
  /** Host name or IP address. */
  readonly host: string;
  readonly port: number;
  /** Further names and addresses of the host, known from forge.yaml. */
  readonly addresses?: readonly string[];
}

export interface WantedSources {
  readonly nodes?: readonly WantedNode[];
  /** `--host NAME[,NAME…]`. */
  readonly hosts?: readonly string[];
  /** `--client NAME`. */
  readonly clients?: readonly string[];
  /** Names by which applications come to the proxy. */
  readonly proxyNames?: readonly string[];
  /** A name that all nodes' certificates are for (`tls.server_name`). */
  readonly serverName?: string;
  /** Addresses that DNS has for a host name. */
  readonly resolved?: ReadonlyMap<string, readonly string[]>;
}

/** Certificates of one run; a larger cluster than any is likelier a mistake. */
export const CERTIFICATES_MAX = 1_000;
/** For health checks and people on the host itself. */
const LOCAL_NAMES: readonly SubjectName[] = ['localhost', '127.0.0.1', '::1'].map(parseSubjectName);

/**
 * One certificate per node of forge.yaml and per `--host`, per client, and one of the proxy when there are nodes or names
 * for it.
 * @throws ForgeError `usage` for names that cannot be, that share a folder, or that are too many
 */
export function wantedCertificates(sources: WantedSources): WantedCertificate[] {
  const servers = [...nodesOf(sources), ...hostsOf(sources)];
  const clients = [...new Set((sources.clients ?? []).map(parseClientName))].map(
    (name): WantedCertificate => ({
      role: 'client',
      folder: clientFolder(name),
      commonName: name,
      names: [],
      extraNames: [],
    }),
  );
  const proxyNames = (sources.proxyNames ?? []).map(parseSubjectName);
  const proxy = servers.length === 0 && proxyNames.length === 0 ? [] : [proxyOf(proxyNames)];
  const wanted = mergeFolders([...servers, ...clients, ...proxy]);
  for (const each of wanted) requireFewNames([...each.names, ...each.extraNames], each.folder);
  if (wanted.length > CERTIFICATES_MAX) {
    throw new ForgeError('usage', `${wanted.length} certificates are more than ${CERTIFICATES_MAX}.`, {
      next: 'Use folders of their own for parts of them.',
    });
  }
  return wanted;
}

function nodesOf({ nodes = [], serverName, resolved }: WantedSources): WantedCertificate[] {
  const perHost = new Map<string, number>();
  for (const { host } of nodes) perHost.set(host, (perHost.get(host) ?? 0) + 1);
  const common = serverName === undefined ? [] : [parseSubjectName(serverName)];
  return nodes.map(({ host, port, addresses = [] }) => {
    const own = parseSubjectName(host);
    const alone = perHost.get(host) === 1;
    return {
      role: 'node',
      // As forge.yaml writes it: whoever looks for the files of a node has no other name for it.
      folder: alone ? nodeFolder(host) : nodeFolder(host, port),
      commonName: commonNameOf(own.value),
      names: uniqueNames([own, ...addresses.map(parseSubjectName), ...common, ...LOCAL_NAMES]),
      extraNames: (resolved?.get(host) ?? []).map(parseSubjectName),
    };
  });
}

function hostsOf({ hosts = [], serverName, resolved }: WantedSources): WantedCertificate[] {
  const common = serverName === undefined ? [] : [parseSubjectName(serverName)];
  return hosts.map((text) => {
    const names = parseHostNames(text);
    const first = (names[0] as SubjectName).value;
    return {
      role: 'node',
      folder: nodeFolder(first),
      commonName: commonNameOf(first),
      names: uniqueNames([...names, ...common, ...LOCAL_NAMES]),
      extraNames: (resolved?.get(first) ?? []).map(parseSubjectName),
    };
  });
}

function proxyOf(names: readonly SubjectName[]): WantedCertificate {
  return {
    role: 'proxy',
    folder: PROXY_FOLDER,
    commonName: commonNameOf(names[0]?.value ?? 'proxy'),
    names: uniqueNames([...names, ...LOCAL_NAMES]),
    extraNames: [],
  };
}

/** Names of one host that were given in several places belong together; two hosts in one folder are a mistake. */
function mergeFolders(wanted: readonly WantedCertificate[]): WantedCertificate[] {
  const merged = new Map<string, WantedCertificate>();
  for (const each of wanted) {
    // Some file systems do not tell cases apart.
    const key = each.folder.toLowerCase();
    const other = merged.get(key);
    if (other !== undefined && (other.names[0]?.value !== each.names[0]?.value || other.folder !== each.folder)) {
      const names = [other, each].map(({ commonName }) => commonName).join(' and ');
      throw new ForgeError('usage', `The certificates of ${names} would be in one folder, ${each.folder}.`, {
        next: 'Give one of them another name.',
      });
    }
    merged.set(key, {
      ...each,
      names: uniqueNames([...(other?.names ?? []), ...each.names]),
      extraNames: uniqueNames([...(other?.extraNames ?? []), ...each.extraNames]),
    });
  }
  return [...merged.values()];
}
