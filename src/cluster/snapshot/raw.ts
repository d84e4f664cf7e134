/** What one node answers, word for word: read in one round trip, and able to be recorded and read again as JSON. */
import * as z from 'zod';
import type { NodeConnection } from '../node-connection.js';
import { CAPABILITY_COMMANDS, commandNames } from './capabilities.js';

export const rawNodeSchema = z.strictObject({
  /** `host:port` at which it was reached. */
  address: z.string(),
  /** The IP address at which it was reached. */
  ip: z.string(),
  port: z.int().min(1).max(65_535),
  /** Milliseconds until all replies were there. */
  latencyMs: z.number(),
  /** Replies of CLUSTER NODES, CLUSTER INFO, INFO. */
  nodes: z.string(),
  clusterInfo: z.string(),
  info: z.string(),
  /** Names that COMMAND INFO knows of those that matter. */
  commands: z.array(z.string()),
});

export type RawNode = z.infer<typeof rawNodeSchema>;

/**
 * Asks one node for all that a snapshot needs. Changes nothing.
 * @throws ForgeError what `NodeConnection.call` throws; COMMAND INFO may be forbidden, then nothing is known of its commands
 */
export async function readRaw(connection: NodeConnection): Promise<RawNode> {
  const started = performance.now();
  const [nodes, clusterInfo, info, commands] = await Promise.all([
    connection.callText('CLUSTER', 'NODES'),
    connection.callText('CLUSTER', 'INFO'),
    connection.callText('INFO'),
    connection.call('COMMAND', 'INFO', ...CAPABILITY_COMMANDS).then(commandNames, () => []),
  ]);
  return {
    address: connection.label,
    ip: connection.ip,
    port: connection.client.options.port ?? 0,
    latencyMs: Math.round((performance.now() - started) * 100) / 100,
    nodes,
    clusterInfo,
    info,
    commands,
  };
}
