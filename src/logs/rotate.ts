/** Rotates the logs of one folder. */
import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { ForgeError } from '../errors.js';
import { familiesOf, type LogFamily, nameMatcher } from './families.js';
import { LogFolder } from './files.js';
import type { LogFiles } from './log-files.js';
import { describeStep, dueFor, planRecovery, planRotation, type RotationLimits, type RotationStep } from './plan.js';
import type { FileWriter } from './writers.js';

/** How long a proxy may take to open its log anew. */
const REOPEN_MS = 5_000;
const REOPEN_LOOK_MS = 50;
/** Opens its log anew when it gets SIGUSR1 (docs/logging.md). */
const REOPENING = 'forge-proxy';

export interface RotateRequest extends RotationLimits {
  readonly directory: string;
  /** Patterns of names; a log fits one of them. */
  readonly patterns: readonly string[];
  readonly dryRun: boolean;
  readonly now?: () => number;
}

export interface RotatedFamily {
  readonly log: string;
  /** Of the log as it was found. */
  readonly bytes: number;
  readonly rotated: boolean;
  /** What was done, or would be. */
  readonly steps: readonly string[];
  /** Why something that was due is left for the next run. */
  readonly left?: string;
}

export interface RotateResult {
  readonly directory: string;
  readonly dryRun: boolean;
  readonly logs: readonly RotatedFamily[];
  /** Of all logs and rotated logs, before and after. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  readonly elapsedMs: number;
}

/**
 * Rotates each log that is due. One that cannot be rotated keeps the others from nothing.
 * @param files of the folder; this host's when not given
 * @throws ForgeError `usage` when there is no such folder; `locked` while another run is at work on it; `denied` without
 *   the right to write there
 */
export async function rotateLogs(request: RotateRequest, signal: AbortSignal, files?: LogFiles): Promise<RotateResult> {
  if (files !== undefined) return rotateIn(files, request, signal);
  await requireFolder(request.directory);
  try {
    return await rotateIn(new LogFolder(request.directory), request, signal);
  } catch (error) {
    throw explained(error, request.directory);
  }
}

const rotateIn = (files: LogFiles, request: RotateRequest, signal: AbortSignal): Promise<RotateResult> => {
  const work = () => rotateAll(files, request, signal);
  return request.dryRun ? work() : files.locked(work);
};

async function requireFolder(directory: string): Promise<void> {
  const found = await stat(directory).catch((error: unknown) => {
    throw explained(error, directory);
  });
  if (!found.isDirectory()) {
    throw new ForgeError('usage', `${directory} is no folder.`, { next: 'Name the folder in which the logs are.' });
  }
}

function explained(error: unknown, directory: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') {
    return new ForgeError('usage', `There is no folder ${directory}.`, {
      next: 'Name the folder in which the logs are.',
    });
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    const next = 'Run this as the user whose logs these are, or as root.';
    return new ForgeError('denied', `${directory} cannot be written to (${code}).`, { next, cause: error });
  }
  return error;
}

async function rotateAll(folder: LogFiles, request: RotateRequest, signal: AbortSignal): Promise<RotateResult> {
  const started = performance.now();
  const matchers = request.patterns.map(nameMatcher);
  const isLog = (name: string) => matchers.some((matches) => matches(name));
  const bases = familiesOf(await folder.names(), isLog).map(({ base }) => base);
  const bytesBefore = await bytesOf(folder, isLog);
  const logs: RotatedFamily[] = [];
  for (const base of bases) {
    signal.throwIfAborted();
    logs.push(await new Rotation(folder, base, request, signal).run());
  }
  const bytesAfter = await bytesOf(folder, isLog);
  const { directory, dryRun } = request;
  return { directory, dryRun, logs, bytesBefore, bytesAfter, elapsedMs: performance.now() - started };
}

async function bytesOf(folder: LogFiles, isLog: (name: string) => boolean): Promise<number> {
  let total = 0;
  for (const { base, rotated } of familiesOf(await folder.names(), isLog)) {
    for (const name of [base, ...rotated.map((each) => each.name)]) total += (await folder.facts(name))?.bytes ?? 0;
  }
  return total;
}

class Rotation {
  readonly #folder: LogFiles;
  readonly #base: string;
  readonly #request: RotateRequest;
  readonly #signal: AbortSignal;
  readonly #done: string[] = [];
  #left: string | undefined;
  #rotated = false;

