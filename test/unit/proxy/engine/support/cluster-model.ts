import { keySlot, SLOT_COUNT } from '../../../../../src/proxy/engine/hash/crc16.js';
import type { Random } from './random.js';
import { decodeCommand } from './resp.js';
import type { FakeSocket, Peer } from './socket.js';

/** Keys of one slot are in one shard, except while the slot is on its way. */
export interface HotSlot {
  readonly slot: number;
  owner: number;
  /** The shard that the slot is on its way to. */
  target: number | null;
}

export interface Shard {
  readonly nodes: ModelNode[];
  master: ModelNode;
}

/** Who owns what, as one node believes. */
interface View {
  owners: Map<number, number>;
  masters: ModelNode[];
}

/** What was executed by a write, in the order in which it happened. */
export interface Executed {
  readonly key: string;
  readonly token: string;
}

export const PASSWORD = 'upstream-secret';
export const BIG_KEY = 'big';
/** Whom the proxy itself logs in as. */
export const OWN_USER = 'default';
const MAP_NULL = { 2: '$-1\r\n', 3: '_\r\n' } as const;

/** A small model of a Redis Cluster: slots, migrations, failovers, views that lag behind; replication is instant. */
export class ClusterModel {
  readonly shards: Shard[] = [];
  readonly nodes: ModelNode[] = [];
  readonly hot = new Map<number, HotSlot>();
  /** Slot → shard for the slots that never move. */
  readonly base = new Uint16Array(SLOT_COUNT);
  readonly baseOwners: number[];
  /** Key → its value and the shard that holds it. */
  readonly data = new Map<string, { value: string; shard: number }>();
  readonly executed: Executed[] = [];
  /** Tokens of commands that a node refused for now (TRYAGAIN, LOADING, CLUSTERDOWN). */
  readonly refused = new Set<string>();
  /** Token → the nodes that turned the command away, for whatever reason, and when each did so first. */
  readonly turnedAwayBy = new Map<string, Map<ModelNode, number>>();
  /** Key → the nodes that served it, and when each did so last. */
  readonly servedBy = new Map<string, Map<ModelNode, number>>();
  moments = 0;
  bigValue = '';
  /** With whose rights the commands of a client must run, by its number; the proxy's own for others. */
  readonly users = new Map<number, string>();
  /** Commands that named such a client. */
  owned = 0;
  /** Sees every command with its answer. */
  onAnswer: (node: ModelNode, args: readonly string[], reply: string) => void = () => undefined;

  constructor(
    readonly random: Random,
    readonly now: () => number,
    shardCount: number,
    readonly password: string,
  ) {
    for (let s = 0; s < shardCount; s++) {
      const nodes = [0, 1].map((n) => new ModelNode(this, s, `10.0.${s}.${n}`, 7000));
      this.shards.push({ nodes, master: nodes[0] as ModelNode });
      this.nodes.push(...nodes);
    }
    // The last shard may begin without slots: the topology does not list it until a slot has moved there.
    const owners = shardCount > 2 && random.chance(0.3) ? shardCount - 1 : shardCount;
    this.baseOwners = Array.from({ length: owners }, (_, owner) => owner);
    for (let slot = 0; slot < SLOT_COUNT; slot++) this.base[slot] = Math.floor((slot * owners) / SLOT_COUNT);
    this.spreadViews();
  }

  /** What a user logs in with. */
  passwordOf(user: string): string {
    return user === OWN_USER ? this.password : `password of ${user}`;
  }

  addHotSlot(slot: number): void {
    if (!this.hot.has(slot)) this.hot.set(slot, { slot, owner: this.base[slot] as number, target: null });
    this.spreadViews();
  }

  spreadViews(): void {
    for (const node of this.nodes) node.learn();
  }

