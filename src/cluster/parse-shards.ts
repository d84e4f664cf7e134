/**
 * The replies of CLUSTER SHARDS (Redis ≥ 7) and CLUSTER SLOTS (all versions) as nodes. They tell less than CLUSTER
 * NODES: no epochs, no open slots, no bus port (taken as 10,000 above the port).
 */
import { ForgeError } from '../errors.js';
import type { ClusterNode, NodeRole } from './cluster-node.js';
import { NODES_MAX } from './parse-nodes.js';
import { isSlot, normalizeSlots, SLOT_COUNT, type SlotRange } from './slots.js';

const ID = /^[0-9a-f]{40}$/;

function fail(source: string, command: string, why: string): ForgeError {
  return new ForgeError('verification', `${source} answers ${command} with something else: ${why}.`, {
    host: source,
    next: 'Check that the address is that of a Redis or Valkey node in cluster mode.',
  });
}

type Fail = (why: string) => ForgeError;

function list(value: unknown, error: Fail, what: string): unknown[] {
  if (!Array.isArray(value) || value.length > NODES_MAX + SLOT_COUNT) throw error(`${what} is no list`);
  return value;
}

/** Flat `[key, value, …]` lists, the RESP2 form of maps. */
function record(value: unknown, error: Fail, what: string): Map<string, unknown> {
  const items = list(value, error, what);
  const map = new Map<string, unknown>();
  for (let index = 0; index + 1 < items.length; index += 2) map.set(String(items[index]), items[index + 1]);
  return map;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' && value !== '?' && value.length <= 253 ? value : undefined;
}

function portOf(value: unknown, error: Fail): number {
  const port = Number(value);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw error('a port is out of range');
  return port;
}

function rangeOf(start: unknown, end: unknown, error: Fail): SlotRange {
  const range = { start: Number(start), end: Number(end) };
  if (!isSlot(range.start) || !isSlot(range.end) || range.start > range.end) throw error('a slot range is malformed');
  return range;
}

interface Described {
  id: unknown;
  ip: unknown;
  port: number;
  hostname: unknown;
  role: NodeRole;
  masterId?: string;
  flags?: string[];
  slots: SlotRange[];
}

function nodeFrom(described: Described, error: Fail): ClusterNode {
  const { role, masterId, port } = described;
  const id = String(described.id);
  if (!ID.test(id)) throw error('a node id is not 40 hexadecimal digits');
  const hostname = text(described.hostname);
  return {
    id,
    ip: text(described.ip) ?? '',
    port,
    busPort: port === 0 ? 0 : port + 10_000,
    ...(hostname === undefined ? {} : { hostname }),
    flags: [role === 'master' ? 'master' : 'slave', ...(described.flags ?? [])],
    role,
    ...(masterId === undefined ? {} : { masterId }),
    configEpoch: 0,
    linked: !(described.flags ?? []).includes('fail'),
    slots: normalizeSlots(described.slots),
    migrating: [],
    importing: [],
  };
}

function requireUnique(nodes: ClusterNode[], error: Fail): ClusterNode[] {
  if (nodes.length > NODES_MAX) throw error('too many nodes');
  if (new Set(nodes.map(({ id }) => id)).size !== nodes.length) throw error('a node appears twice');
  return nodes;
}

/**
 * Reads a reply of CLUSTER SHARDS in its RESP2 form.
 * @throws ForgeError `verification` when it is none
 */
export function parseClusterShards(reply: unknown, source = 'The node'): ClusterNode[] {
  const error: Fail = (why) => fail(source, 'CLUSTER SHARDS', why);
  const nodes: ClusterNode[] = [];
  for (const item of list(reply, error, 'the reply')) {
    const shard = record(item, error, 'a shard');
    const bounds = list(shard.get('slots'), error, 'the slots of a shard');
    const slots: SlotRange[] = [];
    for (let index = 0; index < bounds.length; index += 2) {
      slots.push(rangeOf(bounds[index], bounds[index + 1], error));
    }
    const members = list(shard.get('nodes'), error, 'the nodes of a shard').map((node) =>
      record(node, error, 'a node'),
    );
    const isMaster = (member: Map<string, unknown>) => member.get('role') === 'master';
    // A failed master stays listed beside the one that took over; the one that lives is the master.
    const masters = members.filter(isMaster);
    const master = masters.find((member) => member.get('health') !== 'fail') ?? masters[0];
    const masterId = master === undefined ? undefined : String(master.get('id'));
    for (const member of members) {
      const leads = member === master;
      nodes.push(
        nodeFrom(
          {
            id: member.get('id'),
            ip: member.get('ip'),
            port: portOf(member.get('port') ?? member.get('tls-port') ?? 0, error),
            hostname: member.get('hostname'),
            role: isMaster(member) ? 'master' : 'replica',
            masterId: isMaster(member) ? undefined : masterId,
            flags: member.get('health') === 'fail' ? ['fail'] : [],
            slots: leads ? slots : [],
          },
          error,
        ),
      );
    }
  }
  return requireUnique(nodes, error);
}

/**
 * Reads a reply of CLUSTER SLOTS; it names only nodes of shards that serve slots.
 * @throws ForgeError `verification` when it is none, or has no node ids (Redis before 3.0.1)
 */
export function parseClusterSlots(reply: unknown, source = 'The node'): ClusterNode[] {
  const error: Fail = (why) => fail(source, 'CLUSTER SLOTS', why);
  const found = new Map<string, Described>();
  for (const item of list(reply, error, 'the reply')) {
    const [start, end, ...members] = list(item, error, 'a range');
    const range = rangeOf(start, end, error);
    let masterId: string | undefined;
    for (const [position, member] of members.entries()) {
      const [ip, port, id, metadata] = list(member, error, 'a node');
      const key = String(id);
      const isMaster = position === 0;
      if (isMaster) masterId = key;
      const known = found.get(key) ?? {
        id,
        ip,
        port: portOf(port, error),
        hostname: metadata === undefined ? undefined : record(metadata, error, 'the metadata').get('hostname'),
        role: isMaster ? ('master' as const) : ('replica' as const),
        ...(isMaster ? {} : { masterId }),
        slots: [],
      };
      if ((known.role === 'master') !== isMaster) throw error('a node is master and replica at once');
      if (isMaster) known.slots.push(range);
      found.set(key, known);
    }
  }
  return requireUnique(
    [...found.values()].map((described) => nodeFrom(described, error)),
    error,
  );
}
