/** A backup that is read: its objects as they were before they were compressed and encrypted, each proved to its end. */

import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { ForgeError } from '../../errors.js';
import { keyFor } from '../archive/encryption.js';
import { unpack } from '../archive/pack.js';
import type { ListedBackup } from '../catalogue.js';
import { keyOf, MANIFEST } from '../layout.js';
import { type BackupManifest, type BackupObject, MANIFEST_MAX_BYTES } from '../manifest.js';
import type { BackupStore } from '../store/store.js';

function unusable({ place }: BackupStore, { cluster, id, state, problem }: ListedBackup): ForgeError {
  const name = `${place}/${cluster}/${id}`;
  const next = 'Take another backup of the list: forge backup list.';
  // What is said of a manifest names it.
  const isWhole = problem?.startsWith(name) === true;
  const message = problem === undefined ? `${name} is no whole backup.` : `${name} is damaged: ${problem}.`;
  const said = isWhole && problem !== undefined ? problem : message;
  return state === 'newer'
    ? new ForgeError('refused', said, { next: ['Update forge.', next] })
    : new ForgeError('verification', said, { next });
}

export class BackupArchive {
  readonly manifest: BackupManifest;
  readonly #store: BackupStore;
  readonly #secret: Buffer | undefined;

  /**
   * @param secret what the backup was encrypted with
   * @throws ForgeError `verification` for one that is damaged, or not whole at all; `refused` for one that a newer forge has
   *   made; `configuration` for one that is encrypted when there is no key
   */
  constructor(store: BackupStore, backup: ListedBackup, secret: Buffer | undefined) {
    const { manifest, id } = backup;
    if (manifest === undefined || backup.state === 'damaged') throw unusable(store, backup);
    if (manifest.encryption !== undefined && secret === undefined) {
      throw new ForgeError('configuration', `The backup ${id} is encrypted, and no key is given.`, {
        next: 'Give its key: --encryption-key-file, or BACKUP_ENCRYPTION_KEY_FILE.',
      });
    }
    this.manifest = manifest;
    this.#store = store;
    this.#secret = secret;
  }

  /** Where an object is, for messages. */
  placeOf({ name }: BackupObject): string {
    return `${this.#store.place}/${keyOf(this.manifest.cluster, this.manifest.id, name)}`;
  }

  /** What the object holds; fails with a ForgeError `verification` where a byte of it is not as it was. */
  async open(object: BackupObject, signal: AbortSignal): Promise<Readable> {
    const { cluster, id, compression, encryption } = this.manifest;
    const source = await this.#store.open(keyOf(cluster, id, object.name), signal).catch(async (error: unknown) => {
      throw (await this.#isGone(signal)) ? this.#gone(error) : error;
    });
    const key =
      encryption === undefined || this.#secret === undefined
        ? undefined
        : keyFor(this.#secret, Buffer.from(encryption.salt, 'base64'), object.name);
    return unpack(source, object, {
      compression,
      place: this.placeOf(object),
      ...(key === undefined ? {} : { key }),
    });
  }

  /** Without its manifest it is no backup any more. */
  async #isGone(signal: AbortSignal): Promise<boolean> {
    const { cluster, id } = this.manifest;
    const options = { maxBytes: MANIFEST_MAX_BYTES, signal };
    return (await this.#store.read(keyOf(cluster, id, MANIFEST), options).catch(() => false)) === undefined;
  }

  #gone(cause: unknown): ForgeError {
    const { cluster, id } = this.manifest;
    const place = `${this.#store.place}/${cluster}/${id}`;
    return new ForgeError('verification', `${place} is not there any more: somebody has removed the backup.`, {
      next: 'Take another backup of the list: forge backup list.',
      cause,
    });
  }

  /** Reads all of it and keeps nothing. @throws ForgeError `verification` as `open` */
  async prove(object: BackupObject, signal: AbortSignal, onBytes?: (bytes: number) => void): Promise<void> {
    const stream = await this.open(object, signal);
    let bytes = 0;
    stream.on('data', (piece: Buffer) => {
      bytes += piece.length;
      onBytes?.(bytes);
    });
    await finished(stream, { signal });
  }
}