  constructor(folder: LogFiles, base: string, request: RotateRequest, signal: AbortSignal) {
    this.#folder = folder;
    this.#base = base;
    this.#request = request;
    this.#signal = signal;
  }

  async run(): Promise<RotatedFamily> {
    let bytes = 0;
    try {
      await this.#carryOut(planRecovery(await this.#family()));
      const family = await this.#family();
      const facts = await this.#facts(family);
      bytes = facts.bytes;
      // Logs that get the next number without a new one in their place would soon all be gone.
      if (dueFor(facts, this.#request) !== undefined) this.#left = await this.#stuck();
      const limits =
        this.#left === undefined ? this.#request : { bytes: Number.POSITIVE_INFINITY, count: this.#request.count };
      await this.#carryOut(planRotation(family, facts, limits));
    } catch (error) {
      if (this.#signal.aborted) throw error;
      this.#left = `${(error as Error).message}`;
    }
    const left = this.#left === undefined ? {} : { left: this.#left };
    return { log: this.#base, bytes, rotated: this.#rotated, steps: this.#done, ...left };
  }

  async #family(): Promise<LogFamily> {
    const [family] = familiesOf(await this.#folder.names(), (name) => name === this.#base);
    return family ?? { base: this.#base, rotated: [], torn: [] };
  }

  async #facts({ base, rotated }: LogFamily): Promise<{ bytes: number; ageMs: number }> {
    const log = await this.#folder.facts(base);
    const [newest] = rotated;
    const former = newest === undefined ? undefined : await this.#folder.facts(newest.name);
    // A rotated log was written to until its rotation.
    const since = former?.modifiedMs ?? log?.bornMs ?? 0;
    const now = this.#request.now?.() ?? Date.now();
    return { bytes: log?.bytes ?? 0, ageMs: now - since };
  }

  async #carryOut(steps: readonly RotationStep[]): Promise<void> {
    for (const step of steps) {
      this.#signal.throwIfAborted();
      if (!this.#request.dryRun && !(await this.#take(step))) continue;
      this.#done.push(describeStep(step));
      if (step.kind === 'cut') this.#rotated = true;
    }
  }

  /** False when it is left for the next run. */
  async #take(step: RotationStep): Promise<boolean> {
    const folder = this.#folder;
    switch (step.kind) {
      case 'discard':
      case 'remove':
        await folder.remove(step.name);
        return true;
      case 'rename':
        await folder.rename(step.from, step.to);
        return true;
      case 'settle':
        // The compressed one appears whole under its name, before the plain one goes.
        await folder.remove((await folder.holdsSame(step.compressed, step.plain)) ? step.plain : step.compressed);
        return true;
      case 'adopt':
        if (await folder.beginsWith(step.base, step.part)) await folder.remove(step.part);
        else await folder.rename(step.part, step.to);
        return true;
      case 'cut':
        await this.#cut(step.from, step.to);
        return true;
      case 'compress':
        return await this.#compress(step.from, step.to);
    }
  }

  /** Why the log cannot be rotated; undefined when it can. */
  async #stuck(): Promise<string | undefined> {
    const stuck = (await this.#folder.writers(this.#base)).find(
      ({ program, appends }) => program !== REOPENING && !appends,
    );
    if (stuck === undefined) return undefined;
    return `${named(stuck)} writes to its own place in ${this.#base}: emptied, it would be a file with a hole.`;
  }

  async #cut(from: string, to: string): Promise<void> {
    const writers = await this.#folder.writers(this.#base);
    if (writers.some(({ program }) => program !== REOPENING)) {
      await this.#folder.copyAndEmpty(from, to);
      return;
    }
    await this.#folder.rename(from, to);
    // Redis opens its log for every line; whoever is first makes the file.
    await this.#folder.makeLike(from, to);
    for (const { pid } of writers) await this.#folder.reopen(pid);
  }

  async #compress(from: string, to: string): Promise<boolean> {
    const end = performance.now() + REOPEN_MS;
    for (;;) {
      const [writer] = await this.#folder.writers(from);
      if (writer === undefined) break;
      if (performance.now() > end) {
        this.#left = `${named(writer)} still writes to ${from}: the next run compresses it.`;
        return false;
      }
      await sleep(REOPEN_LOOK_MS, undefined, { signal: this.#signal });
    }
    await this.#folder.compress(from, to, this.#signal);
    return true;
  }
}

const named = ({ pid, program }: FileWriter) => (program === '' ? `process ${pid}` : `${program} (process ${pid})`);
