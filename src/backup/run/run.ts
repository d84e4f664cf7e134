/** One backup from its beginning to its end: wholly there, or not at all. */
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import { ForgeError } from '../../errors.js';
import { chooseNode } from '../../operations/planners/node-choice.js';
import type { ClusterSession } from '../../operations/session.js';
import { CHUNK_BYTES, CIPHER, keyFor, SALT_BYTES } from '../archive/encryption.js';
import { pack } from '../archive/pack.js';
import { findBackup } from '../catalogue.js';
import { type Compression, keyOf, MANIFEST, newBackupId, RUNNING_MARK, SETTINGS } from '../layout.js';
import { type BackupManifest, FORMAT, writeManifest } from '../manifest.js';
import { readNodeSettings, writeSettings } from '../settings.js';
import type { BackupStore } from '../store/store.js';
import type { BackupObserver } from './events.js';
import { ownerId, withBackupLock } from './lock.js';
import { MarkKeeper } from './mark.js';
import type { WantedSource } from './open-source.js';
import { type Collected, collectShards } from './rounds.js';
import type { ShardRun } from './shard.js';
import { removeUnfinished, sweepDeadRuns } from './sweep.js';

/** How long a run that has failed may take to remove what it has written. */
const CLEAN_UP_MS = 30_000;

export interface BackupRequest {
  readonly session: ClusterSession;
  readonly store: BackupStore;
  /** The folder of the cluster's backups. */
  readonly cluster: string;
  readonly compression: Compression;
  /** What it is encrypted with. */
  readonly secret?: Buffer;
  /** Only this node. */
  readonly node?: string;
  readonly source: WantedSource;
  /** Data directories of nodes, by the words that the operator has for these. */
  readonly directories: ReadonlyMap<string, string>;
  /** Go on without masters that cannot be read. */
  readonly partial: boolean;
  /** How long to wait for slots that are on their way, milliseconds. */
  readonly waitMs: number;
  /** Shards that are read at once. */
  readonly parallel: number;
  /** The version of the program. */
  readonly forge: string;
  /** Forge's own folder. */
  readonly home: string;
  readonly signal: AbortSignal;
  readonly observe: BackupObserver;
  /** For tests of what takes long. */
  readonly bounds?: Pick<ShardRun, 'silenceMs' | 'failoverWaitMs'>;
}

export interface BackupResult {
  readonly id: string;
  readonly cluster: string;
  readonly place: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly elapsedMs: number;
  /** Every master is in it. */
  readonly complete: boolean;
  readonly keys: number;
  /** As stored, and before compression. */
  readonly bytes: number;
  readonly plainBytes: number;
  readonly encrypted: boolean;
  readonly shards: BackupManifest['shards'];
  readonly missing: BackupManifest['missing'];
  readonly moving: BackupManifest['moving'];
  /** Ids of dead runs, of which all was removed. */
  readonly swept: readonly string[];
}

/**
 * Makes a backup. When it returns, the backup is in the store with its manifest, which was read back; when it throws,
 * nothing of it is left there, as far as the store still answers: the next run removes what is.
 * @throws ForgeError `locked` while another run is at work on the cluster's backups; `unreachable` where a master cannot be
 *   read and `partial` is not asked for; what the store throws
 */
export function runBackup(request: BackupRequest): Promise<BackupResult> {
  const { home, cluster, store } = request;
  return withBackupLock({ purpose: 'forge backup', home, cluster, place: store.place }, () => new Run(request).run());
}

class Run {
  readonly #request: BackupRequest;
  readonly #startedAtMs = Date.now();
  readonly #id = newBackupId(this.#startedAtMs);
  readonly #salt: Buffer | undefined;
  /** Of all that may have been written. */
  readonly #names = new Set<string>();

  constructor(request: BackupRequest) {
    this.#request = request;
    this.#salt = request.secret === undefined ? undefined : randomBytes(SALT_BYTES);
  }

