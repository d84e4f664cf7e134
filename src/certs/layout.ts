/** Where things are in a folder of certificates, and which file is for whom. Pure. */
export type CertificateRole = 'node' | 'client' | 'proxy';

/** The CA that signs. */
export const CA_CERTIFICATE = 'ca.crt';
export const CA_KEY = 'ca.key';
/** During a rotation: the CA that is trusted already and will sign. */
export const CA_NEXT_CERTIFICATE = 'ca-next.crt';
export const CA_NEXT_KEY = 'ca-next.key';
/** During a rotation: the CA that does not sign any more, and is still trusted. */
export const CA_PREVIOUS_CERTIFICATE = 'ca-previous.crt';
/** Every CA that is trusted at the moment; this file goes to all nodes, proxies and clients. */
export const CA_BUNDLE = 'ca-bundle.crt';

export const KEY_MODE = 0o600;
export const CERTIFICATE_MODE = 0o644;

/** Files of one party, by their paths. */
export interface PartyFiles {
  readonly certificate: string;
  readonly key: string;
  /** What this party trusts. */
  readonly ca: string;
}

/** Certificate and key in a folder such as `nodes/redis-1`, relative to the folder of certificates. */
export function pairFiles(role: CertificateRole, folder: string): { certificate: string; key: string } {
  const name = role === 'client' ? 'client' : 'server';
  return { certificate: `${folder}/${name}.crt`, key: `${folder}/${name}.key` };
}

/**
 * Folder of the certificate of one node; the port is part of it where several nodes are on a host.
 * @param host as forge.yaml has it; an IPv6 address without brackets
 */
export function nodeFolder(host: string, port?: number): string {
  return `nodes/${host}${port === undefined ? '' : `-${port}`}`;
}

export function clientFolder(name: string): string {
  return `clients/${name}`;
}

export const PROXY_FOLDER = 'proxy';

/**
 * Folders in which the certificate of a node may be, best first: one of its own, then that of its host.
 * @param host as forge.yaml has it
 */
export function nodeFolders(host: string, port: number): string[] {
  return [nodeFolder(host, port), nodeFolder(host)];
}

const PAIR = /^(?:(nodes)\/[^/]+\/server|(clients)\/[^/]+\/client|(proxy)\/server)\.(?:crt|key)$/;

/** Whose certificate or key the file is; undefined for a file that no party of the layout has. */
export function roleOfFile(file: string): { role: CertificateRole; folder: string } | undefined {
  const match = PAIR.exec(file);
  if (match === null) return undefined;
  const role = match[1] !== undefined ? 'node' : match[2] !== undefined ? 'client' : 'proxy';
  return { role, folder: file.slice(0, file.lastIndexOf('/')) };
}

const CA_FILES = [
  CA_CERTIFICATE,
  CA_KEY,
  CA_NEXT_CERTIFICATE,
  CA_NEXT_KEY,
  CA_PREVIOUS_CERTIFICATE,
  CA_BUNDLE,
] as const;

/** Whether the file is one that gen-certs writes. */
export function isLayoutFile(file: string): boolean {
  return (CA_FILES as readonly string[]).includes(file) || roleOfFile(file) !== undefined;
}
