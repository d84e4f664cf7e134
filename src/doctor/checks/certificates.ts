/** Certificates: those that nodes show, and the folder of forge.yaml. */
import { isIP } from 'node:net';
import path from 'node:path';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { formatAddress } from '../../cluster/address.js';
import { settleBounded } from '../../cluster/bounded.js';
import { folderOf } from '../../config/resolve.js';
import { ForgeError } from '../../errors.js';
import { judgeCertificate, type ShownCertificate } from '../certificate.js';
import { type DoctorContext, type KnownNode, NODE_STEP_MS, PARALLEL_MAX } from '../context.js';
import { type DoctorFinding, fromError, fromReasons, pass } from '../finding.js';

const WARN_DAYS = 30;
const FAIL_DAYS = 7;

/** What the node shows in a handshake, trusted or not; undefined when there is none. */
async function shownBy(node: KnownNode, tls: ConnectionOptions): Promise<ShownCertificate | undefined> {
  return new Promise((resolve) => {
    const socket = connectTls({
      ...tls,
      host: node.host,
      port: node.port,
      ...(tls.servername === undefined && isIP(node.host) === 0 ? { servername: node.host } : {}),
      // What is not trusted is looked at all the same, and told. No password is sent here.
      rejectUnauthorized: false,
    });
    const finish = (shown?: ShownCertificate) => {
      socket.destroy();
      resolve(shown);
    };
    socket.setTimeout(NODE_STEP_MS, () => finish());
    socket.once('error', () => finish());
    socket.once('secureConnect', () => {
      const { valid_to: validTo } = socket.getPeerCertificate();
      const refusal = socket.authorizationError;
      const why =
        refusal instanceof Error ? ((refusal as NodeJS.ErrnoException).code ?? refusal.message) : String(refusal);
      finish({ validTo: validTo ?? 'unknown', ...(socket.authorized ? {} : { refusal: why }) });
    });
  });
}

async function checkFolder({ settings }: DoctorContext): Promise<DoctorFinding[]> {
  const tls = settings?.cluster?.redis?.tls;
  if (settings === undefined || tls === undefined || tls === false) return [];
  const directory = path.resolve(folderOf(settings), tls.directory);
  try {
    const { checkCertificates } = await import('../../certs/check.js');
    const { certificates, findings } = await checkCertificates(directory, {
      warnDays: WARN_DAYS,
      failDays: FAIL_DAYS,
      nodes: [],
    });
    const reasons = [...certificates, ...findings].flatMap((finding) => finding.reasons);
    const next = `forge gen-certs ${tls.directory} --check tells more; --renew renews.`;
    return fromReasons('certificates', tls.directory, reasons, { text: `${certificates.length} certificates`, next });
  } catch (error) {
    if (!(error instanceof ForgeError)) throw error;
    return [fromError('certificates', tls.directory, error)];
  }
}

/** Nodes that do not answer at all are told of elsewhere. */
export async function checkCertificatesOf(
  context: DoctorContext,
  nodes: Promise<readonly KnownNode[]>,
): Promise<DoctorFinding[]> {
  const folder = checkFolder(context);
  const tls = context.connect?.tls;
  if (tls === undefined) return folder;
  const settled = await settleBounded(await nodes, PARALLEL_MAX, async (node) => {
    const shown = await shownBy(node, tls);
    return shown === undefined ? [] : judgeCertificate(formatAddress(node), shown, Date.now());
  });
  const found = settled.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
  const passing = found.filter(({ verdict }) => verdict === 'PASS');
  const rest = found.filter(({ verdict }) => verdict !== 'PASS');
  const all = passing.length > 1 ? [pass('certificates', 'nodes', `${passing.length} certificates hold`)] : passing;
  return [...all, ...rest, ...(await folder)];
}
