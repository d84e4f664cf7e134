/** A new master gets the libraries of functions that the others have: they belong to no slot, so nothing else brings them. */
import * as z from 'zod';
import { replyErrorOf } from '../../cluster/node-failure.js';
import { ForgeError } from '../../errors.js';
import { defineStep, type NodeRef, nodeRefSchema, type StepContext } from '../step.js';

/** One note of the journal has room for the names of so many libraries. */
const REMEMBERED_MAX = 10_000;

const schema = z.strictObject({
  kind: z.literal('copy-functions'),
  /** A master that serves. */
  source: nodeRefSchema,
  target: nodeRefSchema,
});

/** Code by library. */
type Libraries = ReadonlyMap<string, string>;

export const copyFunctionsStep = defineStep({
  schema,
  title: ({ source, target }) => `Copy functions from ${source.address} to ${target.address}`,
  nodes: ({ target }) => [target.id],

  async isDone(context, { source, target }) {
    return (await missing(context, source, target)).length === 0;
  },

  async apply(context, { source, target }) {
    const names = await missing(context, source, target);
    if (names.length === 0) return;
    if (context.remembered.length === 0) {
      const before = await librariesOf(context, target);
      const added = names.filter((name) => !before.has(name)).slice(0, REMEMBERED_MAX);
      await context.remember({ added });
    }
    const connection = await context.pool.get(source.id);
    const [dump] = await connection.callAll([['FUNCTION', 'DUMP']], { binary: true });
    if (dump?.status === 'rejected') throw dump.reason;
    const [restored] = await context.mutateAll(target.id, [['FUNCTION', 'RESTORE', dump?.value as Buffer, 'REPLACE']]);
    if (restored?.status === 'rejected') throw restored.reason;
    const left = await missing(context, source, target);
    if (left.length === 0) return;
    throw new ForgeError('verification', `${target.address} lacks functions after the copy: ${left.join(', ')}.`, {
      host: target.address,
      next: `Compare FUNCTION LIST of ${source.address} and ${target.address}.`,
    });
  },

  /** What was there before, under the same name, was replaced by the cluster's: that stays. */
  async undo(context, { target }) {
    const added = context.remembered.flatMap((note) => (Array.isArray(note['added']) ? note['added'] : []));
    const present = await librariesOf(context, target);
    for (const name of added) {
      if (typeof name === 'string' && present.has(name)) await context.mutate(target.id, 'FUNCTION', 'DELETE', name);
    }
  },
});

async function missing(context: StepContext, source: NodeRef, target: NodeRef): Promise<string[]> {
  const [wanted, present] = await Promise.all([librariesOf(context, source), librariesOf(context, target)]);
  return [...wanted].filter(([name, code]) => present.get(name) !== code).map(([name]) => name);
}

async function librariesOf(context: StepContext, node: NodeRef): Promise<Libraries> {
  const connection = await context.pool.get(node.id);
  // In binary: code need not be UTF-8, and two codes must not look the same.
  const [reply] = await connection.callAll([['FUNCTION', 'LIST', 'WITHCODE']], { binary: true });
  if (reply?.status === 'fulfilled') return parseLibraries(reply.value);
  // Servers before Redis 7 have no functions.
  if (/unknown command/i.test(replyErrorOf(reply?.reason) ?? '')) return new Map();
  throw reply?.reason;
}

/** Reads FUNCTION LIST WITHCODE: per library a list of names and values. */
export function parseLibraries(reply: unknown): Libraries {
  const libraries = new Map<string, string>();
  for (const entry of Array.isArray(reply) ? reply : []) {
    const fields = new Map<string, unknown>();
    for (let place = 0; Array.isArray(entry) && place + 1 < entry.length; place += 2) {
      fields.set(String(entry[place]), entry[place + 1]);
    }
    const code = fields.get('library_code');
    libraries.set(String(fields.get('library_name')), Buffer.isBuffer(code) ? code.toString('latin1') : String(code));
  }
  return libraries;
}
