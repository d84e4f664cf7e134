/**
 * The reply of CLUSTER NODES. Its lines are
 * `<id> <ip>:<port>@<bus port>[,<hostname>[,<key>=<value>…]] <flags> <master> <ping> <pong> <epoch> <link> <slot>…`
 * (https://redis.io/docs/latest/commands/cluster-nodes). The text comes from the network and is trusted in nothing.
 */
import { ForgeError } from '../errors.js';
import type { ClusterNode, OpenSlot } from './cluster-node.js';
import { isSlot, normalizeSlots, type SlotRange } from './slots.js';

/** A table of 10,000 nodes with 16,384 single slots is below 4 MB. */
const TEXT_LENGTH_MAX = 16 * 1024 * 1024;
export const NODES_MAX = 20_000;
const FIELDS_BEFORE_SLOTS = 8;

const ID = /^[0-9a-f]{40}$/;
const FLAGS = /^[a-z?-]+(,[a-z?-]+)*$/;
const HOST = /^[A-Za-z0-9._:%-]{0,253}$/;

class Malformed extends Error {}

function number(text: string | undefined, max: number, what: string): number {
  const value = text !== undefined && /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= max)) throw new Malformed(`${what} is not a number up to ${max}`);
  return value;
}

function parseEndpoint(text: string): Pick<ClusterNode, 'ip' | 'port' | 'busPort' | 'hostname'> {
  const [address = '', hostname, ...auxiliary] = text.split(',');
  const at = address.lastIndexOf('@');
  const beforeBus = at < 0 ? address : address.slice(0, at);
  const colon = beforeBus.lastIndexOf(':');
  if (colon < 0) throw new Malformed('the address has no port');
  const ip = beforeBus.slice(0, colon);
  const port = number(beforeBus.slice(colon + 1), 65_535, 'the port');
  // Redis 3 gave no bus port; it was always 10,000 above.
  const busPort = at < 0 ? port + 10_000 : number(address.slice(at + 1), 75_535, 'the bus port');
  // The third field may also be the first key=value pair, as in nodes.conf of Redis 7.2.
  const name = hostname === undefined || hostname === '' || hostname.includes('=') ? undefined : hostname;
  if (!HOST.test(ip) || (name !== undefined && !HOST.test(name)) || auxiliary.length > 32) {
    throw new Malformed('the address is malformed');
  }
  return name === undefined ? { ip, port, busPort } : { ip, port, busPort, hostname: name };
}

interface Slots {
  ranges: SlotRange[];
  migrating: OpenSlot[];
  importing: OpenSlot[];
}

function parseSlotField(text: string, into: Slots): void {
  const open = /^\[([0-9]{1,5})-([<>])-([0-9a-f]{40})\]$/.exec(text);
  if (open !== null) {
    const slot = Number(open[1]);
    if (!isSlot(slot)) throw new Malformed('an open slot is out of range');
    into[open[2] === '>' ? 'migrating' : 'importing'].push({ slot, peerId: open[3] as string });
    return;
  }
  const range = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(text);
  const start = Number(range?.[1]);
  const end = range?.[2] === undefined ? start : Number(range[2]);
  if (range === null || !isSlot(start) || !isSlot(end) || start > end) throw new Malformed('a slot range is malformed');
  into.ranges.push({ start, end });
}

function parseLine(line: string): ClusterNode {
  const fields = line.split(' ').filter((field) => field !== '');
  if (fields.length < FIELDS_BEFORE_SLOTS) throw new Malformed('fields are missing');
  const [id = '', endpoint = '', flagText = '', master = '', , , epoch, link] = fields;
  if (!ID.test(id)) throw new Malformed('the node id is not 40 hexadecimal digits');
  if (!FLAGS.test(flagText)) throw new Malformed('the flags are malformed');
  if (master !== '-' && !ID.test(master)) throw new Malformed('the master is no node id');
  if (link !== 'connected' && link !== 'disconnected') throw new Malformed('the link state is unknown');
  const flags = flagText.split(',').filter((flag) => flag !== 'noflags');
  const slots: Slots = { ranges: [], migrating: [], importing: [] };
  for (const field of fields.slice(FIELDS_BEFORE_SLOTS)) parseSlotField(field, slots);
  return {
    id,
    ...parseEndpoint(endpoint),
    flags,
    role: flags.includes('slave') || flags.includes('replica') ? 'replica' : 'master',
    ...(master === '-' ? {} : { masterId: master }),
    configEpoch: number(epoch, Number.MAX_SAFE_INTEGER, 'the configuration epoch'),
    linked: link === 'connected',
    slots: normalizeSlots(slots.ranges),
    migrating: slots.migrating,
    importing: slots.importing,
  };
}

/**
 * Lines that were read before. The nodes of a cluster describe each other in the same words, but for the times of their
 * last pings: of a thousand tables of a thousand lines each, nearly all lines are known.
 */
export type KnownLines = Map<string, ClusterNode>;

const TIMES = /^[0-9]{1,16} [0-9]{1,16}$/;

/** The line without the times, which are not read; undefined where something else stands in their place. */
function wordsOf(line: string): string | undefined {
  let start = -1;
  for (let field = 0; field < 4; field++) start = line.indexOf(' ', start + 1);
  const end = line.indexOf(' ', line.indexOf(' ', start + 1) + 1);
  if (start < 0 || end <= start || !TIMES.test(line.slice(start + 1, end))) return undefined;
  return line.slice(0, start) + line.slice(end);
}

function readLine(line: string, known: KnownLines): ClusterNode {
  const words = wordsOf(line);
  const before = words === undefined ? undefined : known.get(words);
  if (before !== undefined) return before;
  const node = parseLine(line);
  if (words !== undefined) known.set(words, node);
  return node;
}

/**
 * Reads a reply of CLUSTER NODES.
 * @param source who answered, for the error
 * @param known shared by the tables of one cluster, to read them faster
 * @throws ForgeError `verification` when the text is not such a reply, names a node twice, or is larger than any cluster
 */
export function parseClusterNodes(text: string, source = 'The node', known: KnownLines = new Map()): ClusterNode[] {
  const fail = (why: string) =>
    new ForgeError('verification', `${source} answers CLUSTER NODES with something else: ${why}.`, {
      host: source,
      next: 'Check that the address is that of a Redis or Valkey node in cluster mode.',
    });
  if (text.length > TEXT_LENGTH_MAX) throw fail('the reply is too long');
  const lines = text.split(/\r?\n/).filter((line) => line !== '');
  if (lines.length === 0) throw fail('the reply is empty');
  if (lines.length > NODES_MAX) throw fail('too many nodes');
  const ids = new Set<string>();
  return lines.map((line, index) => {
    try {
      const node = readLine(line, known);
      if (ids.has(node.id)) throw new Malformed('the node appears twice');
      ids.add(node.id);
      return node;
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      throw fail(`line ${index + 1}: ${error.message}`);
    }
  });
}
