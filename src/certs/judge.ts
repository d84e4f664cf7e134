/** Judges a folder of certificates: when they end, whether they fit together, and whom they are for. Pure. */
import type { X509Certificate } from 'node:crypto';
import { type Finding, type Reason, type Verdict, worstOf } from '../operations/health/finding.js';
import type { StoredDirectory, StoredPair } from './directory.js';
import { factsOf, signerOf } from './facts.js';
import { CA_BUNDLE, CA_KEY, type CertificateRole, nodeFolders } from './layout.js';
import { covers, parseSubjectName, type SubjectName, uniqueNames } from './names.js';
import { DAY_MS, day, usagesOf } from './plan.js';
import { type RotationState, rotationAdvice, rotationState } from './rotation.js';
import type { WantedNode } from './wanted.js';

export interface JudgeOptions {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** A certificate that ends sooner is warned about … */
  readonly warnDays: number;
  /** … and fails. */
  readonly failDays: number;
  /** Nodes of forge.yaml, each of which needs a certificate for its name. */
  readonly nodes: readonly WantedNode[];
  /** The name that all nodes' certificates are for. */
  readonly serverName?: string;
}

export type CertificateKind = 'ca' | CertificateRole | 'other';

/** One certificate and what is said of it. */
export interface CertificateFinding extends Finding {
  readonly kind: CertificateKind;
  readonly names: readonly string[];
  /** ISO 8601; null for one that cannot be read. */
  readonly expires: string | null;
  readonly daysLeft: number | null;
}

export interface CertificateReport {
  readonly directory: string;
  readonly rotation: RotationState;
  readonly verdict: Verdict;
  readonly certificates: readonly CertificateFinding[];
  /** What is about no certificate alone. */
  readonly findings: readonly Finding[];
}

/** Changing a CA takes time: everybody must trust the next one before it signs. */
const CA_WARN_DAYS = 90;
const BITS_MIN = 2048;
const OTHERS_MAY_READ = 0o077;

/** Judges everything in the folder, and whether each node has its certificate. */
export function judgeDirectory(stored: StoredDirectory, options: JudgeOptions): CertificateReport {
  const trusted = trustedAuthorities(stored);
  const authorities = [stored.authority, stored.next, stored.previous].filter((each) => each !== undefined);
  const certificates = [
    ...authorities.map((each) => judgePair(each, 'ca', trusted, stored, options)),
    ...stored.pairs.map((each) => judgePair(each, each.role ?? 'other', trusted, stored, options)),
    ...stored.others.map((each) => judgePair(each, each.certificate?.isCa ? 'ca' : 'other', trusted, stored, options)),
  ];
  const findings = [
    judgeFiles(stored, certificates.length),
    judgeBundle(stored),
    judgeNodes(stored, options),
    judgeRotation(stored),
  ];
  return {
    directory: stored.path,
    rotation: rotationState(stored),
    verdict: worstOf([...certificates, ...findings].map(({ verdict }) => verdict)),
    certificates,
    findings,
  };
}

/** CAs that are trusted by this folder; those of another layout where this one has none. */
function trustedAuthorities(stored: StoredDirectory): X509Certificate[] {
  const own = [stored.authority, stored.next, stored.previous].flatMap((each) => each?.certificate?.x509 ?? []);
  const trusted = [...(stored.bundle ?? []), ...own];
  if (trusted.length > 0) return trusted;
  return stored.others.flatMap(({ certificate }) => (certificate?.isCa ? [certificate.x509] : []));
}

function finding(check: string, about: string, reasons: readonly Reason[], next: string): Finding {
  const verdict = worstOf(reasons.map((reason) => reason.verdict));
  return { check, about, verdict, reasons, ...(verdict === 'PASS' ? {} : { next }) };
}

