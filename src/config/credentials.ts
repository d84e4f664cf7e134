/** Who a command logs in as. A password comes from a file or from the environment, never from the command line. */
import { readFile } from 'node:fs/promises';
import { ForgeError } from '../errors.js';

export interface Credentials {
  username?: string;
  password?: string;
}

export interface CredentialSources {
  /** `--username`; else REDIS_USERNAME. */
  username?: string;
  /** `--password-file`; else REDIS_REQUIREPASS, else REDISCLI_AUTH (what redis-cli reads). */
  passwordFile?: string;
  environment?: NodeJS.ProcessEnv;
}

/** A password file is one line; a larger file is another file. */
const FILE_LENGTH_MAX = 64 * 1024;

/**
 * Reads the credentials; empty variables count as unset.
 * @throws ForgeError `configuration` for a file that cannot be read or is empty, or a user name without a password
 */
export async function readCredentials(sources: CredentialSources = {}): Promise<Credentials> {
  const environment = sources.environment ?? process.env;
  const username = sources.username || environment['REDIS_USERNAME'] || undefined;
  const password = sources.passwordFile
    ? await readPasswordFile(sources.passwordFile)
    : environment['REDIS_REQUIREPASS'] || environment['REDISCLI_AUTH'] || undefined;
  if (username !== undefined && password === undefined) {
    throw new ForgeError('configuration', `There is a user name (${username}), but no password.`, {
      next: 'Set REDIS_REQUIREPASS, or give --password-file.',
    });
  }
  return { ...(username === undefined ? {} : { username }), ...(password === undefined ? {} : { password }) };
}

async function readPasswordFile(file: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new ForgeError('configuration', `The password file ${file} cannot be read.`, {
      next: 'Check its path and its permissions.',
      cause,
    });
  }
  // An editor's or echo's line end is not part of the password.
  const password = text.replace(/\r?\n$/, '');
  if (password === '' || password.length > FILE_LENGTH_MAX) {
    throw new ForgeError('configuration', `The password file ${file} holds no password.`, {
      next: 'It must hold the password and nothing else.',
    });
  }
  return password;
}
