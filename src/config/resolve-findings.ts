/** What is wrong, or worth a look, about settings that can be read: references, files, names. Looks only, connects nowhere. */
import { X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { formatAddress } from '../cluster/address.js';
import { ForgeError } from '../errors.js';
import { parseConfig } from '../proxy/config/load.js';
import { ConfigError } from '../proxy/config/problems.js';
import { findBackupFaults } from './backup-report.js';
import { chooseCredentials, readCredentials } from './credentials.js';
import { deployFindings } from './deploy-settings-load.js';
import {
  credentialSources,
  folderOf,
  placeState,
  referredVariables,
  type Settings,
  type TargetFlags,
  tlsEnvironment,
} from './resolve.js';
import { resolveHosts } from './resolve-members.js';
import { readTls } from './tls.js';

export interface Finding {
  readonly level: 'fault' | 'warning';
  /** The setting, or the file with its line. */
  readonly about: string;
  readonly message: string;
}

/** What the example of the bash suite had in place of passwords. */
const PLACEHOLDER = /CHANGE_?ME/i;
const EXPIRY_WARNING_DAYS = 30;
const DAY_MS = 24 * 3_600_000;
const NAMED_MAX = 6;
const MASTERS_MIN = 3;

/** Faults of the settings of one cluster, and what may become one. Names are looked up; no node is spoken to. */
export async function findFaults(flags: TargetFlags, settings: Settings): Promise<Finding[]> {
  const parts = await Promise.all([
    aboutCredentials(flags, settings),
    aboutTls(flags, settings),
    aboutNodes(settings),
    aboutProxy(settings),
    findBackupFaults(settings),
    aboutDeployment(settings),
  ]);
  return parts.flat();
}

const fault = (about: string, message: string): Finding => ({ level: 'fault', about, message });
const warning = (about: string, message: string): Finding => ({ level: 'warning', about, message });

/** The message of what is thrown for settings; everything else goes on. */
async function messageOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof ForgeError) return error.message;
    throw error;
  }
}

/** What `.env` has that cannot be read, and whether others may read it. */
export async function findEnvFaults({ envFile, forgeFile }: Settings): Promise<Finding[]> {
  if (envFile === undefined) return [];
  const { content, path: file } = envFile;
  const findings = content.problems.map(({ line, name, message }) =>
    warning(`${file}:${line}`, `${name === undefined ? '' : `${name}: `}${message}`),
  );
  const found = await stat(file).catch(() => undefined);
  const referred = new Set(forgeFile?.content.clusters.flatMap(referredVariables));
  const isSecret = (name: string) => referred.has(name) || /PASS|SECRET|AUTH/.test(name);
  const secrets = [...content.values].some(([name, value]) => value !== '' && isSecret(name));
  if (secrets && found !== undefined && (found.mode & 0o077) !== 0) {
    findings.push(warning(file, 'others may read it, and it holds passwords; chmod 600'));
  }
  return findings;
}

async function aboutCredentials(flags: TargetFlags, settings: Settings): Promise<Finding[]> {
  const sources = credentialSources(flags, settings);
  const message = await messageOf(readCredentials(sources));
  if (message !== undefined) return [fault('credentials', message)];
  const { password } = chooseCredentials(sources);
  if (password === undefined) return [warning('password', 'none is set: right only where the nodes ask for none')];
  if ('file' in password) {
    const state = await placeState({ filename: password.file }, '', {});
    return state === 'open' ? [warning('password', `others may read ${password.file}; chmod 600`)] : [];
  }
  const value = settings.environment[password.variable] ?? '';
  return PLACEHOLDER.test(value) ? [fault('password', `${password.variable} still holds the example's text`)] : [];
}

async function aboutTls(flags: TargetFlags, settings: Settings): Promise<Finding[]> {
  const environment = tlsEnvironment(settings);
  const files = {
    'tls.ca': flags.cacert ?? environment['REDIS_TLS_CA'],
    'tls.certificate': flags.cert ?? environment['REDIS_TLS_CERT'],
  };
  const sources = { caFile: flags.cacert, certificateFile: flags.cert, keyFile: flags.key, serverName: flags.sni };
  const message = await messageOf(readTls({ ...sources, tls: flags.tls, environment }));
  if (message !== undefined) return [fault('tls', message)];
  const found = await Promise.all(
    Object.entries(files).map(([about, file]) => (file ? aboutCertificate(about, file) : [])),
  );
  return found.flat();
}

async function aboutCertificate(about: string, file: string): Promise<Finding[]> {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(await readFile(file));
  } catch {
    return [fault(about, `${file} holds no certificate`)];
  }
  const days = Math.floor((Date.parse(certificate.validTo) - Date.now()) / DAY_MS);
  if (days < 0) return [fault(about, `${file} has expired on ${certificate.validTo}`)];
  return days < EXPIRY_WARNING_DAYS ? [warning(about, `${file} expires in ${days} days`)] : [];
}

async function aboutNodes({ cluster }: Settings): Promise<Finding[]> {
  const nodes = cluster?.nodes ?? [];
  const findings: Finding[] = [];
  const without = nodes.filter(({ zone }) => zone === undefined);
  if (without.length > 0 && without.length < nodes.length) {
    findings.push(warning('nodes', `no zone is told for ${named(without.map(formatAddress))}`));
  }
  const masters = nodes.filter(({ role }) => role === 'master').length;
  const undecided = nodes.filter(({ role }) => role === undefined).length;
  if (nodes.length > 0 && masters + undecided < MASTERS_MIN) {
    findings.push(
      warning('nodes', `a cluster has at least ${MASTERS_MIN} masters, and here are ${masters + undecided}`),
    );
  }
  const resolved = await resolveHosts(nodes);
  const unknown = [...resolved].filter(([, addresses]) => addresses.length === 0).map(([host]) => host);
  if (unknown.length > 0) findings.push(warning('nodes', `the name does not resolve here: ${named(unknown)}`));
  return findings;
}

function named(items: readonly string[]): string {
  const more = items.length - NAMED_MAX;
  return `${items.slice(0, NAMED_MAX).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

async function aboutProxy(settings: Settings): Promise<Finding[]> {
  const { config } = settings.cluster?.proxy ?? {};
  if (config === undefined) return [];
  const file = path.resolve(folderOf(settings), config);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch {
    return [fault('proxy.config', `${file} cannot be read`)];
  }
  try {
    const { clusters } = parseConfig(text, file);
    const nodes = new Set(settings.cluster?.nodes.map(formatAddress));
    const endpoints = clusters.flatMap((each) => ('endpoints' in each ? each.endpoints : []));
    const common = endpoints.some((each) => 'port' in each && nodes.has(formatAddress(each)));
    if (common || nodes.size === 0 || endpoints.length === 0) return [];
    return [warning('proxy.config', `${file} leads to none of the nodes that are listed here`)];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.split('\n').map((line) => fault('proxy.config', line));
  }
}

async function aboutDeployment(settings: Settings): Promise<Finding[]> {
  const { problems, warnings } = await deployFindings(settings);
  return [
    ...problems.map(({ about, message }) => fault(about, message)),
    ...warnings.map((text) => {
      const [about = '', ...rest] = text.split(': ');
      return warning(about, rest.join(': '));
    }),
  ];
}