  /**
   * A node that turns a command away and then, because things changed, takes the one that is on the wire behind it:
   * nobody can help that, so the two need not keep their order.
   */
  mayBeOvertaken(token: string, key: string): boolean {
    if (this.refused.has(token)) return true;
    for (const [node, moment] of this.turnedAwayBy.get(token) ?? []) {
      if ((this.servedBy.get(key)?.get(node) ?? 0) > moment) return true;
    }
    return false;
  }

  startMigration(hot: HotSlot, target: number): void {
    if (hot.target === null && hot.owner !== target) hot.target = target;
  }

  /** Moves some keys; when none is left, the slot changes hands. */
  stepMigration(hot: HotSlot): void {
    if (hot.target === null) return;
    for (const [key, entry] of this.data) {
      if (entry.shard !== hot.owner || slotOf(key) !== hot.slot) continue;
      entry.shard = hot.target;
      if (this.random.chance(0.5)) return;
    }
    const { owner, target } = hot;
    hot.owner = target;
    hot.target = null;
    // The two that took part know at once.
    for (const shard of [owner, target]) this.shards[shard]?.master.learn();
  }

  /** The replica takes over; the old master, when it runs, is a replica from now on. */
  failOver(shard: Shard): void {
    const next = shard.nodes.find((node) => node !== shard.master && node.up);
    if (next === undefined) return;
    const old = shard.master;
    shard.master = next;
    next.learn();
    old.learn();
  }
}

export function getOr<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

export function slotOf(key: string): number {
  const bytes = Buffer.from(key, 'latin1');
  return keySlot(bytes, 0, bytes.length);
}

export class ModelNode {
  up = true;
  /** Takes no bytes, as a stopped process. */
  stalledUntil = 0;
  loadingUntil = 0;
  clusterDownUntil = 0;
  /** A connection attempt is never answered. */
  silentUntil = 0;
  view: View = { owners: new Map(), masters: [] };
  readonly links = new Set<NodeLink>();

  constructor(
    readonly cluster: ClusterModel,
    readonly shard: number,
    readonly host: string,
    readonly port: number,
  ) {}

  get address(): string {
    return `${this.host}:${this.port}`;
  }

  get isMaster(): boolean {
    return this.cluster.shards[this.shard]?.master === this;
  }

  learn(): void {
    const { hot, shards } = this.cluster;
    this.view = {
      owners: new Map([...hot.values()].map(({ slot, owner }) => [slot, owner])),
      masters: shards.map(({ master }) => master),
    };
  }

  /** What it would answer to CLUSTER SLOTS. */
  topology(): { slots: Uint16Array; nodes: ModelNode[]; masters: ModelNode[] } {
    const slots = this.cluster.base.slice();
    for (const [slot, owner] of this.view.owners) slots[slot] = owner;
    const owning = new Set([...this.cluster.baseOwners, ...this.view.owners.values()]);
    const nodes = this.cluster.nodes.filter(({ shard }) => owning.has(shard));
    return { slots, nodes, masters: this.view.masters };
  }
}

/** A node's end of a connection. */
export class NodeLink implements Peer {
  socket: FakeSocket | null = null;
  private input = Buffer.alloc(0);
  private asking = false;
  /** Commands of a transaction; null outside of one. */
  private queue: string[][] | null = null;
  private broken = false;
  private proto: 2 | 3 = 2;
  private user: string | null;

  constructor(readonly node: ModelNode) {
    this.user = node.cluster.password === '' ? OWN_USER : null;
    node.links.add(this);
  }

  get reads(): boolean {
    return this.node.up && this.node.stalledUntil <= this.node.cluster.now();
  }

  closed(): void {
    this.node.links.delete(this);
  }

  received(bytes: Buffer): void {
    this.input = Buffer.concat([this.input, bytes]);
    for (;;) {
      const command = decodeCommand(this.input, 0);
      if (command === null) return;
      this.input = this.input.subarray(command.end);
      const reply = this.execute(command.args);
      this.node.cluster.onAnswer(this.node, command.args, reply);
      if (this.proto === 3 && command.args[0] !== 'HELLO' && this.node.cluster.random.chance(0.02)) {
        this.socket?.in.put(Buffer.from('>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n'));
      }
      this.socket?.in.put(Buffer.from(reply, 'latin1'));
    }
  }

