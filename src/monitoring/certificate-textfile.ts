/** Tells Prometheus, through the node exporter, until when certificates are valid. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { ForgeError } from '../errors.js';
import { writeFileAtomic } from '../runtime/files.js';
import { type Certificate, certificateTextfile, formatCertificates, TEXTFILE_MODE } from './textfile.js';

/** As the certificates of a folder are judged. */
export interface JudgedCertificate {
  /** Its file, relative to the folder: `nodes/10.0.0.1/server.crt`. */
  readonly check: string;
  /** ISO 8601; null for one that cannot be read. */
  readonly expires: string | null;
}

/** What is told of them. Pure. */
export function toldCertificates(judged: readonly JudgedCertificate[]): Certificate[] {
  return judged.flatMap(({ check, expires }) =>
    expires === null ? [] : [{ name: check.replace(/\.(?:crt|pem)$/, ''), notAfter: new Date(expires) }],
  );
}

/**
 * Writes the file whole: the exporter never reads half of one.
 * @param target the file, whose name has to end in `.prom`, or the exporter's folder: then the cluster's own file in it
 * @returns the file
 * @throws ForgeError `usage` for another name, `configuration` for a folder that cannot be written
 */
export async function writeCertificateTextfile(
  target: string,
  cluster: string,
  judged: readonly JudgedCertificate[],
): Promise<string> {
  const isFolder = (await stat(target).catch(() => undefined))?.isDirectory() === true;
  const file = isFolder ? path.join(target, certificateTextfile(cluster)) : target;
  if (!file.endsWith('.prom')) {
    throw new ForgeError('usage', `--textfile ${target} is neither a folder nor a file whose name ends in .prom.`, {
      next: 'The node exporter reads no others. Name its folder: with Debian’s package /var/lib/prometheus/node-exporter.',
    });
  }
  try {
    await writeFileAtomic(file, formatCertificates(cluster, toldCertificates(judged)), TEXTFILE_MODE);
  } catch (cause) {
    const { code = 'unknown' } = cause as NodeJS.ErrnoException;
    throw new ForgeError('configuration', `${file} cannot be written (${code}).`, {
      next: 'Make the folder, or let this user write there.',
      cause,
    });
  }
  return file;
}
