/** Which server program can read what another has written. Pure but for asking programs for their versions. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { ForgeError } from '../../errors.js';
import { findProgram } from '../../runtime/redis-server.js';

const run = promisify(execFile);
const VERSION_TIMEOUT_MS = 5_000;

export type Product = 'redis' | 'valkey';

export interface ServerKind {
  readonly product: Product;
  /** `7.0.15`. */
  readonly version: string;
}

export interface ServerProgram extends ServerKind {
  /** Absolute path. */
  readonly program: string;
}

/** Until here both write the same files: Valkey began as Redis 7.2. */
const COMMON = [7, 2] as const;
/** Valkey writes files of its own numbering from this version on. */
const VALKEY_OWN = [9, 0] as const;

type Numbers = readonly [major: number, minor: number];

export function numbersOf(version: string): Numbers {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return [major, minor];
}

const atLeast = ([major, minor]: Numbers, [otherMajor, otherMinor]: Numbers) =>
  major > otherMajor || (major === otherMajor && minor >= otherMinor);

/** Whether files of `writer` can be read by `reader`, modules aside. */
export function canRead(reader: ServerKind, writer: ServerKind): boolean {
  const mine = numbersOf(reader.version);
  const theirs = numbersOf(writer.version);
  if (reader.product === writer.product) return atLeast(mine, theirs);
  if (reader.product === 'valkey') return atLeast(COMMON, theirs);
  // A file of Valkey's own numbering says to no Redis what it holds.
  return atLeast(mine, COMMON) && !atLeast(theirs, VALKEY_OWN);
}

/** `Redis server v=7.0.15 …`, `Valkey server v=9.0.0 …`; `Server v=…` in some builds of Valkey. */
export function parseVersionLine(output: string, program: string): ServerKind | undefined {
  const version = /\bv=(\d+\.\d+\S*)/.exec(output)?.[1];
  if (version === undefined) return undefined;
  const isValkey = /valkey/i.test(output) || (!/redis/i.test(output) && /valkey/i.test(program));
  return { product: isValkey ? 'valkey' : 'redis', version };
}

export const kindText = ({ product, version }: ServerKind): string =>
  `${product === 'redis' ? 'Redis' : 'Valkey'} ${version}`;

/**
 * A server of this host that can read what `writer` has written: FORGE_REDIS_SERVER, else the first that can of
 * `redis-server` and `valkey-server` on the PATH.
 * @throws ForgeError `missing`, which says what is needed
 */
export async function chooseServer(
  writer: ServerKind,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<ServerProgram> {
  const given = environment['FORGE_REDIS_SERVER'];
  const names = given ? [given] : ['redis-server', 'valkey-server'];
  const found: ServerProgram[] = [];
  for (const name of names) {
    const program = findProgram(name, environment['PATH']);
    if (program === undefined) continue;
    const answer = await run(program, ['--version'], { timeout: VERSION_TIMEOUT_MS }).catch(() => undefined);
    const kind = answer === undefined ? undefined : parseVersionLine(answer.stdout, program);
    if (kind === undefined) continue;
    if (canRead(kind, writer)) return { ...kind, program };
    found.push({ ...kind, program });
  }
  const here = found.map((each) => `${kindText(each)} (${each.program})`).join(', ');
  const why = here === '' ? 'there is no server here' : `here is only ${here}`;
  throw new ForgeError('missing', `The backup is of ${kindText(writer)}, and ${why}, which cannot read it.`, {
    next: `Install ${kindText(writer)} or newer, or set FORGE_REDIS_SERVER to the path of one.`,
  });
}
