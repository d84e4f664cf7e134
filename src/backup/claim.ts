/**
 * One at a time at what removes backups of a cluster, or marks them, on whatever host: two that each leave one backup
 * because the other one stays would leave none. Everybody writes a claim of its own and then looks for others: of two, at
 * least the later one sees the other. Stores have nothing stronger in common.
 */
import { randomBytes } from 'node:crypto';
import { readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import * as z from 'zod/mini';
import { pause } from '../cluster/bounded.js';
import { ForgeError } from '../errors.js';
import { identifyProcess, isAlive } from '../runtime/process/identity.js';
import { RUNNING_RENEW_MS, RUNNING_STALE_MS } from './catalogue.js';
import type { BackupStore, StoredObject } from './store/store.js';

/** Two that come at the same moment both step back, and try again at other moments. */
const ATTEMPTS_MAX = 5;
const PAUSE_MIN_MS = 50;
const PAUSE_SPREAD_MS = 400;
const CLAIM_MAX_BYTES = 4_096;
const RELEASE_TIMEOUT_MS = 10_000;
/** A claim that could not be renewed for so long is none any more, well before others take it for dead. */
const GIVE_UP_MS = RUNNING_STALE_MS / 3;
const MINUTE_MS = 60_000;

const claimSchema = z.strictObject({
  host: z.string(),
  pid: z.int(),
  /** When the process was started, as its system tells: with the boot that it was in. */
  start: z.string(),
  /** Process numbers mean something within it alone. */
  namespace: z.string(),
  purpose: z.string(),
});
type Claim = z.infer<typeof claimSchema>;

export interface ClaimOptions {
  readonly cluster: string;
  /** `forge backup prune`, for the message to others. */
  readonly purpose: string;
  readonly signal: AbortSignal;
}

export interface HeldClaim {
  /** The store's time when the claim was made, milliseconds since 1970: what ages of its objects are counted from. */
  readonly storeNowMs: number;
  /** Aborted by the signal, and when the claim could not be renewed. */
  readonly signal: AbortSignal;
  /** Aborted only when the claim could not be renewed: for what is to be done to its end once it was begun. */
  readonly lost: AbortSignal;
}

const prefixOf = (cluster: string) => `${cluster}/.forge-removal-`;

/**
 * Runs `work` while nobody else removes or marks backups of the cluster.
 * @throws ForgeError `locked` (exit code 6) when somebody else does
 */
export async function withRemovalClaim<Result>(
  store: BackupStore,
  options: ClaimOptions,
  work: (claim: HeldClaim) => Promise<Result>,
): Promise<Result> {
  const { cluster, purpose, signal } = options;
  const self = await identifyProcess(process.pid);
  const claim: Claim = {
    host: hostname(),
    pid: process.pid,
    start: self?.start ?? '',
    namespace: processNamespace(),
    purpose,
  };
  const key = `${prefixOf(cluster)}${randomBytes(8).toString('hex')}.json`;
  const content = Buffer.from(`${JSON.stringify(claim, undefined, 2)}\n`);
  const lost = new AbortController();
  const ended = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let renewing: Promise<unknown> = Promise.resolve();
  try {
    const storeNowMs = await take(store, { ...options, key, content });
    let renewedAtMs = performance.now();
    timer = setInterval(() => {
      const bound = AbortSignal.any([ended.signal, AbortSignal.timeout(RUNNING_RENEW_MS)]);
      renewing = store.write(key, content, bound).then(
        () => {
          renewedAtMs = performance.now();
        },
        () => {
          if (performance.now() - renewedAtMs > GIVE_UP_MS) lost.abort(silent(store));
        },
      );
    }, RUNNING_RENEW_MS);
    timer.unref();
    return await work({ storeNowMs, signal: AbortSignal.any([signal, lost.signal]), lost: lost.signal });
  } finally {
    clearInterval(timer);
    ended.abort();
    await renewing;
    // An interrupted run has no time left by its own signal; what stays is found to be of a dead process.
    await store.remove([key], AbortSignal.timeout(RELEASE_TIMEOUT_MS)).catch(() => undefined);
  }
}

/** @returns the store's time */
async function take(
  store: BackupStore,
  { cluster, signal, key, content }: ClaimOptions & { readonly key: string; readonly content: Buffer },
): Promise<number> {
  let owner: Claim | undefined;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    if (attempt > 0) await pause(PAUSE_MIN_MS + Math.random() * PAUSE_SPREAD_MS, signal);
    await store.write(key, content, signal);
    const claims: StoredObject[] = [];
    for await (const object of store.list(prefixOf(cluster), signal)) claims.push(object);
    const mine = claims.find((each) => each.key === key);
    const nowMs = mine?.modifiedMs ?? Date.now();
    let held = mine === undefined;
    for (const other of claims) {
      if (other.key === key) continue;
      const read = await readClaim(store, other.key, signal);
      if (await isDead(read, nowMs - other.modifiedMs)) {
        await store.remove([other.key], signal);
      } else {
        held = true;
        owner = read;
      }
    }
    if (!held) return nowMs;
    await store.remove([key], signal);
  }
  const who = owner === undefined ? 'Somebody' : `${owner.purpose} (process ${owner.pid} of ${owner.host})`;
  throw new ForgeError('locked', `${who} is at work on the backups of ${cluster} in ${store.place}.`, {
    next: `Wait until it is done. If it has died on another host, it counts no more after ${RUNNING_STALE_MS / MINUTE_MS} minutes.`,
    ...(owner === undefined ? {} : { details: { host: owner.host, pid: owner.pid } }),
  });
}

async function readClaim(store: BackupStore, key: string, signal: AbortSignal): Promise<Claim | undefined> {
  try {
    const content = await store.read(key, { maxBytes: CLAIM_MAX_BYTES, signal });
    const parsed = claimSchema.safeParse(JSON.parse(content?.toString() ?? 'null'));
    return parsed.success ? parsed.data : undefined;
  } catch (error) {
    // What is no claim is judged by its age alone.
    if (error instanceof SyntaxError || (error instanceof ForgeError && error.kind === 'verification'))
      return undefined;
    throw error;
  }
}

/** A process of this machine is asked for; another's shows by its age, and one that is from the future by nothing. */
async function isDead(claim: Claim | undefined, ageMs: number): Promise<boolean> {
  if (claim !== undefined && isOfThisMachine(claim, await identifyProcess(process.pid))) return !(await isAlive(claim));
  return Math.abs(ageMs) >= RUNNING_STALE_MS;
}

/** The start of a process is told with the boot of its machine (`BOOT:TICKS`). */
function isOfThisMachine({ start, namespace, host }: Claim, self: { readonly start: string } | undefined): boolean {
  const boot = (text: string) => text.slice(0, text.lastIndexOf(':'));
  if (self === undefined || namespace !== processNamespace() || host !== hostname()) return false;
  return boot(start) === boot(self.start);
}

/** Containers have numbers of their own. */
function processNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

const silent = ({ place }: BackupStore) =>
  new ForgeError('unreachable', `${place} has taken no sign of life of this run for minutes.`, {
    next: 'Look at the store, and run it again.',
  });
