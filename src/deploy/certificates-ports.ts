/** Where a container shows its certificates. Pure. */
import { parse } from 'yaml';
import type { DeployHost, DeployNode, DeploySettings } from '../config/deploy-settings.js';
import type { DesiredContainer } from './container.js';
import { PROXY_CONFIG_FILE, PROXY_FILES_TARGET } from './proxy-container.js';
import { REDIS_FILES_TARGET, tlsPathOf } from './redis-files.js';

export interface ServedPort {
  /** What it is for, in words for people. */
  readonly what: 'clients' | 'cluster bus';
  readonly host: string;
  readonly port: number;
  /** Of the certificate that is shown, among the files of the container. */
  readonly file: string;
}

/** Clients and the cluster bus, where others reach them. */
export function redisPorts({ host, announce }: Pick<DeployNode, 'host' | 'announce'>): ServedPort[] {
  const at = {
    host: announce.ip ?? announce.hostname ?? host,
    file: below(REDIS_FILES_TARGET, tlsPathOf('tls-cert-file')),
  };
  return [
    { what: 'clients', ...at, port: announce.port },
    { what: 'cluster bus', ...at, port: announce.busPort },
  ];
}

/** Listeners of the proxy that speak TLS, as its configuration in the container says. */
export function proxyPorts(
  { proxy }: Pick<DeploySettings, 'proxy'>,
  { address }: Pick<DeployHost, 'address'>,
  { files }: Pick<DesiredContainer, 'files'>,
): ServedPort[] {
  const { content } = files.find(({ path }) => path === PROXY_CONFIG_FILE) ?? {};
  const { listeners } = record(content === undefined ? undefined : parsed(content));
  return array(listeners).flatMap((listener): ServedPort[] => {
    const { additional_addresses: more, ...own } = record(listener);
    return [own, ...array(more).map(record)].flatMap((each): ServedPort[] => {
      const file = shownFile(each['tls_context']);
      const place = placeOf(each['address'], address);
      if (file === undefined || place === undefined) return [];
      // Of a bridge network, one port is published.
      if (proxy.network.kind === 'bridge' && place.port !== proxy.port) return [];
      return [{ what: 'clients', ...place, file }];
    });
  });
}

function parsed(content: string | Uint8Array): unknown {
  try {
    return parse(typeof content === 'string' ? content : Buffer.from(content).toString('utf8'));
  } catch {
    // Whether it is right was judged elsewhere.
    return undefined;
  }
}

/** Whoever names nobody gets the first. */
function shownFile(context: unknown): string | undefined {
  const [first] = array(record(context)['tls_certificates']);
  const { filename } = record(record(first)['certificate_chain']);
  return typeof filename === 'string' && filename.startsWith(`${PROXY_FILES_TARGET}/`)
    ? below(PROXY_FILES_TARGET, filename)
    : undefined;
}

function placeOf(text: unknown, everywhere: string): { host: string; port: number } | undefined {
  const match = typeof text === 'string' ? /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d+)$/.exec(text) : null;
  if (match === null) return undefined;
  const host = match[1] ?? match[2] ?? '';
  return { host: /^(?:0\.0\.0\.0|::|)$/.test(host) ? everywhere : host, port: Number(match[3]) };
}

const below = (folder: string, path: string) => path.slice(folder.length + 1);
const array = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const record = (value: unknown): Readonly<Record<string, unknown>> =>
  value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : {};
