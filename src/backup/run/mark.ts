/** The mark of a backup that is being made: others see by it that somebody is at work, and that nobody is any more. */
import { hostname } from 'node:os';
import * as z from 'zod/mini';
import { ForgeError } from '../../errors.js';
import { identifyProcess, isAlive } from '../../runtime/process/identity.js';
import { RUNNING_RENEW_MS, RUNNING_STALE_MS } from '../catalogue.js';
import { keyOf, RUNNING_MARK } from '../layout.js';
import type { BackupStore } from '../store/store.js';

export const MARK_MAX_BYTES = 4_096;
/** A mark that could not be renewed for so long is given up, well before others take the run for dead. */
const GIVE_UP_MS = RUNNING_STALE_MS / 3;

const markSchema = z.strictObject({
  /** Of forge's home: `ownerId`. */
  owner: z.string(),
  host: z.string(),
  pid: z.int(),
  /** When the process was started, as its system tells. */
  start: z.string(),
  startedAt: z.string(),
  forge: z.string(),
});

export type RunningMark = z.infer<typeof markSchema>;

export interface MarkAbout {
  readonly cluster: string;
  readonly id: string;
  readonly owner: string;
  readonly startedAtMs: number;
  readonly forge: string;
}

/** What a mark says; undefined for what is none. Pure. */
export function parseMark(text: string): RunningMark | undefined {
  try {
    const parsed = markSchema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the process that made the mark ran on this host, from the same home, and is gone. */
export async function isDeadHere({ pid, start, owner, host }: RunningMark, ownOwner: string): Promise<boolean> {
  return owner === ownOwner && host === hostname() && start !== '' && !(await isAlive({ pid, start }));
}

/** Sets the mark, and renews it until it is stopped. */
export class MarkKeeper {
  readonly #lost = new AbortController();
  #renewing: Promise<void> = Promise.resolve();
  #renewedAtMs = performance.now();
  #timer: NodeJS.Timeout | undefined;

  /** Aborted when the mark could not be renewed for so long that others would soon take the run for dead. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** @throws what `store.write` throws: the first thing that is written there tells whether it can be */
  static async begin(store: BackupStore, about: MarkAbout, signal: AbortSignal): Promise<MarkKeeper> {
    const { cluster, id, owner, startedAtMs, forge } = about;
    const mark: RunningMark = {
      owner,
      host: hostname(),
      ...((await identifyProcess(process.pid)) ?? { pid: process.pid, start: '' }),
      startedAt: new Date(startedAtMs).toISOString(),
      forge,
    };
    const content = Buffer.from(`${JSON.stringify(mark, undefined, 2)}\n`);
    const key = keyOf(cluster, id, RUNNING_MARK);
    await store.write(key, content, signal);
    const keeper = new MarkKeeper();
    keeper.#timer = setInterval(() => keeper.#renew(store, key, content), RUNNING_RENEW_MS);
    keeper.#timer.unref();
    return keeper;
  }

  /** No renewal is on its way after that: the mark can be removed. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#renewing;
  }

  #renew(store: BackupStore, key: string, content: Buffer): void {
    this.#renewing = store
      .write(key, content, AbortSignal.timeout(RUNNING_RENEW_MS))
      .then(() => {
        this.#renewedAtMs = performance.now();
      })
      .catch(() => {
        if (performance.now() - this.#renewedAtMs < GIVE_UP_MS) return;
        this.#lost.abort(
          new ForgeError('unreachable', `${store.place} has taken no sign of life of this run for minutes.`, {
            next: 'Look at the store, and run it again.',
          }),
        );
      });
  }
}
