/**
 * Reads the data of a node from its data directory, which this host can reach, as an archive: an append-only file in its
 * parts, or a snapshot, and nodes.conf. Nothing is changed on the server, and nothing is copied on its disk.
 */
import path from 'node:path';
import { Readable } from 'node:stream';
import type { NodeConnection } from '../../cluster/node-connection.js';
import { ForgeError } from '../../errors.js';
import { MANIFEST_PATH, type OpenPart, openAppendOnly } from './files/append-only.js';
import { AppendManifestError } from './files/manifest.js';
import { closeAll, OpenedFile } from './files/opened.js';
import { type FileState, fileSettingsOf, fileStateOf } from './files/server.js';
import { openSnapshot } from './files/snapshot.js';
import { TarError, type TarFile, tarBytes, writeTar } from './files/tar.js';
import { NODES_FILE, NODES_MAX_BYTES } from './files/unpack.js';
import type { RdbSource } from './network.js';

/** Longest wait for the end of a rewrite, or of a save. */
export const WAIT_MAX_MS = 30 * 60_000;

/** The stream is a tar archive that `unpackFiles` reads; it is of exactly that place in the stream of writes. */
export interface FilesSource extends RdbSource {
  readonly kind: 'append-only' | 'snapshot';
  /** Length of the archive. */
  readonly bytes: number;
  /** Closes the files of a stream that was not read. Safe to call twice, and after the stream's end. */
  dispose(): Promise<void>;
}

export interface ReadFilesOptions {
  readonly signal: AbortSignal;
  /** The node's data directory as it is reached from here, absolute: `chooseSource` finds it. */
  readonly directory: string;
  readonly waitMs?: number;
}

/**
 * Opens the node's files at one instant: all writes that it has acknowledged before are in them.
 * @param connection stands and has nothing under way; it is used up by this, and closed
 * @throws ForgeError `refused` where the files cannot be taken as they are; `denied` where this user may not read them, or
 *   may not ask; `timeout`; `unreachable`
 */
export async function readFiles(connection: NodeConnection, options: ReadFilesOptions): Promise<FilesSource> {
  try {
    return await openFiles(connection, options);
  } catch (error) {
    options.signal.throwIfAborted();
    throw explained(error, connection.label);
  } finally {
    connection.close();
  }
}

async function openFiles(connection: NodeConnection, options: ReadFilesOptions): Promise<FilesSource> {
  const { directory, signal, waitMs = WAIT_MAX_MS } = options;
  const { label } = connection;
  signal.throwIfAborted();
  const settings = await fileSettingsOf(connection);
  const { loading, linked } = await fileStateOf(connection);
  if (loading || !linked) {
    throw new ForgeError('refused', `${label} ${loading ? 'is loading its data' : 'has no link to its master'}.`, {
      host: label,
      next: 'Take another node of the shard, or wait.',
    });
  }
  const request = { directory, settings, waitMs, signal };
  const nodes = await OpenedFile.open(path.join(directory, settings.nodesFile));
  const opened: OpenedFile[] = [nodes];
  try {
    const nodesText = await nodes.text(NODES_MAX_BYTES);
    const first = { text: nodesText, ...nodes.entry(NODES_FILE, Buffer.byteLength(nodesText)) };
    if (settings.appendOnly) {
      const { manifest, parts, state, takenAt } = await openAppendOnly(connection, request);
      opened.push(...parts.map(({ file }) => file));
      const list = { text: manifest, ...nodes.entry(MANIFEST_PATH, Buffer.byteLength(manifest)) };
      return sourceOf({ kind: 'append-only', texts: [first, list], parts, state, takenAt, opened });
    }
    const { part, state, takenAt } = await openSnapshot(connection, request);
    opened.push(part.file);
    return sourceOf({ kind: 'snapshot', texts: [first], parts: [part], state, takenAt, opened });
  } catch (error) {
    await closeAll(opened);
    throw error;
  }
}

interface Opened {
  readonly kind: FilesSource['kind'];
  /** Small files, which are in memory. */
  readonly texts: readonly (TarFile & { readonly text: string })[];
  readonly parts: readonly OpenPart[];
  readonly state: FileState;
  readonly takenAt: number;
  readonly opened: readonly OpenedFile[];
}

function sourceOf({ kind, texts, parts, state, takenAt, opened }: Opened): FilesSource {
  let closing: Promise<void> | undefined;
  const dispose = () => {
    closing ??= closeAll(opened);
    return closing;
  };
  const stream = Readable.from(archive(texts, parts, dispose), { objectMode: false });
  // A generator that was never begun does not come to its end.
  stream.once('close', () => void dispose());
  return {
    kind,
    replicationId: state.replicationId,
    offset: state.offset,
    startedAt: takenAt,
    bytes: tarBytes([...texts, ...parts].map(({ bytes }) => bytes)),
    stream,
    async dispose() {
      stream.destroy();
      await dispose();
    },
  };
}

async function* archive(
  texts: Opened['texts'],
  parts: readonly OpenPart[],
  dispose: () => Promise<void>,
): AsyncGenerator<Buffer> {
  try {
    yield* writeTar([
      ...texts.map(({ text, ...file }) => ({ file, content: once(Buffer.from(text)) })),
      ...parts.map(({ file, path: name, bytes }) => ({ file: file.entry(name, bytes), content: file.content(bytes) })),
    ]);
  } catch (error) {
    throw error instanceof TarError ? new ForgeError('refused', `A file was cut meanwhile: ${error.message}.`) : error;
  } finally {
    await dispose();
  }
}

async function* once(content: Buffer): AsyncGenerator<Buffer> {
  yield content;
}

function explained(error: unknown, label: string): unknown {
  const make = (kind: 'refused' | 'denied', why: string, next: string) =>
    new ForgeError(kind, `The files of ${label} cannot be taken: ${why}.`, { host: label, next, cause: error });
  if (error instanceof AppendManifestError) {
    return make('refused', `of its manifest, ${error.message}`, 'Look into its data directory.');
  }
  if (error instanceof RangeError) return make('refused', error.message, 'Look into its data directory.');
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EACCES' || code === 'EPERM') {
    return make('denied', message, 'Run it as the user of the server or as root, or take the network as the source.');
  }
  if (code === 'ENOENT' || code === 'ELOOP' || code === 'EINVAL' || code === 'ENOTDIR') {
    return make('refused', message, 'Is this the data directory of the node?');
  }
  return error;
}
