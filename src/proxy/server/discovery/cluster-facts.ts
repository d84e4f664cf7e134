import type { ClusterFacts, ModuleFacts } from '../../engine/core/facts.js';
import type { Reply } from '../../engine/resp/decode.js';

/** A node is asked again after this time: it may have been upgraded. */
export const FACTS_INTERVAL_MS = 60_000;

interface Asked {
  command(args: readonly string[], timeoutMs: number): Promise<Reply>;
}

/**
 * Asks one node what it is, over a RESP2 connection. Rejects when it does not answer within `timeoutMs`.
 * @returns null when the node says no version
 */
export async function askFacts(client: Asked, timeoutMs: number): Promise<ClusterFacts | null> {
  const info = await client.command(['INFO', 'server'], timeoutMs);
  return readFacts(info, await client.command(['HELLO'], timeoutMs));
}

/** Facts from the replies to INFO and HELLO; a server that refuses HELLO is taken for a Redis without modules. */
export function readFacts(info: Reply, hello: Reply): ClusterFacts | null {
  const redisVersion = typeof info === 'string' ? /^redis_version:(\S+)/m.exec(info)?.[1] : undefined;
  if (redisVersion === undefined) return null;
  const fields = pairs(hello);
  const modules = fields.get('modules');
  return {
    redisVersion,
    server: text(fields.get('server')) || 'redis',
    version: text(fields.get('version')) || redisVersion,
    modules: Array.isArray(modules) ? modules.map(readModule).filter(({ name }) => name !== '') : [],
  };
}

export function equalFacts(one: ClusterFacts, other: ClusterFacts | null): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function readModule(reply: Reply): ModuleFacts {
  const fields = pairs(reply);
  const version = Number(fields.get('ver'));
  const args = fields.get('args');
  return {
    name: text(fields.get('name')),
    version: Number.isSafeInteger(version) ? version : 0,
    // Before Redis 7.0 there is neither.
    path: fields.has('path') ? text(fields.get('path')) : null,
    args: Array.isArray(args) ? args.map(text) : null,
  };
}

/** RESP2's flat array of names and values. */
function pairs(reply: Reply): Map<string, Reply> {
  const fields = new Map<string, Reply>();
  if (!Array.isArray(reply)) return fields;
  for (let i = 0; i + 1 < reply.length; i += 2) fields.set(text(reply[i]), reply[i + 1]);
  return fields;
}

const text = (reply: Reply | undefined) => (typeof reply === 'string' ? reply : '');