  private execute(args: string[]): string {
    const [name] = args as [string];
    if (name === 'HELLO') {
      if (args[2] === 'AUTH' && !this.logIn(args[3] as string, args[4] as string)) return '-WRONGPASS no\r\n';
      this.proto = 3;
      return '%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n';
    }
    if (name === 'AUTH') {
      const [user, password] = args.length === 2 ? [OWN_USER, args[1]] : args.slice(1);
      return this.logIn(user as string, password as string) ? '+OK\r\n' : '-WRONGPASS no\r\n';
    }
    if (this.user === null) throw new Error(`the proxy sent ${name} before it had logged in`);
    this.checkOwner(args);
    // What the proxy asks about rights before it answers these itself.
    if (name === 'PING' || name === 'ECHO') return '+PONG\r\n';
    if (name === 'ASKING') {
      this.asking = true;
      return '+OK\r\n';
    }
    if (name === 'MULTI') {
      this.queue = [];
      this.broken = false;
      return '+OK\r\n';
    }
    if (this.queue !== null) return this.inTransaction(this.queue, args);
    const asking = this.asking;
    this.asking = false;
    return this.serve(args, asking);
  }

  private logIn(user: string, password: string): boolean {
    if (password !== this.node.cluster.passwordOf(user)) return false;
    this.user = user;
    return true;
  }

  /** No command runs with the rights of another user than its client's. */
  private checkOwner(args: readonly string[]): void {
    const { cluster } = this.node;
    const client = clientOf(args);
    if (client === null) return;
    cluster.owned++;
    const user = cluster.users.get(client) ?? OWN_USER;
    if (user !== this.user) throw new Error(`${args.join(' ').slice(0, 80)} of ${user} ran as ${this.user}`);
  }

  /** Redis keeps the ASKING of before MULTI until EXEC. */
  private inTransaction(queue: string[][], args: string[]): string {
    if (args[0] !== 'EXEC') {
      const refusal = this.refusal(args, this.asking);
      if (refusal !== null) this.broken = true;
      else queue.push(args);
      return refusal ?? '+QUEUED\r\n';
    }
    const { asking } = this;
    this.queue = null;
    this.asking = false;
    if (this.broken) return '-EXECABORT Transaction discarded because of previous errors.\r\n';
    for (const each of queue) {
      const refusal = this.refusal(each, asking);
      if (refusal !== null) return refusal;
    }
    return `*${queue.length}\r\n${queue.map((each) => this.run(each)).join('')}`;
  }

  private serve(args: string[], asking: boolean): string {
    return this.refusal(args, asking) ?? this.run(args);
  }

  private refusal(args: string[], asking: boolean): string | null {
    const { cluster } = this.node;
    const turnedAway = this.turnAway(args, asking);
    cluster.moments++;
    if (turnedAway !== null) {
      getOr(
        getOr(cluster.turnedAwayBy, tokenOf(args), () => new Map()),
        this.node,
        () => cluster.moments,
      );
      return turnedAway;
    }
    for (const key of keysOf(args)) getOr(cluster.servedBy, key, () => new Map()).set(this.node, cluster.moments);
    return null;
  }

