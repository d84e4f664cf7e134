import type { Identity } from '../access/identity.js';
import type { UpstreamNode } from '../core/upstream-node.js';
import { type Feed, FeedState } from './feed.js';
import type { Known } from './peers.js';
import { LinkState, type Topic } from './topic.js';

/** A user's connection to a node; no address has the character in between. */
export function feedKey(node: UpstreamNode, identity: Identity | null): string {
  return identity === null ? node.address : `${node.address} ${identity.index}`;
}

/** All topics, those of all users. */
export function* each(topics: ReadonlyMap<string, Topic>): Generator<Topic> {
  for (const first of topics.values())
    for (let topic: Topic | undefined = first; topic; topic = topic.next) yield topic;
}

/** Takes a topic out; those of other users under its name stay. */
export function remove(topics: Map<string, Topic>, topic: Topic): void {
  let before = topics.get(topic.name);
  if (before === topic) {
    if (topic.next === undefined) topics.delete(topic.name);
    else topics.set(topic.name, topic.next);
    return;
  }
  while (before !== undefined && before.next !== topic) before = before.next;
  if (before !== undefined) before.next = topic.next;
}

/** What a worker has under a name. @param first the topics of all users hang on it */
export function knownOf(first: Topic | undefined): Known {
  const known = { clients: 0, links: 0, users: 0, node: '' };
  for (let topic = first; topic !== undefined; topic = topic.next) {
    if (topic.home !== null) known.node = topic.home.address;
    // It is not where it will be yet.
    if (topic.move?.liveAtMs === Number.POSITIVE_INFINITY) known.node = topic.links[0].feed.node.address;
    const links = topic.links.filter((link) => link.state === LinkState.live).length;
    known.clients += topic.subscribers.length;
    for (const { inherited } of topic.hearers ?? []) known.clients += inherited?.subscribers.length ?? 0;
    known.links += links;
    if (links > 0) known.users++;
  }
  return known;
}

/** Adds the nodes to which a user has connections. */
export function addNodes(feeds: Iterable<Feed>, identity: Identity, nodes: Set<UpstreamNode>): void {
  for (const feed of feeds) if (feed.identity === identity && feed.state !== FeedState.idle) nodes.add(feed.node);
}

/** Of a node whose connection was lost and is not there again: longer than of any that has not failed. */
const FAILED_MS = 1;

/**
 * How long nothing is to be placed at a node. While a lost connection is made anew, what is published there is heard over
 * another node, and not over this one.
 */
export function waitMs(feeds: Iterable<Feed>, node: UpstreamNode, nowMs: number): number {
  let most = 0;
  for (const feed of feeds) {
    if (feed.node !== node || feed.state === FeedState.ready) continue;
    if (feed.state === FeedState.idle) most = Math.max(most, feed.retryAtMs - nowMs);
    if (feed.failures > 0) most = Math.max(most, FAILED_MS);
  }
  return most;
}
