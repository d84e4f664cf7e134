/** Who a command logs in as. A password comes from a file or from the environment, never from the command line. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { ForgeError } from '../errors.js';

export interface Credentials {
  username?: string;
  password?: string;
}

/** What forge.yaml says of them: the name, and the place of the password. */
export interface FileCredentials {
  readonly username?: string;
  readonly password?: { readonly environment?: string; readonly filename?: string };
  /** Names of files are relative to it. */
  readonly folder: string;
  /** Goes before the environment: the cluster was chosen by its name. */
  readonly first?: boolean;
}

export interface CredentialSources {
  /** `--username`; else REDIS_USERNAME. */
  username?: string;
  /** `--password-file`; else REDIS_REQUIREPASS, else REDISCLI_AUTH (what redis-cli reads). */
  passwordFile?: string;
  environment?: NodeJS.ProcessEnv;
  /** Used where neither a flag nor the environment has a password. */
  file?: FileCredentials;
}

const PASSWORD_VARIABLES = ['REDIS_REQUIREPASS', 'REDISCLI_AUTH'];

/** A password file is one line; a larger file is another file. */
const FILE_LENGTH_MAX = 64 * 1024;

/**
 * Reads the credentials; empty variables count as unset. Name and password belong together: where forge.yaml has both, its
 * name goes with its own password only.
 * @throws ForgeError `configuration` for a place that holds no password, or a user name without a password
 */
export async function readCredentials(sources: CredentialSources = {}): Promise<Credentials> {
  const { file, environment = process.env } = sources;
  const given = PASSWORD_VARIABLES.map((name) => environment[name]).find(Boolean);
  const fromFile =
    file?.password !== undefined && !sources.passwordFile && (file.first === true || given === undefined);
  const variable = file?.password?.environment;
  const pair = fromFile || file?.password === undefined || PASSWORD_VARIABLES.includes(variable ?? '');
  const named = file !== undefined && pair ? file.username : undefined;
  const inherited = environment['REDIS_USERNAME'] || undefined;
  const username = sources.username || (fromFile && file.first ? named : (inherited ?? named)) || undefined;
  const password = sources.passwordFile
    ? await readPasswordFile(sources.passwordFile)
    : fromFile
      ? await readPlace(file, environment)
      : given;
  if (username !== undefined && password === undefined) {
    throw new ForgeError('configuration', `There is a user name (${username}), but no password.`, {
      next: 'Set REDIS_REQUIREPASS, or give --password-file.',
    });
  }
  return { ...(username === undefined ? {} : { username }), ...(password === undefined ? {} : { password }) };
}

async function readPlace({ password, folder }: FileCredentials, environment: NodeJS.ProcessEnv): Promise<string> {
  if (password?.filename !== undefined) return readPasswordFile(path.resolve(folder, password.filename));
  const name = password?.environment ?? '';
  const value = environment[name];
  if (value) return value;
  throw new ForgeError('configuration', `forge.yaml has the password in ${name}, and that variable is not set.`, {
    next: `Set ${name}, in the environment or in .env, or give --password-file.`,
  });
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
