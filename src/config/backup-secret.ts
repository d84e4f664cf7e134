/** What backups are encrypted with: bytes of a file, of a variable, or what a command prints. */
import { spawn } from 'node:child_process';
import { open, stat } from 'node:fs/promises';
import path from 'node:path';
import { ForgeError } from '../errors.js';
import type { EncryptionFlagValues } from './backup-flags.js';
import { folderOf, type Settings } from './resolve.js';

/** As the encryption asks for. */
const SECRET_BYTES_MIN = 32;
const SECRET_BYTES_MAX = 64 * 1024;
/** A command may ask a key store over the network, or a person's token. */
export const KEY_COMMAND_TIMEOUT_MS = 60_000;
const KILL_AFTER_MS = 2_000;
const SAID_CHARACTERS_MAX = 500;
const PLACEHOLDER = /^<?CHANGE_?ME/i;
const MAKE_ONE = 'Make one: openssl rand -base64 32.';

export interface SecretOptions {
  readonly signal?: AbortSignal;
  /** Told what is not as it should be, without the key. */
  readonly onWarning?: (message: string) => void;
}

/** Where the key is. Its words are shown; the key is not known yet. */
export type SecretSource =
  | { readonly kind: 'file'; readonly file: string; readonly from: string }
  | { readonly kind: 'variable'; readonly variable: string; readonly from: string }
  | { readonly kind: 'command'; readonly words: readonly string[]; readonly from: string };

/**
 * Where the key is: flags, environment, `.env`, forge.yaml; where the cluster was named, forge.yaml before the environment.
 * Undefined for none. Pure.
 * @throws ForgeError `configuration` for a command that only a shell could read
 */
export function chooseSecret(flags: EncryptionFlagValues, settings: Settings): SecretSource | undefined {
  const file = flags['encryption-key-file'];
  const command = flags['encryption-key-command'];
  if (file !== undefined) return { kind: 'file', file: path.resolve(file), from: '--encryption-key-file' };
  if (command !== undefined) {
    const from = '--encryption-key-command';
    return { kind: 'command', words: commandWords(command, from), from };
  }
  const { environment, named } = settings;
  const own = ofForgeFile(settings);
  if (named && own !== undefined) return own;
  const [keyFile, keyCommand] = ['BACKUP_ENCRYPTION_KEY_FILE', 'BACKUP_ENCRYPTION_KEY_COMMAND'];
  if (environment[keyFile]) return { kind: 'file', file: path.resolve(environment[keyFile]), from: keyFile };
  if (environment[keyCommand]) {
    return { kind: 'command', words: commandWords(environment[keyCommand], keyCommand), from: keyCommand };
  }
  return own;
}

function ofForgeFile(settings: Settings): SecretSource | undefined {
  const { environment, filename, command } = settings.cluster?.backup?.encryption_key ?? {};
  const from = 'forge.yaml';
  if (filename !== undefined) return { kind: 'file', file: path.resolve(folderOf(settings), filename), from };
  if (environment !== undefined) return { kind: 'variable', variable: environment, from };
  return command === undefined ? undefined : { kind: 'command', words: command, from };
}

/**
 * The words of a command: separated by blanks, kept together by quotes, `\` before a character that is meant itself.
 * @throws ForgeError `configuration` for what only a shell gives a meaning
 */
export function commandWords(text: string, from: string): string[] {
  const words: string[] = [];
  let rest = text.trim();
  let current: string | undefined;
  while (rest !== '') {
    const part = /^(?:'([^']*)'|"((?:[^"\\$`]|\\.)*)"|\\(.)|([^\s'"\\$`|&;<>()*?[\]{}~#!]+)|(\s+))/su.exec(rest);
    if (part === null) {
      throw new ForgeError('configuration', `${from}: the command has signs that are a shell's.`, {
        next: "Put them into quotes; to use a shell, write sh -c '…'.",
      });
    }
    const [all, single, double, escaped, plain, blank] = part;
    if (blank === undefined)
      current = (current ?? '') + (single ?? double?.replace(/\\(.)/gsu, '$1') ?? escaped ?? plain);
    else if (current !== undefined) {
      words.push(current);
      current = undefined;
    }
    rest = rest.slice(all.length);
  }
  if (current !== undefined) words.push(current);
  if (words[0]) return words;
  throw new ForgeError('configuration', `${from}: there is no command.`, {
    next: 'Name the program that prints the key.',
  });
}

/**
 * What backups are encrypted with; undefined for none. The key is the bytes as they are, of any kind, without a line end
 * at their end.
 * @param flags those of the command line, or `--encryption-key-file` alone
 * @throws ForgeError `configuration` for a place that holds no key, or one that is too short; `missing` and `timeout` for
 *   a command that is not there or does not end
 */
export async function backupSecret(
  flags: EncryptionFlagValues | string | undefined,
  settings: Settings,
  options: SecretOptions = {},
): Promise<Buffer | undefined> {
  const source = chooseSecret(typeof flags === 'string' ? { 'encryption-key-file': flags } : (flags ?? {}), settings);
  if (source === undefined) return undefined;
  const { place, bytes } = await readSource(source, settings, options);
  return checked(withoutLineEnd(bytes), place);
}

async function readSource(source: SecretSource, settings: Settings, options: SecretOptions) {
  const { environment } = settings;
  if (source.kind === 'file') {
    return { place: `The key file ${source.file}`, bytes: await readKeyFile(source.file, options) };
  }
  if (source.kind === 'variable') {
    const value = environment[source.variable];
    if (!value) {
      throw new ForgeError(
        'configuration',
        `forge.yaml has the encryption key in ${source.variable}, which is not set.`,
        {
          next: `Set ${source.variable}, in the environment or in .env.`,
        },
      );
    }
    return { place: `The key in ${source.variable}`, bytes: Buffer.from(value, 'utf8') };
  }
  await refuseAnybodysCommand(source.from, settings);
  return { place: `The key that ${source.words[0]} prints`, bytes: await printed(source, environment, options.signal) };
}

