import type { Identity } from '../access/identity.js';
import type { UpstreamNode } from '../core/upstream-node.js';
import type { Topic } from './topic.js';

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
