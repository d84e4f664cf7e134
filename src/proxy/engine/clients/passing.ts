import type { Client } from '../core/client.js';
import type { Core } from '../core/core.js';
import { makeUnsure } from '../core/doubts.js';
import { Hold } from '../core/hold.js';
import { latin1Bytes } from '../pubsub/encode.js';
import { subscribedMode } from '../pubsub/mode.js';
import type { Topic } from '../pubsub/topic.js';

/** Bytes of a command that has not come whole, of a client that is passed on. */
export const PASSED_INPUT_BYTES_MAX = 32 * 1024;
/** Characters of what a client has called itself and its library, up to which it is passed on: all is told in one packet. */
export const PASSED_NAMES_MAX = 2 * 1024;
/** Nodes have other numbers elsewhere: it may have written to any of them. */
const WROTE_EVERYWHERE = -1;

/** A client between two commands: all that another process needs to go on with its connection. Plain data. */
export interface PassedClient {
  /** The proxy's user that it is; null before its login. */
  readonly user: string | null;
  /** Its user needed no password: it has not shown one. */
  readonly nopass: boolean;
  readonly proto: number;
  readonly muted: number;
  readonly name: string;
  readonly libName: string;
  readonly libVersion: string;
  readonly noEvict: boolean;
  readonly noTouch: boolean;
  readonly wrote: boolean;
  /** Something that it wrote may be lost; processes of before do not tell. */
  readonly unsure?: boolean;
}

/** What a client is subscribed to, in numbers of which the other process knows. A client with more is not passed on. */
export const PASSED_TOPICS_MAX = 8192;

/**
 * Whether all that there is of a client is in its connection, in `PassedClient` and in its subscriptions, or will be when
 * its commands are answered. Not of one that waits, watches, monitors or is in a transaction, nor of Redis's own users,
 * whose passwords do not leave the process.
 */
export function isPassable(client: Client): boolean {
  if (client.authenticated !== (client.account !== null)) return false;
  const subscriber = client.core.pubsub.subscribers.of(client);
  if ((subscriber?.total ?? 0) > PASSED_TOPICS_MAX) return false;
  // A subscriber leaves one thing behind when it goes.
  if (client.belongings.size > (subscriber === undefined ? 0 : 1)) return false;
  if (client.hold & (Hold.blocked | Hold.login)) return false;
  return mayBePassed(client);
}

/** What the other process has to be told of a client before it is passed on; null: not now, but soon. */
export function subscriptionsOf(client: Client): readonly Topic[] | null {
  return client.core.pubsub.subscribers.settledTopicsOf(client);
}

/** It blocks: it is passable when it has what it waits for, before it asks for anything else. */
export function isPassableAfterWait(client: Client): boolean {
  return (client.hold & Hold.blocked) !== 0 && mayBePassed(client);
}

function mayBePassed(client: Client): boolean {
  if (client.closed || client.closing || client.finished) return false;
  if (client.identity !== null || client.large !== null || client.details.monitor) return false;
  if (client.mode !== null && client.mode !== subscribedMode) return false;
  const { name, libName, libVersion } = client.details;
  if (name.length + libName.length + libVersion.length > PASSED_NAMES_MAX) return false;
  return (client.carry?.length ?? 0) <= PASSED_INPUT_BYTES_MAX;
}

/** Nothing of it is on its way. */
export function isAtRest(client: Client): boolean {
  return client.head === null && client.output.bytes === 0 && client.hold === Hold.passing;
}

/** What another process needs to go on, beside what was received and not read (`Client.carry`). */
export function passedOf(client: Client): PassedClient {
  const { account, proto, muted, wrote } = client;
  const { name, libName, libVersion, noEvict, noTouch, unsure } = client.details;
  const who = { user: account?.name ?? null, nopass: account?.nopass === true };
  const writes = { wrote: wrote !== 0, unsure: unsure !== null };
  return { ...who, proto, muted, name, libName, libVersion, noEvict, noTouch, ...writes };
}

/**
 * Makes a new client what it was in another process.
 * @param input what that had received and not read
 * @param topics what it is subscribed to
 * @returns false when it must go: its user is none any more, or may not come from there
 */
export function takeUp(
  core: Core,
  client: Client,
  passed: PassedClient,
  input: string,
  topics: readonly Topic[] = [],
): boolean {
  if (!core.access.resume(client, passed.user, passed.nopass)) return false;
  const { name, libName, libVersion, noEvict, noTouch } = passed;
  Object.assign(client.details, { name, libName, libVersion, noEvict, noTouch });
  client.proto = passed.proto;
  client.muted = passed.muted;
  core.pubsub.subscribers.inherit(client, topics);
  if (passed.wrote) client.wrote = WROTE_EVERYWHERE;
  if (passed.unsure) makeUnsure(client);
  if (input !== '') {
    client.carry = latin1Bytes(input, core.runtime.allocate);
    core.later(client);
  }
  return true;
}
