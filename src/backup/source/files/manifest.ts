/**
 * The manifest of a multi-part append-only file (Redis 7.0 and later): one line a file,
 * `file NAME seq NUMBER type b|i|h [KEY VALUE]…`: the base, what came after it in order, and history that is about to be
 * deleted. Pure.
 */

/** Redis opens a further file for each rewrite that fails in a row. */
export const FILES_MAX = 1_000;
export const MANIFEST_MAX_BYTES = 1024 * 1024;
/** Redis's own names; others are quoted in the manifest, and not read here. */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,254}$/;
const SEQUENCE = /^[1-9][0-9]{0,14}$/;
const WORD = /^[A-Za-z0-9._-]{1,64}$/;
/** Pairs that a server may add to a line, such as `startoffset`. */
const PAIRS_MAX = 16;

/** As Redis calls them when nothing else is said. */
export const APPEND_DIRECTORY = 'appendonlydir';
export const APPEND_FILE = 'appendonly.aof';

export interface AppendOnlyFile {
  readonly name: string;
  readonly sequence: number;
  readonly type: 'base' | 'incremental';
  /** What else its line says. */
  readonly more: readonly string[];
}

export class AppendManifestError extends Error {
  override readonly name = 'AppendManifestError';
}

/**
 * The files that hold the data, in the order in which a server loads them: at most one base, first.
 * @throws AppendManifestError for what is no such manifest
 */
export function parseAppendManifest(text: string): AppendOnlyFile[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
  const files = lines.flatMap((line) => parseLine(line.replace(/\r$/, '')) ?? []);
  if (files.length === 0) throw new AppendManifestError('it lists no file');
  if (files.length > FILES_MAX) throw new AppendManifestError(`it lists more than ${FILES_MAX} files`);
  const names = new Set(files.map(({ name }) => name));
  if (names.size < files.length) throw new AppendManifestError('it lists a file twice');
  const bases = files.filter(({ type }) => type === 'base');
  if (bases.length > 1) throw new AppendManifestError('it lists several bases');
  const rest = files.filter(({ type }) => type === 'incremental');
  const ordered = rest.every(({ sequence }, index) => index === 0 || sequence > (rest[index - 1]?.sequence ?? 0));
  if (!ordered) throw new AppendManifestError('its files are in no order');
  return [...bases, ...rest];
}

/** Undefined for history. */
function parseLine(line: string): AppendOnlyFile | undefined {
  const [fileWord, name = '', sequenceWord, sequence = '', typeWord, type, ...more] = line.split(' ');
  if (fileWord !== 'file' || sequenceWord !== 'seq' || typeWord !== 'type') {
    throw new AppendManifestError('a line of it is malformed');
  }
  if (!NAME.test(name)) throw new AppendManifestError('it names a file that cannot be named here');
  if (!SEQUENCE.test(sequence)) throw new AppendManifestError('it numbers a file by no number');
  if (more.length % 2 !== 0 || more.length > 2 * PAIRS_MAX || !more.every((word) => WORD.test(word))) {
    throw new AppendManifestError('a line of it has an end that is malformed');
  }
  if (type === 'h') return undefined;
  if (type !== 'b' && type !== 'i') throw new AppendManifestError('it has files of an unknown type');
  return { name, sequence: Number(sequence), type: type === 'b' ? 'base' : 'incremental', more };
}

/** The name that a server with plain settings gives to it. */
export function plainNameOf({ name, sequence, type }: AppendOnlyFile): string {
  if (type === 'incremental') return `${APPEND_FILE}.${sequence}.incr.aof`;
  return `${APPEND_FILE}.${sequence}.base.${name.endsWith('.rdb') ? 'rdb' : 'aof'}`;
}

/** The manifest of these files. */
export function writeAppendManifest(files: readonly AppendOnlyFile[]): string {
  const line = ({ name, sequence, type, more }: AppendOnlyFile) =>
    ['file', name, 'seq', sequence, 'type', type === 'base' ? 'b' : 'i', ...more].join(' ');
  return files.map((file) => `${line(file)}\n`).join('');
}
