/** Files and kernel values of a host, by its shell: each done whole or not at all. */
import { ForgeError } from '../../errors.js';
import type { HostShell, ShellRun } from '../shell.js';

const TAKEN = 46;
/** Longer than any file that is written here; one that is longer was not made for this. */
const FILE_LENGTH_MAX = 256 * 1024;
/** A run of `forge host tune` takes seconds: a lock that is older was left by one that was killed. */
const LOCK_MINUTES = 2;
const SHOWN_MAX = 300;

export type Found =
  | { readonly kind: 'none' }
  | { readonly kind: 'file'; readonly text: string }
  | { readonly kind: 'link'; readonly to: string };

export class HostFiles {
  readonly shell: HostShell;
  /** Before every path of a file, for a system that does not run; empty for the running one. */
  readonly root: string;
  readonly #signal: AbortSignal | undefined;

  constructor(shell: HostShell, root = '', signal?: AbortSignal) {
    this.shell = shell;
    this.root = root.replace(/\/+$/, '');
    this.#signal = signal;
  }

  /** @throws ForgeError `configuration` when the other root is no folder */
  async requireRoot(): Promise<void> {
    const { code } = await this.#run('[ -d "$1" ]', [this.root]);
    if (code === 0) return;
    const { name } = this.shell.target;
    throw new ForgeError('configuration', `${this.root} is no folder of ${name}.`, {
      host: name,
      next: 'Mount the image first; --root takes the folder that its / is.',
    });
  }

  async read(path: string): Promise<Found> {
    return (await this.readAll([path])).get(path) ?? { kind: 'none' };
  }

