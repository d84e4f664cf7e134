import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { globMatches } from '../../../../../src/proxy/engine/pubsub/glob.js';
import { type FakeClient, FakeCore } from '../support/fake-core.js';
import { decodeValue, type Value } from '../support/resp.js';

const bulk = (text: string) => `$${text.length}\r\n${text}\r\n`;
const command = (...words: string[]) => `*${words.length}\r\n${words.map(bulk).join('')}`;

/** Two masters; channels, and shard channels of one slot that the first one serves. */
const NODES = ['node0:7000', 'node1:7000'];
const NAMES = {
  subscribe: ['a', 'b', 'ab'],
  psubscribe: ['a*', '*b', 'ab'],
  ssubscribe: ['{hello}1', '{hello}2'],
} as const;
type Verb = keyof typeof NAMES;
const VERBS = Object.keys(NAMES) as Verb[];
const CLIENTS = 4;

/** A cluster that answers subscriptions and passes on what is published, as Redis does. */
class Cluster {
  readonly fake = new FakeCore(NODES.length);
  /** By node's connection: what is subscribed over it. */
  private readonly subscribed = new Map<object, Set<string>>();
  private readonly taken = new Map<object, string>();

  constructor() {
    this.fake.turn();
  }

  /** Lets the nodes answer everything that was said to them. */
  settle(): void {
    for (let left = 20; left > 0; left--) {
      let said = false;
      for (const upstream of [...this.fake.upstreams]) {
        if (upstream.socket.terminated) continue;
        let text = (this.taken.get(upstream) ?? '') + upstream.socket.take();
        if (text === '') continue;
        said = true;
        let reply = '';
        while (text !== '') {
          const { value, end } = decodeValue(Buffer.from(text, 'latin1'), 0)!;
          text = text.slice(end);
          reply += this.answer(
            upstream,
            (value as string[]).map((word) => word.slice(1)),
          );
        }
        this.taken.set(upstream, text);
        upstream.events.received(Buffer.from(reply, 'latin1'));
        this.fake.turn();
      }
      if (!said) return;
    }
    throw new Error('the nodes are asked without end');
  }

  private answer(upstream: object, [verb = '', name = '', third = '']: string[]): string {
    const word = verb.toLowerCase();
    let subscribed = this.subscribed.get(upstream);
    if (subscribed === undefined) {
      subscribed = new Set();
      this.subscribed.set(upstream, subscribed);
    }
    if (word === 'ping') return command('pong', '');
    if (word === 'hello') return `%1\r\n${bulk('proto')}:3\r\n`;
    if (word === 'publish' || word === 'spublish') throw new Error(`${name} ${third}: published at the node itself`);
    if (word.includes('unsubscribe')) subscribed.delete(`${word.replace('un', '')} ${name}`);
    else subscribed.add(`${word} ${name}`);
    return `*3\r\n${bulk(word)}${bulk(name)}:${subscribed.size}\r\n`;
  }

  /** Publishes to everybody who is subscribed at a node. */
  publish(channel: string, text: string, shard: boolean): void {
    for (const upstream of [...this.fake.upstreams]) {
      if (upstream.socket.terminated) continue;
      let bytes = '';
      for (const entry of this.subscribed.get(upstream) ?? []) {
        const [word, name] = entry.split(' ') as [string, string];
        if (shard && word === 'ssubscribe' && name === channel) bytes += command('smessage', channel, text);
        if (!shard && word === 'subscribe' && name === channel) bytes += command('message', channel, text);
        if (!shard && word === 'psubscribe' && globMatches(name, channel)) {
          bytes += command('pmessage', name, channel, text);
        }
      }
      if (bytes === '') continue;
      upstream.events.received(Buffer.from(bytes, 'latin1'));
      this.fake.turn();
    }
  }

  /** All connections with subscriptions are lost. */
  cut(): void {
    for (const upstream of [...this.fake.upstreams]) {
      if (upstream.socket.terminated || (this.subscribed.get(upstream)?.size ?? 0) === 0) continue;
      this.subscribed.delete(upstream);
      upstream.socket.terminated = true;
      upstream.events.closed('cut');
    }
    this.fake.turn();
    this.fake.pass(500);
    this.settle();
  }

  subscriptions(): string[] {
    return this.fake.upstreams.flatMap((upstream) =>
      upstream.socket.terminated ? [] : [...(this.subscribed.get(upstream) ?? [])],
    );
  }
}

/** A client, what it is subscribed to by the rules, and what it must have got. */
interface Modelled {
  client: FakeClient;
  proto: number;
  topics: Record<Verb, Set<string>>;
}