function judgePair(
  pair: StoredPair,
  kind: CertificateKind,
  trusted: readonly X509Certificate[],
  { path }: StoredDirectory,
  options: JudgeOptions,
): CertificateFinding {
  const { certificate, certificateFile, certificateFault } = pair;
  const reasons: Reason[] =
    certificate === undefined
      ? [fail(`${certificateFile} ${certificateFault ?? 'does not exist'}`)]
      : [
          ...judgeTime(pair, kind, options),
          ...(kind === 'ca' ? [] : judgeSigner(pair, trusted, options)),
          ...judgeUse(pair, kind),
        ];
  reasons.push(...judgeKey(pair, kind));
  const renew = kind === 'ca' ? '--rotate-ca' : '--renew';
  const next =
    kind === 'other' || pair.keyFile === '' ? 'Renew it with what has made it.' : `forge gen-certs ${path} ${renew}`;
  return {
    ...finding(
      certificateFile,
      ABOUT[kind],
      reasons,
      keyIsOpen(pair) && reasons.length === 1 ? `chmod 600 ${path}/${pair.keyFile}` : next,
    ),
    kind,
    names: certificate?.names.map(({ value }) => value) ?? [],
    expires: certificate === undefined ? null : new Date(certificate.notAfter).toISOString(),
    daysLeft: certificate === undefined ? null : Math.floor((certificate.notAfter - options.now) / DAY_MS),
  };
}

const ABOUT: Record<CertificateKind, string> = {
  ca: 'a certificate authority',
  node: 'certificate of a node',
  client: 'certificate of a client',
  proxy: 'certificate of the proxy',
  other: 'a certificate',
};

const fail = (text: string): Reason => ({ verdict: 'FAIL', text });
const warn = (text: string): Reason => ({ verdict: 'WARN', text });

function judgeTime(
  { certificate, certificateFile }: StoredPair,
  kind: CertificateKind,
  options: JudgeOptions,
): Reason[] {
  const { now, failDays } = options;
  if (certificate === undefined) return [];
  const { notBefore, notAfter } = certificate;
  if (notAfter <= now) return [fail(`${certificateFile} expired on ${day(notAfter)}`)];
  if (notBefore > now) {
    return [fail(`${certificateFile} is valid only from ${day(notBefore)} on; is the clock (${day(now)}) right?`)];
  }
  const left = Math.floor((notAfter - now) / DAY_MS);
  const warnDays = kind === 'ca' ? Math.max(options.warnDays, CA_WARN_DAYS) : options.warnDays;
  const text = `${certificateFile} ends in ${left} days, on ${day(notAfter)}`;
  if (left < failDays) return [fail(text)];
  return left < warnDays ? [warn(text)] : [];
}

function judgeSigner(pair: StoredPair, trusted: readonly X509Certificate[], { now }: JudgeOptions): Reason[] {
  const { certificate, certificateFile } = pair;
  if (certificate === undefined) return [];
  if (trusted.length === 0) return [warn(`there is no CA to check ${certificateFile} against`)];
  const signer = signerOf(certificate, trusted);
  if (signer === undefined) {
    const issuer = certificate.x509.issuer.replaceAll('\n', ', ');
    return [fail(`no CA that is trusted here has signed ${certificateFile} (it says ${issuer})`)];
  }
  const { notAfter } = factsOf(signer);
  return notAfter <= now ? [fail(`the CA that has signed ${certificateFile} expired on ${day(notAfter)}`)] : [];
}

function judgeUse({ certificate, certificateFile }: StoredPair, kind: CertificateKind): Reason[] {
  if (certificate === undefined) return [];
  const { isCa, keyType, keyBits = BITS_MIN, names, usages } = certificate;
  const weak =
    keyType === 'rsa' && keyBits < BITS_MIN ? [warn(`the key of ${certificateFile} has only ${keyBits} bits`)] : [];
  if (kind === 'other') return weak;
  if (kind === 'ca') return isCa ? weak : [fail(`${certificateFile} is not the certificate of a CA`), ...weak];
  const lacking = usagesOf(kind).filter((usage) => !usages.includes(usage));
  const nameless = kind !== 'client' && names.length === 0;
  return [
    ...weak,
    ...(isCa ? [fail(`${certificateFile} is the certificate of a CA`)] : []),
    ...(lacking.length === 0 ? [] : [fail(`${certificateFile} may not be used as a ${lacking.join(' and a ')}`)]),
    ...(nameless ? [fail(`${certificateFile} is for no name and no address`)] : []),
  ];
}

function keyIsOpen({ keyMode = 0 }: StoredPair): boolean {
  return (keyMode & OTHERS_MAY_READ) !== 0;
}

