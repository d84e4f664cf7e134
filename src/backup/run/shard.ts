/** Reads one shard into the store; begins anew from another node where one breaks off. */
import { pipeline } from 'node:stream';
import { pause } from '../../cluster/bounded.js';
import type { SlotSet } from '../../cluster/slots.js';
import { ForgeError } from '../../errors.js';
import type { ClusterSession } from '../../operations/session.js';
import { keyFor } from '../archive/encryption.js';
import { pack } from '../archive/pack.js';
import { type Compression, keyOf, type SourceKind, shardName } from '../layout.js';
import type { BackupShard } from '../manifest.js';
import { UnsupportedRdb } from '../rdb/errors.js';
import type { BackupStore } from '../store/store.js';
import type { BackupObserver } from './events.js';
import { Meter } from './meter.js';
import { foreignSlots } from './moving.js';
import { type OpenedSource, openSource, type WantedSource } from './open-source.js';
import { bytesBehind, type PlannedShard, planBackup, type ShardSource, shardWith } from './plan.js';

/** A shard is begun so many times at most. */
export const ATTEMPTS_MAX = 5;
/** How long a shard may have no node that can be read: failovers take the node timeout (15 s) and an election. */
export const FAILOVER_WAIT_MS = 90_000;
const LOOK_MS = 500;

/** What all shards of a run share. */
export interface ShardRun {
  readonly session: ClusterSession;
  readonly store: BackupStore;
  readonly cluster: string;
  readonly id: string;
  readonly compression: Compression;
  readonly encryption?: { readonly secret: Buffer; readonly salt: Buffer };
  /** Only this node is read. */
  readonly node?: string;
  readonly source: WantedSource;
  /** Data directories by node id, where the operator has said them. */
  readonly directories: ReadonlyMap<string, string>;
  readonly signal: AbortSignal;
  readonly observe: BackupObserver;
  /** Told the name of each object before it is written. */
  readonly wrote: (name: string) => void;
  /** Longest silence of a node in the middle of its data, milliseconds; what `readRdb` has when not told. */
  readonly silenceMs?: number;
  /** FAILOVER_WAIT_MS when not told. */
  readonly failoverWaitMs?: number;
}

export interface ReadShard {
  readonly shard: BackupShard;
  /** Keys were found of slots that the shard did not serve. */
  readonly foreign: SlotSet;
}

/** The node, not the store, is why a shard could not be read. */
export class SourceFailure extends Error {
  override readonly name = 'SourceFailure';
  readonly failure: ForgeError;

  constructor(failure: ForgeError) {
    super(failure.message, { cause: failure });
    this.failure = failure;
  }
}

/**
 * Puts the data of the shard into the store.
 * @param number of the object in the backup
 * @returns undefined where nobody serves just these slots any more
 * @throws SourceFailure of the last node that was tried; what the store throws
 */
export async function readShard(run: ShardRun, planned: PlannedShard, number: number): Promise<ReadShard | undefined> {
  const tried = new Map<string, number>();
  const triesOf = ({ nodeId }: ShardSource) => tried.get(nodeId) ?? 0;
  let shard = planned;
  for (let attempt = 1; ; attempt++) {
    const [source] = shard.sources.toSorted((one, other) => triesOf(one) - triesOf(other));
    if (source === undefined) return undefined;
    try {
      return await readFrom(run, shard, source, number);
    } catch (error) {
      run.signal.throwIfAborted();
      if (!(error instanceof SourceFailure)) throw error;
      tried.set(source.nodeId, triesOf(source) + 1);
      // Rights do not change while one waits.
      const hopeless = error.failure.kind === 'denied' && shard.sources.every((each) => triesOf(each) > 0);
      if (attempt >= ATTEMPTS_MAX || hopeless) throw error;
      const name = objectName(run, number, 'network');
      run.observe({ type: 'shard-failed', name, source: source.address, reason: error.message });
      const next = await lookAgain(run, shard.slots, error);
      if (next === undefined) return undefined;
      shard = next;
    }
  }
}

const objectName = ({ compression, encryption }: ShardRun, number: number, source: SourceKind) =>
  shardName(number, { source, compression, encrypted: encryption !== undefined });

/**
 * Who can be read for these slots now; waits for a failover.
 * @returns undefined where they are no shard any more: some have moved
 * @throws the failure, when nobody could be read for so long
 */
async function lookAgain(run: ShardRun, slots: SlotSet, failure: SourceFailure): Promise<PlannedShard | undefined> {
  const { session, node, signal, failoverWaitMs = FAILOVER_WAIT_MS } = run;
  const end = performance.now() + failoverWaitMs;
  for (;;) {
    await pause(LOOK_MS, signal);
    try {
      const plan = planBackup(await session.look(), { node });
      const found = shardWith(plan, slots);
      if (found !== undefined) return found;
      if (plan.missing.length === 0) return undefined;
    } catch (error) {
      // Nobody answers at the moment, or not the one that was named.
      if (!(error instanceof ForgeError)) throw error;
    }
    if (performance.now() > end) throw failure;
  }
}

