/** `forge gen-certs DIR --check`: reads a folder and judges it. Writes nothing. */
import { ForgeError } from '../errors.js';
import { readDirectory } from './directory.js';
import { type CertificateReport, type JudgeOptions, judgeDirectory } from './judge.js';

/** @throws ForgeError `configuration` for a folder that is not there or is none, `denied` for one that may not be read */
export async function checkCertificates(
  directory: string,
  options: Omit<JudgeOptions, 'now'> & { readonly now?: number },
): Promise<CertificateReport> {
  const stored = await readDirectory(directory);
  if (!stored.exists) {
    throw new ForgeError('configuration', `${directory} does not exist.`, {
      next: `To make certificates there: forge gen-certs ${directory}`,
    });
  }
  return judgeDirectory(stored, { ...options, now: options.now ?? Date.now() });
}