function judgeKey(pair: StoredPair, kind: CertificateKind): Reason[] {
  const { certificate, certificateFile, key, keyFile, keyFault, keyMode = 0 } = pair;
  const reasons: Reason[] = [];
  // The key of a CA may be kept elsewhere, and a certificate somewhere else may be there to be trusted only.
  const optional = kind === 'ca' || kind === 'other';
  if (key === undefined) {
    if (keyFault !== undefined && !(optional && keyFault === 'does not exist'))
      reasons.push(fail(`${keyFile} ${keyFault}`));
  } else if (key.state === 'damaged') reasons.push(fail(`${keyFile} ${key.fault}`));
  else if (key.state === 'encrypted') {
    if (!optional)
      reasons.push(warn(`${keyFile} is encrypted, so nobody knows whether it belongs to ${certificateFile}`));
  } else if (certificate !== undefined && !certificate.x509.checkPrivateKey(key.key)) {
    reasons.push(fail(`the key in ${keyFile} does not belong to ${certificateFile}`));
  }
  if (keyIsOpen(pair)) {
    reasons.push(warn(`others than its owner may read ${keyFile} (mode ${keyMode.toString(8).padStart(4, '0')})`));
  }
  return reasons;
}

function judgeFiles({ path, halfDone }: StoredDirectory, count: number): Finding {
  const reasons = [
    ...(count === 0 ? [fail(`there is no certificate in ${path}`)] : []),
    ...(halfDone ? [fail('a run was interrupted while it put its files in place: some are new, some are old')] : []),
  ];
  const next = `forge gen-certs ${path}${halfDone ? ' --renew finishes it' : ''}`;
  return finding('files', 'the folder is whole', reasons, next);
}

function judgeBundle(stored: StoredDirectory): Finding {
  const about = 'the CAs that are trusted are those that sign';
  const next = `forge gen-certs ${stored.path} --renew`;
  if (stored.bundleFault !== undefined)
    return finding('bundle', about, [fail(`${CA_BUNDLE} ${stored.bundleFault}`)], next);
  if (stored.bundle === undefined) {
    const ours = stored.pairs.length > 0;
    return finding('bundle', about, ours ? [warn(`there is no ${CA_BUNDLE} to give to those who trust`)] : [], next);
  }
  const has = new Set(stored.bundle.map(({ fingerprint256 }) => fingerprint256));
  const reasons = [stored.authority, stored.next, stored.previous].flatMap((each) =>
    each?.certificate === undefined || has.has(each.certificate.fingerprint)
      ? []
      : [fail(`${each.certificateFile} is not in ${CA_BUNDLE}, so nobody trusts it`)],
  );
  return finding('bundle', about, reasons, next);
}

function judgeNodes(stored: StoredDirectory, { nodes, serverName }: JudgeOptions): Finding {
  const common = serverName === undefined ? [] : [parseSubjectName(serverName)];
  const reasons = nodes.flatMap(({ host, port, addresses = [] }) =>
    judgeNode(stored, host, port, uniqueNames([...[host, ...addresses].map(parseSubjectName), ...common])),
  );
  return finding(
    'nodes',
    'every node of forge.yaml has a certificate for its name',
    reasons,
    `forge gen-certs ${stored.path} --renew`,
  );
}

function judgeNode(stored: StoredDirectory, host: string, port: number, wanted: readonly SubjectName[]): Reason[] {
  const node = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const lacks = ({ certificate }: StoredPair) =>
    wanted.filter((name) => !(certificate?.names ?? []).some((has) => covers(has, name)));
  const own = nodeFolders(host, port).flatMap((folder) => stored.pairs.find((pair) => pair.folder === folder) ?? [])[0];
  if (own !== undefined) {
    const missing = lacks(own);
    return missing.length === 0 || own.certificate === undefined
      ? []
      : [fail(`${own.certificateFile} is not for ${missing.map(({ value }) => value).join(', ')} (node ${node})`)];
  }
  const fits = [...stored.pairs, ...stored.others].some(
    (pair) => pair.certificate?.usages.includes('server') && !pair.certificate.isCa && lacks(pair).length === 0,
  );
  return fits ? [] : [fail(`no certificate is for the node ${node}`)];
}

function judgeRotation(stored: StoredDirectory): Finding {
  const advice = rotationAdvice(rotationState(stored), stored.path);
  const unreadable =
    stored.next?.keyFault === 'does not exist' ? [warn(`${CA_KEY.replace('ca', 'ca-next')} is not here`)] : [];
  const reasons = advice === undefined ? [] : [warn(advice.text), ...unreadable];
  return finding('rotation', 'no change of the CA is under way', reasons, advice?.next ?? '');
}
