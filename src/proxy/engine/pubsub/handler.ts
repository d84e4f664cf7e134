import { type Bytes, latin1 } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import type { Handler } from '../core/handlers.js';
import { refuse } from '../core/refuse.js';
import { sendAnywhere } from '../core/send.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { introspect } from './introspection.js';
import { publish } from './publish.js';
import { TopicKind, type TopicKindNumber } from './topic.js';

/** Subscriptions, and what is published to them. */
export const pubsub: Handler = (client, entry, bytes, start, frame) => {
  const hub = client.core.pubsub;
  switch (entry.name) {
    case 'publish':
    case 'spublish':
      publish(hub, client, entry, bytes, start, frame);
      return true;
    case 'subscribe':
      return subscribe(client, entry, TopicKind.channel, bytes, frame);
    case 'psubscribe':
      return subscribe(client, entry, TopicKind.pattern, bytes, frame);
    case 'ssubscribe':
      return subscribe(client, entry, TopicKind.shard, bytes, frame);
    case 'unsubscribe':
      return unsubscribe(client, entry, TopicKind.channel, bytes, frame);
    case 'punsubscribe':
      return unsubscribe(client, entry, TopicKind.pattern, bytes, frame);
    case 'sunsubscribe':
      return unsubscribe(client, entry, TopicKind.shard, bytes, frame);
    case 'pubsub|help':
      return sendAnywhere(client, entry, bytes, start, frame);
    default:
      introspect(hub, client, entry, bytes, start, frame);
      return true;
  }
};

/** Everything before it is answered, except other commands of this kind, which are answered in their order. */
function itsTurn(client: Client): boolean {
  return client.head === null || client.pending === client.core.pubsub.subscribers.of(client)?.queue.length;
}

function namesOf(bytes: Bytes, frame: RequestFrame): string[] {
  const names: string[] = [];
  for (let i = 1; i < frame.count; i++) names.push(latin1(bytes, frame.starts[i], frame.ends[i]));
  return names;
}

function subscribe(
  client: Client,
  entry: CommandEntry,
  kind: TopicKindNumber,
  bytes: Bytes,
  frame: RequestFrame,
): boolean {
  if (!itsTurn(client)) return false;
  const { core } = client;
  const { keySpace } = core.router;
  const slots: number[] = [];
  for (let i = 1; i < frame.count; i++) slots.push(keySpace.slotOf(bytes, frame.starts[i], frame.ends[i]));
  if (kind === TopicKind.shard && keySpace.clustered && slots.some((slot) => slot !== slots[0])) {
    refuse(client, entry, "CROSSSLOT Keys in request don't hash to the same slot");
    return true;
  }
  const { subscribers } = core.pubsub;
  if (!subscribers.hasRoom(slots.length)) {
    refuse(client, entry, 'ERR the proxy has too many subscriptions');
    return true;
  }
  core.countRequest(entry);
  subscribers.subscribe(client, entry, kind, namesOf(bytes, frame), slots);
  return true;
}

function unsubscribe(
  client: Client,
  entry: CommandEntry,
  kind: TopicKindNumber,
  bytes: Bytes,
  frame: RequestFrame,
): boolean {
  if (!itsTurn(client)) return false;
  client.core.countRequest(entry);
  const names = frame.count === 1 ? null : namesOf(bytes, frame);
  client.core.pubsub.subscribers.unsubscribe(client, entry, kind, names);
  return true;
}
