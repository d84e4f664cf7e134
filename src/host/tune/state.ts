/** What was changed on a host, and what was there before: the file by which --undo restores it. Pure. */
import * as z from 'zod/mini';
import { ForgeError } from '../../errors.js';
import { PATHS, type TuneChange } from './change.js';

const VERSION = 1;

const live = z.strictObject({ name: z.string(), path: z.string(), before: z.string(), set: z.string() });
const file = z.strictObject({ path: z.string(), before: z.nullable(z.string()), set: z.string() });
const link = z.strictObject({ path: z.string(), set: z.string() });
const schema = z.strictObject({
  version: z.literal(VERSION),
  /** When it was changed last, ISO 8601. */
  changedAt: z.string(),
  live: z.array(live),
  files: z.array(file),
  links: z.array(link),
  /** Folders that were made for these files. */
  folders: z.array(z.string()),
});

export type TuneState = z.infer<typeof schema>;
export type KeptLive = z.infer<typeof live>;
export type KeptFile = z.infer<typeof file>;
export type KeptLink = z.infer<typeof link>;

/** Folders that may be written to or restored in: nothing else is, whatever the file says. */
const OURS: readonly string[] = [PATHS.sysctl, PATHS.unit, PATHS.unitLink, PATHS.dockerLimits];
const LIVE = /^\/(?:proc\/sys\/[a-z0-9_/-]+|sys\/kernel\/mm\/transparent_hugepage\/enabled)$/;

export function formatState(state: TuneState): string {
  return `${JSON.stringify(state, undefined, 2)}\n`;
}

/** @throws ForgeError `configuration` when it is none, or names a file that `forge host tune` never writes */
export function parseState(text: string, host: string): TuneState {
  const bad = (why: string, cause?: unknown) =>
    new ForgeError('configuration', `${PATHS.state} on ${host} cannot be read: ${why}.`, {
      host,
      next: 'Look at it: it holds the values from before. What it lists can be restored by hand; then move it away.',
      cause,
    });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw bad('it is no JSON', cause);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw bad('it is of another version, or was changed by hand', parsed.error);
  const { live: values, files, links, folders } = parsed.data;
  const foreign = [
    ...values.filter(({ path }) => !LIVE.test(path)),
    ...[...files, ...links].filter(({ path }) => !OURS.includes(path)),
    ...folders.filter((path) => !OURS.some((file) => file.startsWith(`${path}/`))).map((path) => ({ path })),
  ];
  if (foreign[0] !== undefined) throw bad(`it names ${foreign[0].path}`);
  return parsed.data;
}

/**
 * The state after these changes. What was there before the first of several runs stays known; but where the operator chose
 * another value in between, that one is what --undo restores.
 */
export function stateAfter(
  earlier: TuneState | undefined,
  changes: readonly TuneChange[],
  made: { readonly at: string; readonly folders: readonly string[] },
): TuneState {
  const live = new Map(earlier?.live.map((each) => [each.name, each]));
  const files = new Map(earlier?.files.map((each) => [each.path, each]));
  const links = new Map(earlier?.links.map((each) => [each.path, each]));
  for (const change of changes) {
    if (change.kind === 'live') {
      const known = live.get(change.name);
      const before = known === undefined || change.before !== known.set ? change.before : known.before;
      live.set(change.name, { name: change.name, path: change.path, before, set: change.to });
    } else if (change.kind === 'file') {
      const known = files.get(change.path);
      const present = change.before ?? null;
      const before = known === undefined || present !== known.set ? present : known.before;
      files.set(change.path, { path: change.path, before, set: change.to });
    } else {
      links.set(change.path, { path: change.path, set: change.to });
    }
  }
  return {
    version: VERSION,
    changedAt: made.at,
    live: [...live.values()],
    files: [...files.values()],
    links: [...links.values()],
    folders: [...new Set([...(earlier?.folders ?? []), ...made.folders])],
  };
}
