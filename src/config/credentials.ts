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

/** What is known before anything is read: the user's name, and where the password is. */
export interface CredentialChoice {
  readonly username?: { readonly value: string; readonly from: string };
  readonly password?:
    | { readonly file: string; readonly from: string }
    | { readonly variable: string; readonly from: string };
}

const FORGE_FILE = 'forge.yaml';

/**
 * Where name and password come from; empty variables count as unset. Both belong together: where forge.yaml has both, its
 * name goes with its own password only. Pure.
 */
export function chooseCredentials(sources: CredentialSources = {}): CredentialChoice {
  const { file, environment = process.env } = sources;
  const variable = PASSWORD_VARIABLES.find((name) => environment[name]);
  const place = file?.password;
  const own = place !== undefined && !sources.passwordFile && (file?.first === true || variable === undefined);
  const pair = own || place === undefined || PASSWORD_VARIABLES.includes(place.environment ?? '');
  const named = pair && file?.username ? { value: file.username, from: FORGE_FILE } : undefined;
  const given = environment['REDIS_USERNAME'];
  const inherited = given ? { value: given, from: 'REDIS_USERNAME' } : undefined;
  const username = sources.username
    ? { value: sources.username, from: '--username' }
    : own && file?.first
      ? named
      : (inherited ?? named);
  return { ...(username === undefined ? {} : { username }), ...passwordChoice(sources, own, variable) };
}

function passwordChoice(
  { passwordFile, file }: CredentialSources,
  own: boolean,
  variable: string | undefined,
): Pick<CredentialChoice, 'password'> {
  if (passwordFile) return { password: { file: passwordFile, from: '--password-file' } };
  const { environment, filename } = (own && file?.password) || {};
  if (filename !== undefined) {
    return { password: { file: path.resolve(file?.folder ?? '', filename), from: FORGE_FILE } };
  }
  if (environment !== undefined) return { password: { variable: environment, from: FORGE_FILE } };
  return variable === undefined ? {} : { password: { variable, from: variable } };
}

/**
 * Reads the credentials.
 * @throws ForgeError `configuration` for a place that holds no password, or a user name without a password
 */
export async function readCredentials(sources: CredentialSources = {}): Promise<Credentials> {
  const { username, password: place } = chooseCredentials(sources);
  if (username !== undefined && place === undefined) {
    throw new ForgeError('configuration', `There is a user name (${username.value}), but no password.`, {
      next: 'Set REDIS_REQUIREPASS, or give --password-file.',
    });
  }
  const name = username === undefined ? {} : { username: username.value };
  if (place === undefined) return name;
  if ('file' in place) return { ...name, password: await readPasswordFile(place.file) };
  const password = (sources.environment ?? process.env)[place.variable];
  if (password) return { ...name, password };
  throw new ForgeError(
    'configuration',
    `${FORGE_FILE} has the password in ${place.variable}, and that variable is not set.`,
    { next: `Set ${place.variable}, in the environment or in .env, or give --password-file.` },
  );
}

/** The one line of a password file. @throws ForgeError `configuration` when it cannot be read or holds none */
export async function readPasswordFile(file: string): Promise<string> {
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
