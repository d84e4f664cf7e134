/** From a plan to files: keys are made, certificates are signed. */
import type { KeyObject } from 'node:crypto';
import type { Authority } from './authority.js';
import { certificateFacts } from './facts.js';
import { type KeyMaker, keyPem, makeKeys } from './keys.js';
import { CERTIFICATE_MODE, type CertificateRole, KEY_MODE, pairFiles } from './layout.js';
import { CLOCK_SKEW_MS, DAY_MS, type PlanItem } from './plan.js';
import type { FileChange } from './store.js';
import { issueCertificate } from './x509.js';

/** One certificate of a run, for people and for `--json`. */
export interface IssuedCertificate {
  readonly role: CertificateRole;
  readonly folder: string;
  readonly action: 'created' | 'renewed' | 'kept';
  readonly newKey: boolean;
  readonly names: readonly string[];
  readonly reasons: readonly string[];
  /** ISO 8601; null before it is made. */
  readonly expires: string | null;
}

const DONE = { create: 'created', renew: 'renewed', keep: 'kept' } as const;

/** What the plan comes to, without doing it. */
export function preview(items: readonly PlanItem[]): IssuedCertificate[] {
  return items.map((item) => ({
    role: item.role,
    folder: item.folder,
    action: DONE[item.action],
    newKey: item.key === 'new',
    names: item.names.map(({ value }) => value),
    reasons: item.reasons,
    expires:
      item.action === 'keep' && item.stored?.certificate !== undefined
        ? new Date(item.stored.certificate.notAfter).toISOString()
        : null,
  }));
}

/** New keys for a plan; the largest comes first, for it takes longest. */
export async function makePlanKeys(
  items: readonly PlanItem[],
  { bits, signal, keyMaker = makeKeys }: { bits: number; signal?: AbortSignal; keyMaker?: KeyMaker },
  first: readonly number[] = [],
): Promise<KeyObject[]> {
  const needed = items.filter(({ action, key }) => action !== 'keep' && key === 'new');
  return keyMaker([...first, ...needed.map(() => bits)], signal);
}

export interface IssueOptions {
  readonly authority: Authority;
  /** As many as the plan needs, from `makePlanKeys`. */
  readonly keys: readonly KeyObject[];
  readonly days: number;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Signs what the plan says. No certificate outlives its CA. */
export function issuePlan(
  items: readonly PlanItem[],
  { authority, keys, days, now }: IssueOptions,
): { changes: FileChange[]; certificates: IssuedCertificate[] } {
  const changes: FileChange[] = [];
  const fresh = [...keys];
  const end = Math.min(now + days * DAY_MS, Date.parse(authority.x509.validTo));
  const certificates = preview(items).map((shown, index): IssuedCertificate => {
    const item = items[index] as PlanItem;
    if (item.action === 'keep') return shown;
    const { role, folder, commonName, names, usages, stored } = item;
    const key = item.key === 'new' ? fresh.shift() : stored?.key?.state === 'read' ? stored.key.key : undefined;
    if (key === undefined) throw new Error(`there is no key for ${folder}`);
    const pem = issueCertificate({
      ...{ commonName, names, usages, key, authority },
      ...{ notBefore: new Date(now - CLOCK_SKEW_MS), notAfter: new Date(end) },
    });
    const files = pairFiles(role, folder);
    changes.push({ file: files.certificate, content: pem, mode: CERTIFICATE_MODE });
    if (item.key === 'new') changes.push({ file: files.key, content: keyPem(key), mode: KEY_MODE });
    return { ...shown, expires: new Date(certificateFacts(pem).notAfter).toISOString() };
  });
  return { changes, certificates };
}
