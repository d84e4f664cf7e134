import { type Bytes, latin1 } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import { LaneState } from '../core/lane.js';
import { withProto } from '../core/lane-id.js';
import type { Request } from '../core/request.js';
import { beginTask, finishTask, sendPart, type Task } from '../core/task.js';
import type { UpstreamNode } from '../core/upstream-node.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { latin1Bulk, latin1Bytes } from './encode.js';
import { globMatches } from './glob.js';
import type { Hub } from './hub.js';
import { type Known, Peers } from './peers.js';
import { TopicKind, type TopicKindNumber } from './topic.js';

const MINUS = 45;

/** What the nodes said: each one's reply, by its address. */
type Replies = ReadonlyMap<string, readonly (string | number)[]>;

/**
 * PUBSUB CHANNELS, NUMSUB, NUMPAT, SHARDCHANNELS, SHARDNUMSUB: every node is asked, because each knows of those only
 * that are subscribed at it; the workers' own subscriptions are replaced by the clients behind them.
 */
export function introspect(
  hub: Hub,
  client: Client,
  entry: CommandEntry,
  bytes: Bytes,
  start: number,
  frame: RequestFrame,
): void {
  const { core } = hub;
  core.countRequest(entry);
  const args: string[] = [];
  for (let i = 2; i < frame.count; i++) args.push(latin1(bytes, frame.starts[i], frame.ends[i]));
  const merge = mergeOf(hub, entry.name, args);
  const id = withProto(client.laneId, 2);
  const nodes = [...core.router.nodes()].filter((node) => asked(node, id));
  const task = new Introspection(hub, nodes, merge);
  const parent = beginTask(client, entry, task);
  if (nodes.length === 0) {
    finishTask(core, parent, [core.texts.noUpstreamHost], true);
    return;
  }
  for (const [index, node] of nodes.entries()) {
    sendPart(parent, { bytes, start, end: frame.end, router: core.router, lane: node.lane(id), pinned: true, index });
  }
}

/** A replica that cannot be reached is not waited for. */
function asked(node: UpstreamNode, id: number): boolean {
  if (!node.listed) return false;
  const lane = node.lane(id);
  return node.masterIndex < 0 ? node.master : lane.state === LaneState.ready || lane.failures === 0;
}

class Introspection implements Task {
  private readonly replies = new Map<string, readonly (string | number)[]>();
  private error: Bytes | null = null;
  private remaining: number;

  constructor(
    private readonly hub: Hub,
    private readonly nodes: readonly UpstreamNode[],
    private readonly merge: (replies: Replies) => string,
  ) {
    this.remaining = nodes.length;
  }

  answered(part: Request): void {
    const reply = part.reply as Bytes;
    const { replyStart: start, replyEnd: end } = part;
    if (reply[start] === MINUS) this.error = reply.subarray(start, end) as Bytes;
    else this.replies.set(this.nodes[part.firstGroup].address, readFlat(reply, start, end));
    if (--this.remaining > 0) return;
    const { core } = this.hub;
    const parent = part.parent as Request;
    if (this.replies.size === 0 && this.error !== null) {
      finishTask(core, parent, [this.error], true);
      return;
    }
    this.hub.peers.whenCaughtUp(() => {
      finishTask(core, parent, [latin1Bytes(this.merge(this.replies), core.runtime.allocate)]);
    });
  }
}

function mergeOf(hub: Hub, name: string, args: readonly string[]): (replies: Replies) => string {
  switch (name) {
    case 'pubsub|channels':
      return (replies) => channels(hub, TopicKind.channel, args[0], replies);
    case 'pubsub|shardchannels':
      return (replies) => channels(hub, TopicKind.shard, args[0], replies);
    case 'pubsub|numsub':
      return (replies) => counts(hub, TopicKind.channel, args, replies);
    case 'pubsub|shardnumsub':
      return (replies) => counts(hub, TopicKind.shard, args, replies);
    default:
      return (replies) => `:${patterns(hub, replies)}\r\n`;
  }
}

/** All channels that somebody is subscribed to. */
function channels(hub: Hub, kind: TopicKindNumber, pattern: string | undefined, replies: Replies): string {
  const found = new Set<string>();
  for (const reply of replies.values()) for (const name of reply) found.add(String(name));
  const note = (name: string, clients: number) => {
    if (clients === 0) found.delete(name);
    else if (pattern === undefined || globMatches(pattern, name)) found.add(name);
  };
  // First what nobody has any more, then what somebody has.
  const known = new Map<string, number>();
  for (const name of hub.topics[kind].keys()) known.set(name, hub.known(kind, name).clients);
  for (const peer of hub.peers.all()) {
    for (const [name, { clients }] of peer.topics[kind]) known.set(name, (known.get(name) ?? 0) + clients);
  }
  for (const [name, clients] of known) note(name, clients);
  return `*${found.size}\r\n${[...found].map(latin1Bulk).join('')}`;
}

/** Name and number of subscribers, for each name. */
function counts(hub: Hub, kind: TopicKindNumber, names: readonly string[], replies: Replies): string {
  let text = `*${names.length * 2}\r\n`;
  for (const [i, name] of names.entries()) {
    let atNodes = 0;
    for (const reply of replies.values()) atNodes += Number(reply[2 * i + 1] ?? 0);
    let { clients, links } = hub.known(kind, name);
    for (const peer of hub.peers.all()) {
      const known = Peers.of(peer, kind, name);
      clients += known.clients;
      links += known.links;
    }
    text += `${latin1Bulk(name)}:${clients + Math.max(0, atNodes - links)}\r\n`;
  }
  return text;
}

/** Different patterns: the clients', and those that nodes know of beside the workers'. */
function patterns(hub: Hub, replies: Replies): number {
  const kind = TopicKind.pattern;
  const wanted = new Set<string>();
  /** Patterns that workers have at a node; a node counts each once. */
  const atNode = new Map<string, Set<string>>();
  const add = (name: string, { clients, links, users }: Known, node: string) => {
    if (clients > 0) wanted.add(name);
    for (const at of links > users ? replies.keys() : links > 0 ? [node] : []) {
      const there = atNode.get(at);
      if (there === undefined) atNode.set(at, new Set([name]));
      else there.add(name);
    }
  };
  for (const name of hub.topics[kind].keys()) {
    add(name, hub.known(kind, name), hub.placement.bus?.address ?? '');
  }
  for (const peer of hub.peers.all()) {
    for (const [name, known] of peer.topics[kind]) add(name, known, peer.node);
  }
  let total = wanted.size;
  for (const [node, reply] of replies) total += Math.max(0, Number(reply[0] ?? 0) - (atNode.get(node)?.size ?? 0));
  return total;
}

/** Reads an integer, or an array of bulk strings and integers: one character a byte. */
function readFlat(bytes: Bytes, start: number, end: number): (string | number)[] {
  const values: (string | number)[] = [];
  let at = start;
  while (at < end) {
    const type = bytes[at];
    const newline = bytes.indexOf(10, at);
    const number = Number(latin1(bytes, at + 1, newline - 1));
    at = newline + 1;
    if (type === 58) values.push(number);
    else if (type === 36 && number >= 0) {
      values.push(latin1(bytes, at, at + number));
      at += number + 2;
    }
  }
  return values;
}