  async run(): Promise<BackupResult> {
    const { store, cluster, forge, home, signal, observe } = this.#request;
    const owner = await ownerId(home);
    let keeper: MarkKeeper | undefined;
    try {
      await store.check(signal);
      const about = { cluster, id: this.#id, owner, startedAtMs: this.#startedAtMs, forge };
      keeper = await MarkKeeper.begin(store, about, signal);
      observe({ type: 'begun', id: this.#id, place: store.place });
      const all = AbortSignal.any([signal, keeper.lost]);
      const onDenied = ({ message }: ForgeError) => {
        observe({ type: 'warning', text: `what dead runs have left stays: ${message}` });
      };
      const swept = await sweepDeadRuns(store, { cluster, id: this.#id, owner, signal: all, onDenied });
      if (swept.length > 0) observe({ type: 'swept', ids: swept });
      const manifest = await this.#write(all);
      await keeper.stop();
      await this.#unmark();
      return this.#result(manifest, swept);
    } catch (error) {
      await keeper?.stop();
      await this.#cleanUp();
      throw error;
    }
  }

  async #write(signal: AbortSignal): Promise<BackupManifest> {
    const { session, store, cluster, compression, secret, observe, source, bounds = {} } = this.#request;
    const named = [...this.#request.directories];
    const directories = new Map(named.map(([node, folder]) => [chooseNode(session.snapshot, node), folder]));
    const encryption = secret && this.#salt && { secret, salt: this.#salt };
    const shardRun: ShardRun = {
      ...{ session, store, cluster, id: this.#id, compression, signal, observe, source, directories, ...bounds },
      wrote: (name) => this.#names.add(name),
      ...(encryption === undefined ? {} : { encryption }),
      ...(this.#request.node === undefined ? {} : { node: this.#request.node }),
    };
    const { partial, waitMs, parallel } = this.#request;
    const collected = await collectShards(shardRun, { partial, waitMs, parallel });
    await this.#removeStale(collected, signal);
    const settings = await this.#putSettings(collected, signal);
    const manifest = this.#manifest(collected, settings);
    const text = Buffer.from(writeManifest(manifest, secret));
    this.#names.add(MANIFEST);
    signal.throwIfAborted();
    await store.write(keyOf(cluster, this.#id, MANIFEST), text, signal);
    await this.#prove(signal);
    return manifest;
  }

  /** Objects of shards that were read again under another name. */
  async #removeStale({ shards }: Collected, signal: AbortSignal): Promise<void> {
    const { store, cluster } = this.#request;
    const used = new Set(shards.map(({ object }) => object.name));
    const stale = [...this.#names].filter((name) => !used.has(name));
    if (stale.length === 0) return;
    await store.remove(
      stale.map((name) => keyOf(cluster, this.#id, name)),
      signal,
    );
  }

  async #putSettings({ snapshot, shards }: Collected, signal: AbortSignal) {
    const { session, store, cluster, compression, secret, observe } = this.#request;
    const nodes = shards.map(({ masterId, source }) => {
      const id = snapshot.report(masterId) === undefined ? source.nodeId : masterId;
      return { id, address: snapshot.addressOf(id) };
    });
    const { settings, leftOut } = await readNodeSettings(session.pool, nodes);
    for (const text of leftOut) observe({ type: 'warning', text: `not in the backup: ${text}` });
    const key = secret && this.#salt && keyFor(secret, this.#salt, SETTINGS);
    const packing = { name: SETTINGS, compression, ...(key === undefined ? {} : { key }) };
    const { stream, object } = pack(Readable.from([writeSettings(settings)], { objectMode: false }), packing);
    this.#names.add(SETTINGS);
    await store.put(keyOf(cluster, this.#id, SETTINGS), stream, { signal });
    return object();
  }

  #manifest({ snapshot, shards, missing, moving }: Collected, settings: BackupManifest['settings']): BackupManifest {
    const { cluster, compression, forge } = this.#request;
    const salt = this.#salt?.toString('base64');
    return {
      format: FORMAT,
      id: this.#id,
      cluster,
      forge,
      startedAt: new Date(this.#startedAtMs).toISOString(),
      finishedAt: new Date().toISOString(),
      compression,
      ...(salt === undefined ? {} : { encryption: { cipher: CIPHER, salt, chunkBytes: CHUNK_BYTES } }),
      currentEpoch: snapshot.reference.cluster.currentEpoch,
      nodes: nodesOf(snapshot),
      shards: [...shards],
      missing: missing.map(({ masterId, address, slots, reason }) => ({
        masterId,
        address,
        slots: [...slots],
        reason,
      })),
      moving: [...moving],
      settings,
    };
  }

  /** As everybody else will find it: the manifest is read, and the lengths of all objects are compared. */
  async #prove(signal: AbortSignal): Promise<void> {
    const { store, cluster, secret } = this.#request;
    const found = await findBackup(store, {
      cluster,
      id: this.#id,
      signal,
      ...(secret === undefined ? {} : { secret }),
    });
    if (found.state === 'complete' || found.state === 'partial') return;
    throw new ForgeError(
      'verification',
      `${store.place} does not have what was written: ${found.problem ?? 'no manifest'}.`,
      {
        next: 'Look at the store: does somebody else remove or change what is there?',
      },
    );
  }

  /** The backup is whole: a mark that stays is removed by the next run. */
  async #unmark(): Promise<void> {
    const { store, cluster, observe } = this.#request;
    try {
      await store.remove([keyOf(cluster, this.#id, RUNNING_MARK)], AbortSignal.timeout(CLEAN_UP_MS));
    } catch (error) {
      observe({ type: 'warning', text: `the mark of the run could not be removed: ${(error as Error).message}` });
    }
  }

  async #cleanUp(): Promise<void> {
    const { store, cluster, observe } = this.#request;
    try {
      await removeUnfinished(
        store,
        { cluster, id: this.#id, names: [...this.#names] },
        AbortSignal.timeout(CLEAN_UP_MS),
      );
    } catch (error) {
      const text = `what was written of ${this.#id} could not be removed (${(error as Error).message}); the next run does it`;
      observe({ type: 'warning', text });
    }
  }

  #result({ shards, missing, moving, startedAt, finishedAt, settings }: BackupManifest, swept: readonly string[]) {
    const { cluster, store } = this.#request;
    const objects = [...shards.map(({ object }) => object), ...(settings === undefined ? [] : [settings])];
    return {
      ...{ id: this.#id, cluster, place: store.place, startedAt, finishedAt },
      elapsedMs: Date.parse(finishedAt) - this.#startedAtMs,
      complete: missing.length === 0,
      keys: shards.reduce((sum, { keys }) => sum + keys, 0),
      bytes: objects.reduce((sum, { bytes }) => sum + bytes, 0),
      plainBytes: objects.reduce((sum, { plainBytes }) => sum + plainBytes, 0),
      encrypted: this.#salt !== undefined,
      ...{ shards, missing, moving, swept },
    };
  }
}

function nodesOf(snapshot: ClusterSnapshot): BackupManifest['nodes'] {
  return snapshot.topology.nodes.map(({ id, hostname, role, masterId, slots, configEpoch }) => ({
    id,
    address: snapshot.addressOf(id),
    ...(hostname === undefined ? {} : { hostname }),
    role,
    ...(masterId === undefined ? {} : { masterId }),
    slots: [...slots],
    configEpoch,
  }));
}
