/**
 * In which order certificates and the CAs that are trusted are given out, so that everybody who is understood before is
 * understood at every moment. Pure.
 */
import type { X509Certificate } from 'node:crypto';
import { type CertificateFacts, signerOf } from './facts.js';
import type { CertificateSet } from './install-set.js';

/** What is given out in one go: whole sets, only the CAs that are trusted, or only certificates with their keys. */
export type InstallStage = 'all' | 'trust' | 'pair';

export interface OrderParty {
  readonly name: string;
  /** It gets what is new; the others stay as they are. */
  readonly chosen: boolean;
  /** Nodes speak to everybody; proxies and exporters to nodes only. */
  readonly isNode: boolean;
  readonly before: CertificateSet;
  readonly after: CertificateSet;
}

/** Somebody who would not be understood any more. */
export interface BrokenLink {
  readonly verifier: string;
  readonly shower: string;
  /** The file whose certificate would not be trusted. */
  readonly file: string;
}

export type InstallOrder =
  | { readonly stages: readonly InstallStage[] }
  /** What the best order would break. */
  | { readonly broken: readonly BrokenLink[] };

/** Best first. Two stages keep a change of the CA whole when a step of it was not given out. */
const ORDERS: readonly (readonly InstallStage[])[] = [['all'], ['trust', 'pair'], ['pair', 'trust']];

/**
 * The shortest order in which nobody is cut off from anybody whom they trust now. In a stage, parties change one by one in
 * any order, each as a whole; so both states of one have to go with both states of the other.
 * @param now milliseconds since 1970: a certificate that has expired is understood by nobody before
 */
export function installOrder(parties: readonly OrderParty[], now: number): InstallOrder {
  const links = linksOf(parties, now);
  let best: readonly BrokenLink[] | undefined;
  for (const stages of ORDERS) {
    const broken = brokenBy(stages, links);
    if (broken.length === 0) return { stages };
    if (best === undefined || broken.length < best.length) best = broken;
  }
  return { broken: best ?? [] };
}

interface Link {
  readonly verifier: OrderParty;
  readonly shower: OrderParty;
  readonly file: string;
}

const trustCache = new WeakMap<readonly X509Certificate[], Map<string, boolean>>();

function trusts(trusted: readonly X509Certificate[], certificate: CertificateFacts): boolean {
  const known = trustCache.get(trusted) ?? new Map<string, boolean>();
  trustCache.set(trusted, known);
  const result = known.get(certificate.fingerprint) ?? signerOf(certificate, trusted) !== undefined;
  known.set(certificate.fingerprint, result);
  return result;
}

/** Who understands whom now. */
function linksOf(parties: readonly OrderParty[], now: number): Link[] {
  const links: Link[] = [];
  for (const verifier of parties) {
    for (const shower of parties) {
      if (verifier === shower || !(verifier.isNode || shower.isNode)) continue;
      for (const [file, certificate] of shower.before.shown) {
        if (certificate.notAfter <= now || !trusts(verifier.before.trusted, certificate)) continue;
        links.push({ verifier, shower, file });
      }
    }
  }
  return links;
}

/** What a party has at a point of the order. */
interface Version {
  readonly trust: 'before' | 'after';
  readonly pair: 'before' | 'after';
}

function brokenBy(stages: readonly InstallStage[], links: readonly Link[]): BrokenLink[] {
  let at: Version = { trust: 'before', pair: 'before' };
  const steps = stages.map((stage) => {
    const from = at;
    at = { trust: stage === 'pair' ? at.trust : 'after', pair: stage === 'trust' ? at.pair : 'after' };
    return [from, at] as const;
  });
  return links.flatMap(({ verifier, shower, file }) => {
    const holds = steps.every((versions) =>
      versions.every(({ trust }) =>
        versions.every(({ pair }) => {
          const { trusted } = verifier.chosen ? verifier[trust] : verifier.before;
          const shown = shower.chosen ? shower[pair].shown.get(file) : shower.before.shown.get(file);
          return shown === undefined || trusts(trusted, shown);
        }),
      ),
    );
    return holds ? [] : [{ verifier: verifier.name, shower: shower.name, file }];
  });
}

/** Whether a party is given other CAs, or a certificate of another CA: then it matters what everybody else has. */
export function changesTrust({ before, after }: Pick<OrderParty, 'before' | 'after'>): boolean {
  const prints = ({ trusted }: CertificateSet) => trusted.map(({ fingerprint256 }) => fingerprint256).sort();
  if (prints(before).join() !== prints(after).join()) return true;
  // Two CAs of a cluster have the same name: only their keys tell them apart.
  const signerIn = (certificate: CertificateFacts) => signerOf(certificate, after.trusted)?.fingerprint256;
  return [...after.shown].some(([file, certificate]) => {
    const former = before.shown.get(file);
    return former !== undefined && signerIn(former) !== signerIn(certificate);
  });
}