function values(text: string): Value[] {
  const bytes = Buffer.from(text, 'latin1');
  const found: Value[] = [];
  for (let at = 0; at < bytes.length; ) {
    const next = decodeValue(bytes, at)!;
    found.push(next.value);
    at = next.end;
  }
  return found;
}

const step = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant('add'), fc.nat(CLIENTS - 1), fc.constantFrom(...VERBS), fc.nat(5)) },
  { weight: 4, arbitrary: fc.tuple(fc.constant('remove'), fc.nat(CLIENTS - 1), fc.constantFrom(...VERBS), fc.nat(5)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('all'), fc.nat(CLIENTS - 1), fc.constantFrom(...VERBS), fc.nat(0)) },
  { weight: 6, arbitrary: fc.tuple(fc.constant('publish'), fc.nat(2), fc.constantFrom(...VERBS), fc.nat(5)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('leave'), fc.nat(CLIENTS - 1), fc.constantFrom(...VERBS), fc.nat(0)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('cut'), fc.nat(0), fc.constantFrom(...VERBS), fc.nat(0)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('wait'), fc.nat(0), fc.constantFrom(...VERBS), fc.nat(0)) },
);

describe('any sequence of subscriptions, messages, lost connections and leaving clients', () => {
  it('gives every client what it is subscribed to, once, and Redis’s counts', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => run(steps)),
      { numRuns: 300 },
    );
  });
});

function open(cluster: Cluster, index: number): Modelled {
  const proto = 2 + (index % 2);
  const client = cluster.fake.client();
  if (proto === 3) client.say(command('HELLO', '3'));
  return {
    client,
    proto,
    topics: { subscribe: new Set(), psubscribe: new Set(), ssubscribe: new Set() },
  };
}

function run(steps: readonly (readonly [string, number, Verb, number])[]): void {
  const cluster = new Cluster();
  const { fake } = cluster;
  const clients = Array.from({ length: CLIENTS }, (_, index) => open(cluster, index));
  let serial = 0;
  for (const [kind, who, verb, pick] of steps) {
    const each = clients[who]!;
    const names = NAMES[verb];
    const name = names[pick % names.length]!;
    const own = each.topics[verb];
    const count = () =>
      verb === 'ssubscribe' ? each.topics.ssubscribe.size : each.topics.subscribe.size + each.topics.psubscribe.size;
    const hear = (text: string) => {
      const said = each.client.say(text);
      cluster.settle();
      return values(said + each.client.socket.take());
    };
    if (kind === 'add') {
      own.add(name);
      expect(hear(command(verb, name))).toEqual([[`$${verb}`, `$${name}`, `:${count()}`]]);
    } else if (kind === 'remove') {
      own.delete(name);
      const word = verb.replace('sub', 'unsub');
      expect(hear(command(word, name))).toEqual([[`$${word}`, `$${name}`, `:${count()}`]]);
    } else if (kind === 'all') {
      const left = own.size;
      own.clear();
      const replies = hear(command(verb.replace('sub', 'unsub'))) as string[][];
      expect(replies.length).toBe(Math.max(1, left));
      expect(replies.at(-1)![2]).toBe(`:${count()}`);
    } else if (kind === 'publish') publish(cluster, clients, verb, name, `text ${serial++}`);
    else if (kind === 'leave') {
      fake.core.left(each.client.client);
      clients[who] = open(cluster, who);
    } else if (kind === 'cut') cluster.cut();
    else {
      fake.pass(600);
      cluster.settle();
    }
  }
  for (const { client } of clients) fake.core.left(client.client);
  fake.pass(600);
  cluster.settle();
  expect(cluster.subscriptions()).toEqual([]);
  expect(fake.counter('downstream_pubsub_subscriptions_active')).toBe(0);
  expect(fake.counter('upstream_pubsub_subscriptions_active')).toBe(0);
}

function publish(cluster: Cluster, clients: readonly Modelled[], verb: Verb, channel: string, text: string): void {
  const shard = verb === 'ssubscribe';
  cluster.publish(channel, text, shard);
  for (const { client, topics } of clients) {
    const expected: string[][] = [];
    if (shard && topics.ssubscribe.has(channel)) expected.push(['$smessage', `$${channel}`, `$${text}`]);
    if (!shard && topics.subscribe.has(channel)) expected.push(['$message', `$${channel}`, `$${text}`]);
    for (const pattern of shard ? [] : topics.psubscribe) {
      if (globMatches(pattern, channel)) expected.push(['$pmessage', `$${pattern}`, `$${channel}`, `$${text}`]);
    }
    const order = (list: unknown[]) => list.map((each) => JSON.stringify(each)).sort();
    expect(order(values(client.socket.take()))).toEqual(order(expected));
  }
}
