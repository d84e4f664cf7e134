/** Builds certificates: node-forge for the X.509 around the keys, the runtime's own cryptography for the signatures. */
import { createPublicKey, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto';
import forge from 'node-forge';
import type { Usage } from './facts.js';
import type { SubjectName } from './names.js';

/** What the library has and its types do not. */
interface Untyped {
  getTBSCertificate(certificate: forge.pki.Certificate): forge.asn1.Asn1;
}

const { asn1, pki } = forge;
const { getTBSCertificate } = pki as typeof pki & Untyped;

/** What OpenSSL calls sha256WithRSAEncryption. */
const SIGNATURE = 'sha256WithRSAEncryption';
/** RFC 5280 allows 20 octets; 16 are unique for ever. */
const SERIAL_BYTES = 16;
/** GeneralName: dNSName and iPAddress. */
const DNS_NAME = 2;
const IP_ADDRESS = 7;
/** Positions in a TBSCertificate with version 3. */
const ISSUER = 3;
const SUBJECT = 5;
/** Tag of the extensions there. */
const EXTENSIONS = 3;
const SUBJECT_KEY_IDENTIFIER = '2.5.29.14';

export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

export interface AuthorityOptions extends Validity {
  readonly commonName: string;
  readonly key: KeyObject;
}

export interface CertificateOptions extends Validity {
  readonly commonName: string;
  readonly names: readonly SubjectName[];
  readonly usages: readonly Usage[];
  /** The private key whose public half is certified. */
  readonly key: KeyObject;
  readonly authority: { readonly x509: X509Certificate; readonly key: KeyObject };
}

/** A CA that signs itself, and nothing but certificates of servers and clients (RFC 5280). PEM. */
export function issueAuthority({ commonName, key, notBefore, notAfter }: AuthorityOptions): string {
  const extensions = [
    { name: 'basicConstraints', cA: true, pathLenConstraint: 0, critical: true },
    { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    { name: 'subjectKeyIdentifier' },
    { name: 'authorityKeyIdentifier', keyIdentifier: true },
  ];
  const certificate = blank(commonName, key, { notBefore, notAfter }, extensions);
  certificate.setIssuer(certificate.subject.attributes);
  certificate.setExtensions(extensions);
  return signed(certificate, key);
}

/** A certificate of a server, a client, or both at once. PEM. */
export function issueCertificate(options: CertificateOptions): string {
  const { commonName, names, usages, key, authority, notBefore, notAfter } = options;
  const authorityId = subjectKeyIdentifier(authority.x509);
  const extensions = [
    { name: 'basicConstraints', cA: false, critical: true },
    { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, critical: true },
    { name: 'extKeyUsage', serverAuth: usages.includes('server'), clientAuth: usages.includes('client') },
    { name: 'subjectKeyIdentifier' },
    ...(authorityId === undefined ? [] : [{ name: 'authorityKeyIdentifier', keyIdentifier: authorityId }]),
    ...(names.length === 0 ? [] : [{ name: 'subjectAltName', altNames: names.map(generalName) }]),
  ];
  const certificate = blank(commonName, key, { notBefore, notAfter }, extensions);
  return signed(certificate, authority.key, subjectOf(authority.x509));
}

function generalName({ type, value }: SubjectName): { type: number; value?: string; ip?: string } {
  return type === 'dns' ? { type: DNS_NAME, value } : { type: IP_ADDRESS, ip: value };
}

function blank(commonName: string, key: KeyObject, validity: Validity, extensions: object[]): forge.pki.Certificate {
  const certificate = pki.createCertificate();
  certificate.serialNumber = serialNumber();
  certificate.publicKey = pki.publicKeyFromPem(createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString());
  certificate.validity = { notBefore: validity.notBefore, notAfter: validity.notAfter };
  // The types speak of classes where the library takes a type of ASN.1.
  const utf8 = asn1.Type.UTF8 as unknown as forge.asn1.Class;
  certificate.setSubject([{ name: 'commonName', value: commonName, valueTagClass: utf8 }]);
  certificate.setExtensions(extensions);
  return certificate;
}

/** Random, positive, and of the same length each time: the highest bit is off and the next one on. */
function serialNumber(): string {
  const bytes = randomBytes(SERIAL_BYTES);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

function signed(certificate: forge.pki.Certificate, key: KeyObject, issuer?: forge.asn1.Asn1): string {
  const algorithm = pki.oids[SIGNATURE] as string;
  certificate.siginfo.algorithmOid = algorithm;
  certificate.signatureOid = algorithm;
  const body = getTBSCertificate(certificate);
  // The very bytes of the CA's own name, whatever kinds of strings it is made of.
  if (issuer !== undefined) (body.value as forge.asn1.Asn1[])[ISSUER] = issuer;
  certificate.tbsCertificate = body;
  const bytes = Buffer.from(asn1.toDer(body).getBytes(), 'latin1');
  certificate.signature = sign('sha256', bytes, key).toString('latin1');
  const der = Buffer.from(asn1.toDer(pki.certificateToAsn1(certificate)).getBytes(), 'latin1');
  return new X509Certificate(der).toString();
}

function bodyOf(certificate: X509Certificate): forge.asn1.Asn1[] {
  const whole = asn1.fromDer(certificate.raw.toString('latin1'));
  return (whole.value as forge.asn1.Asn1[])[0]?.value as forge.asn1.Asn1[];
}

function subjectOf(certificate: X509Certificate): forge.asn1.Asn1 {
  return bodyOf(certificate)[SUBJECT] as forge.asn1.Asn1;
}

/** The CA's own key identifier, by which a certificate names the key that signed it; undefined when the CA has none. */
function subjectKeyIdentifier(certificate: X509Certificate): string | undefined {
  const wrapped = bodyOf(certificate).find(
    ({ tagClass, type }) => tagClass === asn1.Class.CONTEXT_SPECIFIC && (type as number) === EXTENSIONS,
  );
  const extensions = (wrapped?.value as forge.asn1.Asn1[] | undefined)?.[0]?.value as forge.asn1.Asn1[] | undefined;
  for (const { value } of extensions ?? []) {
    const fields = value as forge.asn1.Asn1[];
    const octets = fields.at(-1)?.value;
    const id = fields[0]?.value;
    if (typeof id !== 'string' || asn1.derToOid(id) !== SUBJECT_KEY_IDENTIFIER || typeof octets !== 'string') continue;
    const identifier = asn1.fromDer(octets).value;
    return typeof identifier === 'string' ? identifier : undefined;
  }
  return undefined;
}