  /** Several files in one run: over SSH, each run is a connection. */
  async readAll(paths: readonly string[]): Promise<Map<string, Found>> {
    const script =
      'for f; do if [ -L "$f" ]; then t=$(readlink -- "$f"); printf "link %s\\n%s\\n" "$(printf %s "$t" | wc -c)" "$t"; elif [ -e "$f" ]; then printf "file %s\\n" "$(wc -c <"$f")" && cat -- "$f" && echo || exit 1; else echo none; fi; done';
    const run = await this.#run(
      script,
      paths.map((path) => this.root + path),
    );
    this.#require(run, `${paths.join(' or ')} cannot be read`);
    const found = parseFound(Buffer.from(run.stdout), paths.length);
    if (found === undefined) throw this.#failure(`${paths.join(' and ')} cannot be understood`, 'Look at them.');
    const all = new Map(paths.map((path, index): [string, Found] => [path, found[index] ?? { kind: 'none' }]));
    for (const [path, each] of all) {
      if (each.kind !== 'file' || each.text.length <= FILE_LENGTH_MAX) continue;
      throw this.#failure(
        `${path} is longer than ${FILE_LENGTH_MAX} characters`,
        'Look at it: it was not made by forge.',
      );
    }
    return all;
  }

  /** The new content or the old one, whenever somebody looks. */
  async write(path: string, content: string, mode: '644' | '600' = '644'): Promise<void> {
    const script =
      'umask 022; mkdir -p -- "$(dirname "$1")" && umask 077 && cat > "$1.forge-new" && chmod "$2" "$1.forge-new" && { sync "$1.forge-new" 2>/dev/null || sync; } && mv -f -- "$1.forge-new" "$1" || { rm -f -- "$1.forge-new"; exit 1; }';
    this.#require(await this.#run(script, [this.root + path, mode], content), `${path} cannot be written`);
  }

  async remove(path: string): Promise<void> {
    this.#require(await this.#run('rm -f -- "$1"', [this.root + path]), `${path} cannot be removed`);
  }

  /** Folders above these files that are not there yet. */
  async missingFolders(paths: readonly string[]): Promise<string[]> {
    const script =
      'for f; do d=$(dirname -- "$f"); while [ ! -d "$d" ]; do printf "%s\\n" "$d"; d=$(dirname -- "$d"); done; done';
    const run = await this.#run(
      script,
      paths.map((path) => this.root + path),
    );
    this.#require(run, 'its folders cannot be looked at');
    const found = run.stdout.split('\n').filter((line) => line.startsWith(`${this.root}/`));
    return [...new Set(found.map((line) => line.slice(this.root.length)))];
  }

  /** Takes folders away that are empty, the deepest first; the others stay. */
  async removeFolders(folders: readonly string[]): Promise<void> {
    const deepest = [...folders].sort((left, right) => right.length - left.length);
    await this.#run(
      'for d; do rmdir -- "$d" 2>/dev/null; done; :',
      deepest.map((each) => this.root + each),
    );
  }

  async link(path: string, to: string): Promise<void> {
    const run = await this.#run('mkdir -p -- "$(dirname "$1")" && ln -s -- "$2" "$1"', [this.root + path, to]);
    this.#require(run, `${path} cannot be made`);
  }

  /** Values of the running kernel by path; those that are not there are left out. */
  async live(paths: readonly string[]): Promise<Map<string, string>> {
    const run = await this.#run(
      'for f; do if [ -e "$f" ]; then printf "= %s\\n" "$(cat -- "$f")"; else echo -; fi; done',
      paths,
    );
    this.#require(run, 'the values of the kernel cannot be read');
    const lines = run.stdout.split('\n');
    return new Map(
      paths.flatMap((path, index) => {
        const line = lines[index] ?? '-';
        return line.startsWith('=') ? [[path, normalise(line.slice(2))] as const] : [];
      }),
    );
  }

  /** Sets a value of the running kernel, and looks whether the kernel took it. */
  async setLive(path: string, value: string): Promise<void> {
    const run = await this.#run('printf "%s\\n" "$2" > "$1" && cat -- "$1"', [path, value]);
    this.#require(run, `${path} cannot be set to ${value}`);
    const now = normalise(run.stdout);
    if (now !== value) {
      throw this.#failure(
        `${path} was set to ${value}, and the kernel has ${now}`,
        'Look at it, and at the log of the kernel: dmesg',
      );
    }
  }

  /** Has systemd read its files again; nothing where it does not run. */
  async reloadServices(): Promise<void> {
    const run = await this.#run('[ ! -d /run/systemd/system ] || systemctl daemon-reload', []);
    this.#require(run, 'systemd does not read its files again');
  }

  /** @throws ForgeError `locked` when somebody else tunes the host at this moment */
  async locked<Result>(folder: string, work: () => Promise<Result>): Promise<Result> {
    const lock = `${this.root}${folder}`;
    const script = `umask 022; mkdir -p -- "$(dirname "$1")" || exit 1; mkdir -- "$1" 2>/dev/null && exit 0; [ -d "$1" ] || exit 1; [ -n "$(find "$1" -maxdepth 0 -mmin +${LOCK_MINUTES})" ] || exit ${TAKEN}; rmdir -- "$1" && mkdir -- "$1"`;
    const run = await this.#run(script, [lock]);
    if (run.code === TAKEN) {
      const { name } = this.shell.target;
      throw new ForgeError('locked', `Somebody else tunes ${name} at this moment.`, {
        host: name,
        next: `Try again in a moment; a lock that was left behind counts no more after ${LOCK_MINUTES} minutes (${lock}).`,
      });
    }
    this.#require(run, `${lock} cannot be made`);
    try {
      return await work();
    } finally {
      // Also when the work was interrupted.
      await this.shell
        .run('rmdir -- "$1" && { rmdir -- "$(dirname "$1")" 2>/dev/null || :; }', [lock])
        .catch(() => undefined);
    }
  }

  #run(script: string, args: readonly string[], input?: string): Promise<ShellRun> {
    return this.shell.run(script, args, { ...(input === undefined ? {} : { input }), signal: this.#signal });
  }

  #require({ code, stderr }: ShellRun, what: string): void {
    if (code === 0) return;
    const said = stderr.trim().split('\n').at(-1)?.slice(0, SHOWN_MAX) || `exit code ${code}`;
    throw this.#failure(`${what} (${said})`);
  }

  #failure(what: string, next?: string): ForgeError {
    const { name } = this.shell.target;
    return new ForgeError('refused', `${name}: ${what}.`, { host: name, next });
  }
}

/** `always [madvise] never` is `madvise`; blanks between numbers are one. */
function normalise(text: string): string {
  return (/\[([^\]]+)\]/.exec(text)?.[1] ?? text).trim().replace(/\s+/g, ' ');
}

/** `none`, or `file BYTES` and `link BYTES` with so many bytes after it; undefined for what is none of it. */
export function parseFound(output: Buffer, count: number): Found[] | undefined {
  const found: Found[] = [];
  let at = 0;
  while (found.length < count) {
    const end = output.indexOf('\n', at);
    if (end < 0) return undefined;
    const [, kind, size] = /^(none|file|link)(?: +([0-9]+))?$/.exec(output.toString('utf8', at, end).trimEnd()) ?? [];
    if (kind === undefined || (kind !== 'none' && size === undefined)) return undefined;
    at = end + 1;
    if (kind === 'none') {
      found.push({ kind });
      continue;
    }
    const text = output.toString('utf8', at, at + Number(size));
    // A line end follows, so that the last one is told from one that was cut off.
    at += Number(size);
    if (output[at] !== 0x0a) return undefined;
    at += 1;
    found.push(kind === 'file' ? { kind, text } : { kind: 'link', to: text });
  }
  return found;
}