/** A command from a file that anybody may write to would be anybody's command, run by this user. */
async function refuseAnybodysCommand(from: string, { forgeFile, envFile, environment }: Settings): Promise<void> {
  const inEnvFile = envFile !== undefined && envFile.content.values.get(from) === environment[from];
  const file = from === 'forge.yaml' ? forgeFile?.path : inEnvFile ? envFile.path : undefined;
  if (file === undefined) return;
  const found = await stat(file).catch(() => undefined);
  if (found === undefined || !found.isFile() || (found.mode & 0o002) === 0) return;
  throw new ForgeError('configuration', `${file} names a command that prints the key, and anybody may write to it.`, {
    next: `Look at it; then chmod o-w ${file}`,
  });
}

/** An editor's or echo's line end is no part of a key; but a key of 32 random bytes may end in one. */
function withoutLineEnd(bytes: Buffer): Buffer {
  const end = bytes.at(-1) === 0x0a ? (bytes.at(-2) === 0x0d ? 2 : 1) : 0;
  return bytes.length - end >= SECRET_BYTES_MIN ? bytes.subarray(0, bytes.length - end) : bytes;
}

function checked(secret: Buffer, place: string): Buffer {
  const wrong = (why: string) => new ForgeError('configuration', `${place} ${why}.`, { next: MAKE_ONE });
  if (secret.length < SECRET_BYTES_MIN) {
    throw wrong(`has ${secret.length} bytes; at least ${SECRET_BYTES_MIN} are needed`);
  }
  if (secret.length > SECRET_BYTES_MAX) throw wrong(`has more than ${SECRET_BYTES_MAX} bytes`);
  if (PLACEHOLDER.test(secret.toString('latin1', 0, 16))) throw wrong("still holds the example's text");
  return secret;
}

async function readKeyFile(file: string, { onWarning }: SecretOptions): Promise<Buffer> {
  try {
    const handle = await open(file, 'r');
    try {
      const { mode, size } = await handle.stat();
      if ((mode & 0o077) !== 0) onWarning?.(`Others may read the key file ${file}; chmod 600 ${file}`);
      if (size > SECRET_BYTES_MAX) return Buffer.alloc(SECRET_BYTES_MAX + 1);
      // A pipe (<(pass show key)) has no size: it is read as far as a key may reach.
      const buffer = Buffer.alloc(SECRET_BYTES_MAX + 1);
      let length = 0;
      while (length < buffer.length) {
        const { bytesRead } = await handle.read(buffer, length, buffer.length - length, null);
        if (bytesRead === 0) break;
        length += bytesRead;
      }
      return buffer.subarray(0, length);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new ForgeError('configuration', `The key file ${file} ${missing ? 'does not exist' : 'cannot be read'}.`, {
      next: 'Check its path and its permissions.',
      cause,
    });
  }
}

/** Runs the command without a shell; what it writes to standard error is shown when it fails. */
function printed(
  { words, from }: SecretSource & { kind: 'command' },
  environment: NodeJS.ProcessEnv,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  const [program = '', ...args] = words;
  const fail = (kind: 'configuration' | 'missing' | 'timeout', why: string, cause?: unknown) =>
    new ForgeError(kind, `The command of the encryption key (${from}: ${program}) ${why}.`, {
      next: 'Run it by hand, as this user.',
      cause,
    });
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    // A group of its own: what it has started ends with it.
    const child = spawn(program, args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const kill = (name: 'SIGTERM' | 'SIGKILL') => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, name);
      } catch {
        // Gone already.
      }
    };
    const pieces: Buffer[] = [];
    let bytes = 0;
    let said = '';
    let failure: unknown;
    const end = (why: unknown) => {
      failure ??= why;
      kill('SIGTERM');
      late ??= setTimeout(() => {
        kill('SIGKILL');
        // One that has left the group may hold the pipes open.
        child.stdout.destroy();
        child.stderr.destroy();
      }, KILL_AFTER_MS);
    };
    let late: NodeJS.Timeout | undefined;
    const stop = () => end(signal?.reason);
    signal?.addEventListener('abort', stop, { once: true });
    const timer = setTimeout(
      () => end(fail('timeout', `has not ended after ${KEY_COMMAND_TIMEOUT_MS / 1000} s`)),
      KEY_COMMAND_TIMEOUT_MS,
    );
    child.stdout.on('data', (piece: Buffer) => {
      bytes += piece.length;
      if (bytes <= SECRET_BYTES_MAX + 2) pieces.push(piece);
      else end(fail('configuration', 'prints more than a key'));
    });
    child.stderr.setEncoding('utf8').on('data', (piece: string) => {
      said = (said + piece).slice(-SAID_CHARACTERS_MAX);
    });
    const settle = (outcome: () => void) => {
      clearTimeout(timer);
      clearTimeout(late);
      signal?.removeEventListener('abort', stop);
      outcome();
    };
    child.once('error', (cause) => {
      const { code } = cause as NodeJS.ErrnoException;
      const absent = code === 'ENOENT' || code === 'EACCES';
      settle(() => reject(fail(absent ? 'missing' : 'configuration', 'cannot be started', cause)));
    });
    child.once('close', (code, killed) => {
      settle(() => {
        if (failure !== undefined) return reject(failure);
        if (code === 0) return resolve(Buffer.concat(pieces));
        const how = code === null ? `was ended by ${killed}` : `has failed with exit code ${code}`;
        reject(fail('configuration', `${how}${said.trim() === '' ? '' : `: ${said.trim()}`}`));
      });
    });
  });
}
