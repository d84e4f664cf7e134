import { type Bytes, latin1, parseDecimal } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import { Hold } from '../core/hold.js';
import type { Request } from '../core/request.js';
import { send } from '../core/send.js';
import { beginTask, finishTask, sendPart, type Task } from '../core/task.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { globMatches } from './glob.js';
import type { Hub } from './hub.js';
import { type Known, Peers } from './peers.js';
import { TopicKind, type TopicKindNumber } from './topic.js';

const COLON = 58;
const MINUS = 45;

/**
 * PUBLISH and SPUBLISH: to the master of the channel's slot, always the same one, so that what one client publishes to
 * a channel keeps its order; see `PublishOrder` for when the slot moves. The node's answer counts every worker that is
 * subscribed there as one; those are replaced by the clients behind all of them.
 */
export function publish(
  hub: Hub,
  client: Client,
  entry: CommandEntry,
  bytes: Bytes,
  start: number,
  frame: RequestFrame,
): void {
  const { core } = hub;
  const { router } = core;
  const kind = entry.name === 'spublish' ? TopicKind.shard : TopicKind.channel;
  const from = frame.starts[1];
  const to = frame.ends[1];
  const slot = router.keySpace.slotOf(bytes, from, to);
  core.countRequest(entry);
  const { publishOrder } = hub;
  const onBus = kind === TopicKind.channel && router.keySpace.clustered;
  const waitMs = onBus ? publishOrder.waitMs(slot, router.slotMap.nodeOf(slot), core.nowMs) : 0;
  if (hub.empty && waitMs === 0) {
    send(client, entry, bytes, start, frame.end, router, slot);
    return;
  }
  const parent = beginTask(client, entry, new Publishing(hub, kind, latin1(bytes, from, to), slot));
  const part = { bytes, start, end: frame.end, router, slot };
  if (waitMs === 0) {
    sendPart(parent, part);
    return;
  }
  client.setHold(Hold.order);
  publishOrder.hold(core.nowMs + waitMs, () => {
    // Also when its client has left: Redis publishes what it has received.
    publishOrder.published(slot, router.slotMap.nodeOf(slot), core.nowMs);
    sendPart(parent, part);
  });
}

class Publishing implements Task {
  constructor(
    private readonly hub: Hub,
    private readonly kind: TopicKindNumber,
    private readonly channel: string,
    private readonly slot: number,
  ) {}

  answered(part: Request): void {
    const { core } = this.hub;
    const parent = part.parent as Request;
    const reply = part.reply as Bytes;
    const { replyStart: start, replyEnd: end } = part;
    if (reply[start] !== COLON) {
      finishTask(core, parent, [reply.subarray(start, end) as Bytes], reply[start] === MINUS);
      return;
    }
    const atNode = parseDecimal(reply, start + 1, end - 2);
    this.hub.peers.whenCaughtUp(() => this.finish(parent, atNode));
  }

  private finish(parent: Request, atNode: number): void {
    const { core } = this.hub;
    const { router } = core;
    const node = router.nodeAt(router.slotMap.nodeOf(this.slot))?.address ?? '';
    const { clients, links } = receivers(this.hub, this.kind, this.channel, node);
    finishTask(core, parent, [core.text(`:${clients + Math.max(0, atNode - links)}\r\n`)]);
  }
}

/** The clients of all workers that get a message, and how many subscriptions the workers have for it at a node. */
export function receivers(hub: Hub, kind: TopicKindNumber, channel: string, node: string): Known {
  const found = { clients: 0, links: 0, users: 0, node };
  const add = ({ clients, links, users, node: home }: Known, hubNode: string, at: TopicKindNumber) => {
    const place = at === TopicKind.channel ? home : hubNode;
    found.clients += clients;
    // One that has several has one at every master.
    if (links > users) found.links += users;
    else if (links > 0 && (at === TopicKind.shard || !hub.core.router.keySpace.clustered || place === node)) {
      found.links += users;
    }
  };
  const own = hub.placement.bus?.address ?? '';
  add(hub.known(kind, channel), own, kind);
  for (const peer of hub.peers.all()) add(Peers.of(peer, kind, channel), peer.node, kind);
  if (kind === TopicKind.shard) return found;
  for (const [pattern, topic] of hub.topics[TopicKind.pattern]) {
    if (globMatches(pattern, channel)) add(hub.known(TopicKind.pattern, topic.name), own, TopicKind.pattern);
  }
  for (const peer of hub.peers.all()) {
    for (const [pattern, known] of peer.topics[TopicKind.pattern]) {
      if (globMatches(pattern, channel)) add(known, peer.node, TopicKind.pattern);
    }
  }
  return found;
}
