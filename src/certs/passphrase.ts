/** The passphrase of the CA's key: from a file or from the environment, never from the command line. */
import { readFile } from 'node:fs/promises';
import { ForgeError } from '../errors.js';

export const PASSPHRASE_VARIABLE = 'FORGE_CA_PASSPHRASE';
/** OpenSSL reads at most 1,024 bytes. */
const LENGTH_MAX = 1_024;
const LENGTH_MIN = 8;

/**
 * The passphrase, when there is one.
 * @param file `--ca-passphrase-file`; without it the variable, when it is set
 * @throws ForgeError `configuration` for a file that cannot be read, and for a passphrase that is too short or too long
 */
export async function readPassphrase(
  file: string | undefined,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<string | undefined> {
  const text = file === undefined ? environment[PASSPHRASE_VARIABLE] || undefined : await readText(file);
  if (text === undefined) return undefined;
  const passphrase = text.replace(/\r?\n$/, '');
  if (passphrase.length >= LENGTH_MIN && Buffer.byteLength(passphrase) <= LENGTH_MAX) return passphrase;
  throw new ForgeError('configuration', `The passphrase of the CA in ${file ?? PASSPHRASE_VARIABLE} is not usable.`, {
    next: `It has at least ${LENGTH_MIN} characters and at most ${LENGTH_MAX} bytes.`,
  });
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new ForgeError('configuration', `The passphrase file ${file} cannot be read.`, {
      next: 'Check its path and its permissions.',
      cause,
    });
  }
}