  /** The redirection or refusal, when it is not this node's to answer. */
  private turnAway(args: string[], asking: boolean): string | null {
    const { node } = this;
    const { cluster } = node;
    const now = cluster.now();
    const refuse = (error: string) => {
      cluster.refused.add(tokenOf(args));
      return `-${error}\r\n`;
    };
    const keys = keysOf(args);
    const slots = new Set(keys.map(slotOf));
    if (slots.size > 1) return "-CROSSSLOT Keys in request don't hash to the same slot\r\n";
    if (node.loadingUntil > now) return refuse('LOADING Redis is loading the dataset in memory');
    if (node.clusterDownUntil > now) return refuse('CLUSTERDOWN The cluster is down');
    const [slot] = slots as unknown as [number];
    const owner = node.view.owners.get(slot) ?? (cluster.base[slot] as number);
    const hot = cluster.hot.get(slot);
    const missing = keys.filter((key) => cluster.data.get(key)?.shard !== node.shard).length;
    if (node.isMaster && owner === node.shard) {
      if (hot === undefined || hot.target === null || missing === 0) return null;
      if (missing < keys.length) return refuse('TRYAGAIN Multiple keys request during rehashing of slot');
      return `-ASK ${slot} ${node.view.masters[hot.target]?.address}\r\n`;
    }
    if (node.isMaster && asking && hot?.target === node.shard) {
      if (keys.length > 1 && missing > 0) return refuse('TRYAGAIN Multiple keys request during rehashing of slot');
      return null;
    }
    return `-MOVED ${slot} ${node.view.masters[owner]?.address}\r\n`;
  }

  private run(args: string[]): string {
    const [name, first, second] = args as [string, string, string];
    const { cluster, shard } = this.node;
    const { data } = cluster;
    const write = (key: string, value: string) => {
      const held = data.get(key);
      if (held !== undefined && held.shard !== shard) throw new Error(`${key} is written in two shards`);
      data.set(key, { value, shard });
    };
    const bulk = (value: string | undefined) =>
      value === undefined ? MAP_NULL[this.proto] : `$${value.length}\r\n${value}\r\n`;
    const keys = keysOf(args);
    switch (name) {
      case 'EVAL_RO':
        return bulk(first);
      case 'EVAL': {
        const key = args[3] as string;
        write(key, (data.get(key)?.value ?? '') + first);
        cluster.executed.push({ key, token: first });
        return bulk(first);
      }
      case 'APPEND': {
        const value = (data.get(first)?.value ?? '') + second;
        write(first, value);
        cluster.executed.push({ key: first, token: tokenOf(args) });
        return `:${value.length}\r\n`;
      }
      case 'INCR': {
        const value = Number(data.get(first)?.value ?? 0) + 1;
        write(first, String(value));
        return `:${value}\r\n`;
      }
      case 'GET':
        return bulk(first === BIG_KEY ? cluster.bigValue : data.get(first)?.value);
      case 'MGET':
        return `*${keys.length}\r\n${keys.map((key) => bulk(data.get(key)?.value)).join('')}`;
      case 'MSET':
        for (let i = 1; i < args.length; i += 2) write(args[i] as string, args[i + 1] as string);
        return '+OK\r\n';
      case 'DEL':
        return `:${keys.filter((key) => data.delete(key)).length}\r\n`;
      case 'EXISTS':
        return `:${keys.filter((key) => data.has(key)).length}\r\n`;
      default:
        throw new Error(`the proxy sent ${name}, which it should not have`);
    }
  }
}

function keysOf(args: string[]): string[] {
  switch (args[0]) {
    case 'EVAL':
    case 'EVAL_RO':
      return args.slice(3, 4);
    case 'MSET':
      return args.filter((_, i) => i % 2 === 1);
    case 'MGET':
    case 'DEL':
    case 'EXISTS':
      return args.slice(1);
    default:
      return args.slice(1, 2);
  }
}

/** What names one command of one client; its first word for padded writes, the whole command for others. */
export function tokenOf(args: readonly string[]): string {
  switch (args[0]) {
    case 'EVAL':
    case 'EVAL_RO':
      return args[1] as string;
    case 'APPEND':
      return (args[2] as string).split('.')[0] as string;
    default:
      return args.join(' ');
  }
}

/** The client whose command it is, by its token or its key; null where they do not say. */
function clientOf(args: readonly string[]): number | null {
  for (const arg of args.slice(1, 4)) {
    const found = /^c(\d+)n\d+;/.exec(arg) ?? /^(?:\{t\d+\})?[wim](\d+)(?:\.\d)?$/.exec(arg);
    if (found !== null) return Number(found[1]);
  }
  return null;
}
