/**
 * What a backup holds beside the data: users with the hashes of their passwords, functions, and the nodes' settings
 * without secrets. One object, `settings.json`.
 */
import * as z from 'zod/mini';
import { settleBounded } from '../cluster/bounded.js';
import type { NodeConnection } from '../cluster/node-connection.js';
import type { NodePool } from '../cluster/node-pool.js';
import { ForgeError } from '../errors.js';

const PARALLEL_MAX = 16;
export const SETTINGS_MAX_BYTES = 256 * 1024 * 1024;
const FORMAT = 1;

const nodeSchema = z.strictObject({
  id: z.string(),
  address: z.string(),
  /** Lines of ACL LIST: `user app on #hash ~* …`. Undefined where the user of forge may not read them. */
  users: z.optional(z.array(z.string())),
  /** FUNCTION DUMP, base64: what FUNCTION RESTORE takes. */
  functions: z.optional(z.string()),
  /** CONFIG GET *, without secrets. */
  configuration: z.optional(z.record(z.string(), z.string())),
});

const settingsSchema = z.strictObject({ format: z.literal(FORMAT), nodes: z.array(nodeSchema) });

export type NodeSettings = z.infer<typeof nodeSchema>;
export type BackupSettings = z.infer<typeof settingsSchema>;

/** Settings whose values are secrets, by their names; those of modules are named alike. */
const SECRET_NAME = /(?:^|[-_.])(?:auth|masterauth|requirepass|pass|password|passphrase|secret|token|apikey|api-key)$/;
/** What is given in the open in an ACL line; a server never answers one. */
const OPEN_PASSWORD = /^[><]/;

export const isSecretSetting = (name: string): boolean => SECRET_NAME.test(name.toLowerCase());

/** Without anything that is no hash. Pure. */
export function withoutPasswords(line: string): string {
  return line
    .split(' ')
    .filter((word) => !OPEN_PASSWORD.test(word))
    .join(' ');
}

/** CONFIG GET's pairs, without secrets, by name. Pure. */
export function plainConfiguration(reply: unknown): Record<string, string> {
  const pairs = Array.isArray(reply) ? reply.map(String) : [];
  const found: [string, string][] = [];
  for (let at = 0; at + 1 < pairs.length; at += 2) {
    const [name, value] = [pairs[at] as string, pairs[at + 1] as string];
    if (!isSecretSetting(name)) found.push([name, value]);
  }
  return Object.fromEntries(found.sort(([one], [other]) => (one < other ? -1 : 1)));
}

/**
 * Reads what the nodes have. What one of them does not answer, or does not allow, is left out.
 * @returns with a sentence for each thing that is left out
 */
export async function readNodeSettings(
  pool: NodePool,
  nodes: readonly { readonly id: string; readonly address: string }[],
): Promise<{ settings: BackupSettings; leftOut: string[] }> {
  const leftOut: string[] = [];
  const results = await settleBounded(nodes, PARALLEL_MAX, async ({ id, address }) => {
    const part = async <Value>(what: string, read: (connection: NodeConnection) => Promise<Value>) => {
      try {
        return await read(await pool.get(id));
      } catch (error) {
        if (!(error instanceof ForgeError)) throw error;
        leftOut.push(`${what} of ${address}: ${error.message}`);
        return undefined;
      }
    };
    const users = await part('users', async (node) => {
      const reply = await node.call('ACL', 'LIST');
      return (Array.isArray(reply) ? reply : []).map((line) => withoutPasswords(String(line)));
    });
    const functions = await part('functions', async (node) => {
      const [dump] = await node.callAll([['FUNCTION', 'DUMP']], { binary: true });
      if (dump?.status !== 'fulfilled') throw dump?.reason;
      return Buffer.isBuffer(dump.value) ? dump.value.toString('base64') : '';
    });
    const configuration = await part('settings', async (node) =>
      plainConfiguration(await node.call('CONFIG', 'GET', '*')),
    );
    return withoutUndefined({ id, address, users, functions, configuration });
  });
  const found = results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
  return { settings: { format: FORMAT, nodes: found }, leftOut };
}

function withoutUndefined({ id, address, ...parts }: { id: string; address: string } & Partial<NodeSettings>) {
  return { id, address, ...Object.fromEntries(Object.entries(parts).filter(([, value]) => value !== undefined)) };
}

export const writeSettings = (settings: BackupSettings): Buffer => Buffer.from(`${JSON.stringify(settings)}\n`);

/** @throws ForgeError `verification` for what is none. @param place for messages: where it is */
export function parseSettings(text: string, place: string): BackupSettings {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new ForgeError('verification', `${place} is damaged: it is no JSON.`, { cause });
  }
  const parsed = settingsSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new ForgeError('verification', `${place} is damaged: ${z.prettifyError(parsed.error).split('\n')[0]}.`);
}
