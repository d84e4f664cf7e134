/** A folder of logs on another host, or as root, by templates/rotate-logs.sh. */
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { ForgeError } from '../errors.js';
import { HostSession, type SessionOptions } from '../host/session.js';
import type { HostTarget } from '../host/target.js';
import { readTemplate } from '../runtime/template.js';
import { partOf } from './families.js';
import type { FileFacts, LogFiles } from './log-files.js';
import { type FileWriter, writerOfFlags } from './writers.js';

const SCRIPT = 'rotate-logs.sh';
/** Copying and compressing a log of some hundred gibibytes. */
const LONG_MS = 6 * 3_600_000;
const NO_RIGHT = 13;
const LOCKED = 45;
const SHOWN_MAX = 300;
const REGULAR = new Set(['regular file', 'regular empty file']);

type Listing = ReadonlyMap<string, FileFacts & { readonly links: number }>;

export class RemoteFolder implements LogFiles {
  readonly directory: string;
  readonly #session: HostSession;
  /** As it was listed last, as long as nothing was changed since. */
  #listed: Listing | undefined;

  constructor(session: HostSession, directory: string) {
    this.#session = session;
    this.directory = directory;
  }

  /** A shell with what is needed here; for several folders one after another. Close it. */
  static async session(target: HostTarget, options: SessionOptions): Promise<HostSession> {
    return await HostSession.open(target, await readTemplate(SCRIPT), options);
  }

  /** @throws ForgeError `usage` when there is no such folder, `denied` when it cannot be entered */
  async enter(): Promise<void> {
    const { code } = await this.#session.call(['enter', this.directory]);
    if (code === 0) return;
    const { name } = this.#session.target;
    if (code === NO_RIGHT) throw this.#denied();
    throw new ForgeError('usage', `There is no folder ${this.directory} on ${name}.`, {
      host: name,
      next: 'Name the folder in which the logs are.',
    });
  }

  async names(): Promise<string[]> {
    this.#listed = undefined;
    return [...(await this.#files())].flatMap(([name, { links }]) => (links === 1 ? [name] : [])).sort();
  }

  async facts(name: string): Promise<FileFacts | undefined> {
    const found = (await this.#files()).get(name);
    if (found === undefined) return undefined;
    const { bytes, modifiedMs, bornMs } = found;
    return { bytes, modifiedMs, bornMs };
  }

  async remove(name: string): Promise<void> {
    await this.#do('remove_file', this.#safe(name));
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#do('rename_file', this.#safe(from), this.#safe(to));
  }

  async makeLike(name: string, like: string): Promise<void> {
    await this.#do('make_like', this.#safe(name), this.#safe(like));
  }

  async copyAndEmpty(base: string, to: string): Promise<void> {
    await this.#do('copy_and_empty', this.#safe(base), this.#safe(partOf(to)));
    await this.rename(partOf(to), to);
  }

  async compress(from: string, to: string): Promise<void> {
    await this.#do('compress_file', this.#safe(from), this.#safe(partOf(to)));
    await this.rename(partOf(to), to);
    await this.remove(from);
  }

  async holdsSame(compressed: string, plain: string): Promise<boolean> {
    const words = ['holds_same', this.#safe(compressed), this.#safe(plain)];
    return (await this.#session.call(words, { timeoutMs: LONG_MS })).code === 0;
  }

  async beginsWith(name: string, prefix: string): Promise<boolean> {
    const words = ['begins_with', this.#safe(name), this.#safe(prefix)];
    return (await this.#session.call(words, { timeoutMs: LONG_MS })).code === 0;
  }

  async writers(name: string): Promise<readonly FileWriter[]> {
    const { stdout } = await this.#session.call(['list_writers', this.#safe(name)]);
    return stdout.split('\n').flatMap((line) => {
      const [pid = '', flags = '', program = ''] = line.split('|');
      if (!/^[1-9][0-9]{0,9}$/.test(pid)) return [];
      return writerOfFlags(Number(pid), flags, path.posix.basename(program)) ?? [];
    });
  }

  async reopen(pid: number): Promise<void> {
    await this.#session.call(['reopen_log', String(pid)]);
  }

  async locked<Result>(work: () => Promise<Result>): Promise<Result> {
    const { code, stdout } = await this.#session.call(['lock_logs', randomBytes(8).toString('hex')]);
    if (code === LOCKED) {
      const { name } = this.#session.target;
      const holder = stdout.trim();
      const who = holder === '' ? 'Another run' : `forge rotate-logs (process ${holder})`;
      throw new ForgeError('locked', `${who} is at work on ${this.directory} of ${name}.`, {
        host: name,
        next: 'Wait until it is done, and run this again.',
      });
    }
    if (code !== 0) throw this.#denied();
    try {
      return await work();
    } finally {
      // A shell that is gone has given it back by itself.
      await this.#session.call(['unlock_logs']).catch(() => undefined);
    }
  }

  async #files(): Promise<Listing> {
    this.#listed ??= parseFiles((await this.#session.call(['list_files'])).stdout);
    return this.#listed;
  }

  async #do(...words: string[]): Promise<void> {
    this.#listed = undefined;
    const { code, stderr } = await this.#session.call(words, { timeoutMs: LONG_MS });
    if (code === 0) return;
    throw new Error(stderr.trim().slice(0, SHOWN_MAX) || `${words[0]} failed`);
  }

  /** No option, and no path. */
  #safe(name: string): string {
    if (name.startsWith('-') || name.includes('/') || name === '') throw new Error(`${name} is no name of a log`);
    return name;
  }

  #denied(): ForgeError {
    const { name } = this.#session.target;
    return new ForgeError('denied', `${this.directory} of ${name} cannot be written to.`, {
      host: name,
      next: 'Log in there as the user whose logs these are, or take --sudo.',
    });
  }
}

/** What `list_files` prints. Names with an end of line in them are no logs. Exported for tests. */
export function parseFiles(text: string): Listing {
  const files = new Map<string, FileFacts & { readonly links: number }>();
  const seen = new Set<string>();
  for (const line of text.split('\n')) {
    const [kind = '', links, bytes, modified, born, changed, ...rest] = line.split('|');
    const name = rest.join('|');
    if (name === '' || seen.has(name)) {
      // A line that another name has made: neither is trusted.
      files.delete(name);
      continue;
    }
    seen.add(name);
    if (!REGULAR.has(kind) || name.startsWith('-')) continue;
    const seconds = Number(born) > 0 ? Number(born) : Number(changed);
    const facts = { links: Number(links), bytes: Number(bytes), modifiedMs: Number(modified) * 1000 };
    if (Object.values(facts).every(Number.isFinite)) files.set(name, { ...facts, bornMs: seconds * 1000 });
  }
  return files;
}