async function readFrom(run: ShardRun, shard: PlannedShard, source: ShardSource, number: number): Promise<ReadShard> {
  const opened = await open(run, source);
  try {
    const behind = bytesBehind(shard, opened);
    if (behind > 0) throw lagging(source, behind);
    return await transfer(run, { shard, source, opened, name: objectName(run, number, opened.kind) });
  } finally {
    await opened.dispose();
  }
}

/** Another node is taken first; the replica may have caught up by then. */
function lagging({ address }: ShardSource, bytes: number): SourceFailure {
  const message = `${address} lacks ${bytes} bytes that its master had when it was looked at.`;
  return new SourceFailure(
    new ForgeError('refused', message, { host: address, next: 'Look at the link between them: forge cluster check.' }),
  );
}

/** @throws SourceFailure */
async function open(run: ShardRun, source: ShardSource): Promise<OpenedSource> {
  const { session, source: wanted, directories, signal, silenceMs } = run;
  const silence = silenceMs === undefined ? {} : { silenceMs };
  try {
    const clientName = `forge-backup:${run.id}`;
    return await openSource(source, { session, clientName, wanted, directories, signal, ...silence });
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof ForgeError ? new SourceFailure(error) : error;
  }
}

interface Transfer {
  readonly shard: PlannedShard;
  readonly source: ShardSource;
  readonly opened: OpenedSource;
  readonly name: string;
}

async function transfer(run: ShardRun, { shard, source, opened, name }: Transfer): Promise<ReadShard> {
  const { store, compression, encryption, signal, observe } = run;
  const { kind, replicationId, offset } = opened;
  run.wrote(name);
  const about = { name, master: shard.masterAddress, source: source.address };
  observe({ type: 'shard-begun', ...about, role: source.role, kind, keys: shard.keys });
  let broken: ForgeError | undefined;
  opened.stream.once('error', (error) => {
    // Where the store fails, its error comes back here; those of nodes are ForgeErrors of their own.
    if (error instanceof ForgeError) broken = error;
  });
  const meter = new Meter(kind, (bytes, keys) => observe({ type: 'shard-progress', name, bytes, keys }));
  const key = encryption && keyFor(encryption.secret, encryption.salt, name);
  try {
    const { stream, object } = pack(pipeline(opened.stream, meter, ignore), { name, compression, key });
    await store.put(keyOf(run.cluster, run.id, name), stream, { signal });
    const counted = await countOf(run, { kind, meter, source, shard });
    const stored = object();
    const { plainBytes, bytes } = stored;
    observe({ type: 'shard-done', ...about, keys: counted.keys, plainBytes, bytes, replicationId, offset });
    return {
      shard: {
        masterId: shard.masterId,
        masterAddress: shard.masterAddress,
        slots: [...shard.slots],
        configEpoch: shard.configEpoch,
        source: { kind, ...source },
        replicationId,
        offset,
        startedAt: new Date(opened.startedAt).toISOString(),
        finishedAt: new Date(meter.endedAtMs).toISOString(),
        ...counted,
        object: stored,
      },
      foreign: foreignSlots(counted.slotKeys ?? [], shard.slots),
    };
  } catch (error) {
    signal.throwIfAborted();
    throw broken === undefined || error instanceof SourceFailure ? error : new SourceFailure(broken);
  }
}

/** The failure of a stream is that of the last of its pipeline, which is read. */
const ignore = () => undefined;

interface Count {
  readonly keys: number;
  readonly slotKeys?: [slot: number, keys: number][];
}

/**
 * The keys of what went by; where it could not be understood, as the node tells.
 * @throws SourceFailure for what no server would load
 */
async function countOf(
  { session, observe }: ShardRun,
  { kind, meter, source, shard }: Pick<Transfer, 'source' | 'shard'> & { kind: SourceKind; meter: Meter },
): Promise<Count> {
  const { failure, keys, slotKeys } = meter;
  if (kind === 'network' && failure === undefined) return { keys, slotKeys };
  if (failure !== undefined) {
    if (!(failure instanceof UnsupportedRdb)) throw new SourceFailure(failure);
    observe({ type: 'warning', text: `keys of ${source.address} are not counted by slot: ${failure.message}` });
  }
  try {
    return { keys: Number(await (await session.pool.get(source.nodeId)).call('DBSIZE')) };
  } catch (error) {
    if (error instanceof ForgeError) return { keys: shard.keys };
    throw error;
  }
}
