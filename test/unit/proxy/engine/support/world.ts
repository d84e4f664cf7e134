import type { Bytes } from '../../../../../src/proxy/engine/bytes.js';
import { COMMANDS } from '../../../../../src/proxy/engine/commands/table.generated.js';
import type { Client } from '../../../../../src/proxy/engine/core/client.js';
import { Core } from '../../../../../src/proxy/engine/core/core.js';
import { DEFAULT_WORKER_LIMITS, type Limits } from '../../../../../src/proxy/engine/core/limits.js';
import type { NodeEntry } from '../../../../../src/proxy/engine/core/router.js';
import type { RefreshReason, Runtime, TransportEvents } from '../../../../../src/proxy/engine/core/runtime.js';
import { NO_NODE, SlotMap } from '../../../../../src/proxy/engine/core/slot-map.js';
import { Counter, statsLength } from '../../../../../src/proxy/engine/stats.js';
import { ClientModel, type Temper, Violation, type Witness } from './client-model.js';
import {
  type ClusterModel,
  ClusterModel as Model,
  type ModelNode,
  NodeLink,
  PASSWORD,
  slotOf,
  tokenOf,
} from './cluster-model.js';
import { Random } from './random.js';
import { decodeCommand } from './resp.js';
import { FakeSocket } from './socket.js';

const OP_TIMEOUT_MS = 1000;
const TICK_MS = 20;
/** A run that takes more steps than this goes round in circles. */
const STEPS_MAX = 400_000;

const KINDS = [
  'lose',
  'lose',
  'migrate',
  'migrate',
  'migrate',
  'fail-over',
  'crash',
  'stall',
  'silence',
  'load',
  'down',
  'client',
  'client',
];

interface Timer {
  atMs: number;
  run(): void;
}

/** A connection to a node, with what it takes to know which commands were at risk when it died. */
interface Upstream {
  readonly socket: FakeSocket;
  readonly link: NodeLink;
  readonly tokens: string[];
}

/**
 * The engine in a world without sockets and without a clock of its own: everything that can happen next is listed, and
 * a seeded die says what does.
 */
export class World implements Runtime, Witness {
  readonly random: Random;
  readonly cluster: ClusterModel;
  readonly core: Core;
  readonly limits: Limits;
  readonly opTimeoutMs = OP_TIMEOUT_MS;
  readonly mayOverflow: boolean;
  readonly clients: ClientModel[] = [];
  losses = 0;
  readonly trace: string[] = [];

  private readonly slotMap: SlotMap;
  private readonly stats = new Float64Array(statsLength(COMMANDS.length));
  private readonly upstreams = new Set<Upstream>();
  private readonly downstreams = new Set<FakeSocket>();
  private readonly risky = new Set<string>();
  private readonly deferred: (() => void)[] = [];
  private readonly messages: (() => void)[] = [];
  private readonly timers: Timer[] = [];
  private readonly indices = new Map<string, number>();
  private listed = '';
  private refreshing = false;
  private clockMs = 1000;
  private faults = true;
  private readonly turmoil: number;
  /** Nodes refuse commands for a while (LOADING, CLUSTERDOWN). */
  private readonly refusals: boolean;

  constructor(
    readonly seed: number,
    private readonly verbose = false,
  ) {
    const random = new Random(seed);
    this.random = random;
    this.cluster = new Model(random, () => this.clockMs, random.int(2, 4), random.chance(0.5) ? PASSWORD : '');
    this.mayOverflow = random.chance(0.1);
    this.limits = {
      ...DEFAULT_WORKER_LIMITS,
      clientPendingMax: random.pick([1, 4, 64, 1000]),
      clientOutputBytesHigh: random.pick([200, 4000, 1_000_000]),
      clientOutputBytesMax: random.pick([8000, 100_000, 10_000_000]),
      clientStallMs: 200,
      clientHoldMaxMs: 60_000,
      clientUnreadMs: 2000,
      upstreamOutputBytesHigh: random.pick([100, 4000, 1_000_000]),
      upstreamInFlightMax: random.pick([3, 50, 1000]),
      waitingMax: this.mayOverflow ? 5 : 100_000,
      connectRatePerSecond: random.pick([20, 200]),
      connectBurst: random.pick([3, 100]),
    };
    this.refusals = random.chance(0.5);
    this.turmoil = random.pick([0, 0.003, 0.01, 0.03]);
    this.slotMap = new SlotMap(SlotMap.create());
    this.core = new Core(
      this,
      {
        opTimeoutMs: OP_TIMEOUT_MS,
        connectTimeoutMs: 300,
        upstreamUsername: '',
        upstreamPassword: this.cluster.password,
        authRequired: false,
        authUsername: 'default',
        authPasswords: [],
        version: '0.0.0',
        listenPort: 6379,
        worker: 0,
        workers: 1,
        processId: 1,
      },
      this.limits,
      this.slotMap,
      this.stats,
    );
    this.core.random = () => random.next();
    this.cluster.onAnswer = (node, args, reply) => {
      this.note(() => `${node.address} ${args.join(' ').slice(0, 80)} -> ${reply.slice(0, 60).trim()}`);
    };
    if (random.chance(0.3)) this.cluster.bigValue = 'b'.repeat(random.int(1000, 150_000));
    this.addClients();
    this.every(TICK_MS, () => this.core.tick());
    this.every(400, () => this.refresh());
    this.requestRefresh('unassigned_slot');
  }

  // ---------------------------------------------------------------- the engine's runtime

  readonly allocate = (size: number): Bytes => (size > 4096 ? Buffer.allocUnsafeSlow(size) : Buffer.alloc(size, 0xee));

  now = (): number => this.clockMs;

  defer(callback: () => void): void {
    this.deferred.push(callback);
  }

  log(level: string, message: string, fields?: Record<string, unknown>): void {
    this.note(() => `${level}: ${message} ${JSON.stringify(fields ?? {})}`);
  }

  connect(host: string, port: number, events: TransportEvents): void {
    const node = this.cluster.nodes.find((each) => each.host === host && each.port === port);
    if (node === undefined) throw new Error(`nobody has the address ${host}:${port}`);
    this.after(this.random.int(0, 15), () => {
      this.core.beginEvent();
      if (node.silentUntil > this.clockMs) return;
      if (node.up) this.open(node, events);
      else events.failed('connection refused');
    });
  }

  private open(node: ModelNode, events: TransportEvents): void {
    const link = new NodeLink(node);
    const tokens: string[] = [];
    let input = Buffer.alloc(0);
    const accepted = (bytes: Buffer) => {
      input = Buffer.concat([input, bytes]);
      for (let command = decodeCommand(input, 0); command !== null; command = decodeCommand(input, 0)) {
        const token = tokenOf(command.args);
        tokens.push(token);
        if (socket.peerGone) this.risky.add(token);
        input = input.subarray(command.end);
      }
    };
    const heard = {
      received: (bytes: Buffer) => events.received(bytes),
      drained: () => events.drained(),
      closed: (reason: string) => events.closed(reason),
      ended: () => undefined,
    };
    const socket = new FakeSocket(this.random, this.random.pick([200, 2000, 200_000]), heard, link, accepted);
    const upstream = { socket, link, tokens };
    link.socket = socket;
    socket.breakChance = this.faults ? this.turmoil / 10 : 0;
    socket.onBreak = () => {
      this.lose(upstream);
      socket.broken = true;
    };
    socket.onTerminate = () => this.lose(upstream);
    this.upstreams.add(upstream);
    events.opened(socket);
  }

  requestRefresh(reason: RefreshReason): void {
    this.note(() => `refresh wanted: ${reason}`);
    if (this.refreshing) return;
    this.refreshing = true;
    this.after(this.random.int(5, 60), () => {
      this.refreshing = false;
      this.refresh();
    });
  }

  // ---------------------------------------------------------------- what the main thread does

  /** Reads the topology from any node; what it says may be old, and is applied later still. */
  private refresh(): void {
    const answering = this.cluster.nodes.filter((node) => node.up && node.stalledUntil <= this.clockMs);
    if (answering.length === 0) {
      this.requestRefresh('unassigned_slot');
      return;
    }
    const { slots, nodes, masters } = this.random.pick(answering).topology();
    this.after(this.random.int(0, 30), () => {
      const entries: NodeEntry[] = nodes.map(({ host, port, address }) => ({
        index: this.indexOf(address),
        host,
        port,
      }));
      const listed = entries.map(({ index }) => index).join();
      if (listed !== this.listed) {
        this.listed = listed;
        this.messages.push(() => this.core.router.applyNodes(entries));
      }
      const indices = masters.map((node) => (nodes.includes(node) ? this.indexOf(node.address) : NO_NODE));
      // The map is shared memory: workers see it before they are told.
      for (let slot = 0; slot < slots.length; slot++) slots[slot] = indices[slots[slot] as number] as number;
      if (this.slotMap.replace(slots)) {
        this.messages.push(() => this.core.router.mapChanged());
      }
    });
  }

  private indexOf(address: string): number {
    const index = this.indices.get(address) ?? this.indices.size;
    this.indices.set(address, index);
    return index;
  }

  // ---------------------------------------------------------------- clients

  private addClients(): void {
    const tempers: Temper[] = [
      'steady',
      'steady',
      'steady',
      'steady',
      'slow',
      'leaving',
      'junk',
      'half-closing',
      'deaf',
    ];
    const count = this.random.int(2, 8);
    for (let id = 0; id < count; id++) {
      const temper = id === 0 ? 'steady' : this.random.pick(tempers);
      const client = new ClientModel(id, temper, this.random.int(10, 120), this.random, this.cluster, this);
      let served: Client | null = null;
      const socket = new FakeSocket(
        this.random,
        this.random.pick([this.cluster.bigValue === '' ? 20 : 2000, 4000, 100_000]),
        {
          received: (bytes) => served?.received(bytes),
          drained: () => served?.drained(),
          closed: () => served !== null && this.core.left(served),
          ended: () => served?.ended(),
        },
        client,
      );
      client.socket = socket;
      served = this.core.accept(socket, `client-${id}`);
      this.clients.push(client);
      this.downstreams.add(socket);
      for (const kind of ['w', 'i', 'm']) {
        for (const n of [1, 2]) this.cluster.addHotSlot(slotOf(`{t${(id + n) % 4}}${kind}`));
        this.cluster.addHotSlot(slotOf(`${kind}${id}`));
      }
    }
  }

  atRisk(token: string): boolean {
    return this.risky.has(token);
  }

  // ---------------------------------------------------------------- time and chance

  private after(delayMs: number, run: () => void): void {
    this.timers.push({ atMs: this.clockMs + delayMs, run });
  }

  private every(intervalMs: number, run: () => void): void {
    this.after(intervalMs, () => {
      run();
      this.every(intervalMs, run);
    });
  }

  private advance(untilMs: number): void {
    // What was put off to the end of the turn comes before time goes on.
    this.runDeferred();
    for (;;) {
      let next = -1;
      for (let i = 0; i < this.timers.length; i++) {
        if ((this.timers[i] as Timer).atMs > untilMs) continue;
        if (next < 0 || (this.timers[i] as Timer).atMs < (this.timers[next] as Timer).atMs) next = i;
      }
      if (next < 0) break;
      const [timer] = this.timers.splice(next, 1) as [Timer];
      this.clockMs = Math.max(this.clockMs, timer.atMs);
      timer.run();
      this.runDeferred();
    }
    this.clockMs = Math.max(this.clockMs, untilMs);
  }

  private runDeferred(): void {
    for (const callback of this.deferred.splice(0)) callback();
  }

  /** Everything that can happen now, as things to do. */
  private choices(): (() => void)[] {
    const choices: (() => void)[] = [];
    const sockets = [...this.downstreams, ...[...this.upstreams].map(({ socket }) => socket)];
    for (const socket of sockets) {
      if (socket.canReceive) choices.push(() => socket.receive());
      if (socket.canDrain) choices.push(() => socket.drain());
      if (socket.canEnd) choices.push(() => socket.endInput());
      if (socket.canClose) choices.push(() => socket.close());
      if (socket.canReachPeer) choices.push(() => socket.reachPeer());
      if (socket.canTellPeer) choices.push(() => socket.tellPeer());
    }
    if (this.messages.length > 0) choices.push(() => this.messages.shift()?.());
    for (const client of this.clients) {
      const { gone, closedByProxy, budget, expected, socket } = client;
      if (gone || closedByProxy || budget === 0 || expected.length > 60 || (socket?.in.size ?? 0) > 10_000) continue;
      choices.push(() => client.send(this.random.pick([1, 4, 20])));
    }
    return choices;
  }

  /** One thing happens. False when nothing can before time goes on. */
  private step(): boolean {
    if (this.deferred.length > 0 && this.random.chance(0.3)) this.runDeferred();
    const choices = this.choices();
    if (choices.length === 0) return false;
    this.core.beginEvent();
    this.random.pick(choices)();
    if (this.faults && this.random.chance(this.turmoil)) this.disturb();
    if (this.random.chance(0.1)) this.advance(this.clockMs + this.random.next() * 4);
    return true;
  }

  private note(text: () => string): void {
    if (this.verbose) this.trace.push(`${this.clockMs.toFixed(1)} ${text()}`);
  }

  // ---------------------------------------------------------------- what goes wrong

  private disturb(): void {
    const { random, cluster } = this;
    const until = () => this.clockMs + random.pick([20, 100, 400, 1500]);
    const node = random.pick(cluster.nodes);
    const shard = random.pick(cluster.shards);
    const client = random.pick(this.clients);
    const kind = random.pick(this.refusals ? KINDS : KINDS.filter((each) => each !== 'load' && each !== 'down'));
    this.note(() => `disturb: ${kind} ${node.address}`);
    switch (kind) {
      case 'lose': {
        const all = [...this.upstreams].filter(({ socket }) => !socket.closeReported && !socket.terminated);
        if (all.length > 0) this.lose(random.pick(all));
        return;
      }
      case 'migrate': {
        const hot = random.pick([...cluster.hot.values()]);
        cluster.startMigration(hot, random.int(0, cluster.shards.length - 1));
        const step = () => {
          cluster.stepMigration(hot);
          if (hot.target !== null) this.after(random.int(0, 30), step);
          else this.after(random.int(0, 200), () => random.pick(cluster.nodes).learn());
        };
        this.after(random.int(0, 50), step);
        this.after(random.int(100, 600), () => cluster.spreadViews());
        return;
      }
      case 'fail-over':
        cluster.failOver(shard);
        this.after(random.int(0, 300), () => cluster.spreadViews());
        return;
      case 'crash': {
        if (!node.up || cluster.nodes.filter(({ up }) => !up).length > 1) return;
        node.up = false;
        for (const upstream of [...this.upstreams]) if (upstream.link.node === node) this.lose(upstream);
        const down = random.pick([10, 200, 1500]);
        if (node.isMaster) {
          this.after(random.int(5, 400), () => {
            if (!node.up) cluster.failOver(cluster.shards[node.shard] as (typeof cluster.shards)[number]);
            this.after(random.int(0, 100), () => cluster.spreadViews());
          });
        }
        this.after(down, () => {
          node.up = true;
          node.learn();
          if (this.refusals) node.loadingUntil = this.clockMs + random.int(0, 60);
        });
        return;
      }
      case 'stall':
        node.stalledUntil = until();
        return;
      case 'silence':
        node.silentUntil = until();
        return;
      case 'load':
        node.loadingUntil = this.clockMs + random.int(1, 60);
        return;
      case 'down':
        for (const each of cluster.nodes)
          if (random.chance(0.5)) each.clusterDownUntil = this.clockMs + random.int(1, 100);
        return;
      default:
        this.disturbClient(client);
    }
  }

  private disturbClient(client: ClientModel): void {
    if (client.temper === 'leaving' && !client.gone && this.random.chance(0.3)) this.leave(client);
    if (client.temper === 'slow' || client.temper === 'deaf') {
      client.reads = false;
      if (client.temper === 'deaf') client.budget = 0;
      const pause = client.temper === 'slow' ? this.random.int(10, 150) : 100_000;
      this.after(pause, () => {
        client.reads = true;
      });
    }
  }

  private leave(client: ClientModel): void {
    client.gone = true;
    const socket = client.socket as FakeSocket;
    if (this.random.chance(0.5)) socket.in.clear();
    socket.peerGone = true;
    socket.out.clear();
  }

  /** A connection to a node dies: the node has seen some of what was written, the proxy sees some of the replies. */
  private lose(upstream: Upstream): void {
    const { socket, link } = upstream;
    if (socket.peerGone) return;
    this.note(() => `lost: ${link.node.address}`);
    this.losses++;
    for (const token of upstream.tokens) this.risky.add(token);
    if (socket.out.size > 0 && this.random.chance(0.6))
      link.received(socket.out.take(this.random.int(1, socket.out.size)));
    link.closed();
    socket.out.clear();
    if (this.random.chance(0.7)) socket.in.truncate(this.random.int(0, socket.in.size));
    socket.peerGone = true;
    if (this.random.chance(0.3)) socket.broken = true;
  }

  /** What the proxy has closed is gone; what was on its way may still be seen by the node. */
  private sweep(): void {
    for (const upstream of this.upstreams) {
      if (upstream.socket.closeReported) this.upstreams.delete(upstream);
    }
    for (const socket of this.downstreams) {
      // A peer that is told of the end closes too.
      if (socket.peerTold && !socket.terminated) socket.peerGone = true;
      if (socket.closeReported && (socket.peerTold || socket.peerGone)) this.downstreams.delete(socket);
    }
  }

  // ---------------------------------------------------------------- the run

  /** Runs to the end and checks everything. @throws Violation */
  run(): void {
    let steps = 0;
    const runWhile = (what: string, goesOn: () => boolean, untilMs: number) => {
      while (goesOn()) {
        if (steps++ > STEPS_MAX) throw new Violation(`${what}: no end after ${STEPS_MAX} steps`);
        if (this.clockMs > untilMs) throw new Violation(`${what}: not done in time; ${this.describe()}`);
        if (!this.step()) {
          this.runDeferred();
          const nextMs = Math.min(...this.timers.map(({ atMs }) => atMs));
          if (this.choices().length === 0) this.advance(nextMs);
        }
        this.sweep();
      }
    };
    runWhile(
      'load',
      () => this.clients.some(({ budget, gone, closedByProxy }) => budget > 0 && !gone && !closedByProxy),
      this.clockMs + 60_000,
    );
    this.calm();
    runWhile('replies', () => this.clients.some((client) => client.busy), this.clockMs + 60 * OP_TIMEOUT_MS);
    const quietMs = this.clockMs + 3 * OP_TIMEOUT_MS;
    runWhile('quiet', () => this.clockMs < quietMs, quietMs + 10_000);
    this.checkIdle();
    for (const client of this.clients) if (!client.gone && !client.closedByProxy) this.leave(client);
    const goneMs = this.clockMs + 100;
    runWhile('goodbye', () => this.clockMs < goneMs || this.downstreams.size > 0, goneMs + 5000);
    this.checkGone();
    this.checkData();
  }

  /** Everything is well again. */
  private calm(): void {
    this.faults = false;
    for (const node of this.cluster.nodes) {
      node.stalledUntil = node.silentUntil = node.loadingUntil = node.clusterDownUntil = 0;
      node.up = true;
    }
    for (const { socket } of this.upstreams) socket.breakChance = 0;
    for (const client of this.clients) client.reads = true;
    this.cluster.spreadViews();
    this.after(100, () => this.cluster.spreadViews());
  }

  private describe(): string {
    const clients = this.clients
      .filter((client) => client.busy)
      .map(({ id, temper, expected, budget, socket }) => ({
        id,
        temper,
        budget,
        next: expected[0]?.args.join(' ').slice(0, 60),
        waiting: expected.length,
        paused: socket?.paused,
        unread: socket?.in.size,
      }));
    const lanes = [...this.core.router.nodes()].flatMap((node) =>
      [...node.openLanes()].map((lane) => ({
        node: node.address,
        state: lane.state,
        inFlight: lane.inFlight,
        waiting: lane.waiting.length,
        pauses: lane.pauses,
      })),
    );
    return JSON.stringify({ clients, lanes });
  }

  private checkIdle(): void {
    const { replies, retries, router, slowClients } = this.core;
    const left: Record<string, number> = {
      ...emptiness('core', this.core, ['laterClients', 'largeBytes', 'dirtyClients', 'dirtyLanes']),
      ...emptiness('replies', replies, ['heldBytes']),
      ...emptiness('retries', retries),
      ...emptiness('router', router, ['unassigned']),
      ...emptiness('slowClients', slowClients),
    };
    for (const name of ['downstream_rq_active', 'upstream_rq_active', 'upstream_rq_pending_active'] as const) {
      left[name] = this.stats[Counter[name]] as number;
    }
    let ready = 0;
    for (const node of this.core.router.nodes()) {
      for (const lane of node.openLanes()) {
        const { inFlight, waiting, pauses, output, state } = lane;
        left[`${node.address} in flight`] = inFlight;
        left[`${node.address} waiting`] = waiting.length;
        Object.assign(left, emptiness(`${node.address} lane`, lane));
        left[`${node.address} pauses`] = pauses;
        left[`${node.address} output`] = output.bytes;
        if (state >= 2) ready++;
      }
    }
    left['upstream_cx_active'] = (this.stats[Counter.upstream_cx_active] as number) - ready;
    for (const client of this.core.clients) {
      left[`client ${client.id} pending`] = client.pending;
      left[`client ${client.id} output`] = client.output.bytes;
    }
    const wrong = Object.entries(left).filter(([, count]) => count !== 0);
    if (wrong.length > 0) throw new Violation(`left behind: ${JSON.stringify(Object.fromEntries(wrong))}`);
    for (const pool of [this.core.clientBuffers, this.core.upstreamBuffers]) {
      const { free } = pool as unknown as { free: Bytes[] };
      if (new Set(free).size !== free.length) throw new Violation('a buffer is in its pool twice');
    }
  }

  private checkGone(): void {
    if (this.core.clients.size > 0) throw new Violation(`${this.core.clients.size} clients are left behind`);
    const active = this.stats[Counter.downstream_cx_active];
    if (active !== 0) throw new Violation(`downstream_cx_active is ${active} without a client`);
  }

  /** No write twice, none lost that succeeded, each client's in its order. */
  private checkData(): void {
    const byKey = new Map<string, string[]>();
    for (const { key, token } of this.cluster.executed) {
      const tokens = byKey.get(key) ?? [];
      byKey.set(key, tokens);
      if (tokens.includes(token)) throw new Violation(`${token} was executed twice on ${key}`);
      tokens.push(token);
    }
    for (const client of this.clients) {
      for (const [key, sent] of client.sent) {
        const executed = byKey.get(key) ?? [];
        for (const token of client.succeeded.get(key) ?? []) {
          if (!executed.includes(token)) throw new Violation(`${token} succeeded and was not executed on ${key}`);
        }
        this.checkOrder(client, key, sent, executed);
      }
      for (const [key, count] of client.counts) {
        const value = Number(this.cluster.data.get(key)?.value ?? 0);
        if (value < count.succeeded || value > count.sent) {
          throw new Violation(`${key} is ${value} after ${count.succeeded} to ${count.sent} increments`);
        }
      }
    }
  }

  private checkOrder(client: ClientModel, key: string, sent: string[], executed: string[]): void {
    for (const [i, later] of executed.entries()) {
      for (const earlier of executed.slice(i + 1)) {
        if (sent.indexOf(earlier) > sent.indexOf(later)) continue;
        if (this.cluster.mayBeOvertaken(earlier, key)) continue;
        // Its outcome was unknown, and that is what the client was told: a stopped node may find it in its socket later.
        if (!client.succeeded.get(key)?.includes(earlier)) continue;
        throw new Violation(`${key}: ${earlier} was executed after ${later}, and sent before it`);
      }
    }
  }
}

/** How much is in each collection and counter of an object that should have nothing left. */
function emptiness(owner: string, object: object, only?: string[]): Record<string, number> {
  const sizes: Record<string, number> = {};
  for (const [name, value] of Object.entries(object)) {
    if (only !== undefined && !only.includes(name)) continue;
    if (Array.isArray(value)) sizes[`${owner} ${name}`] = value.length;
    else if (value instanceof Map || value instanceof Set) sizes[`${owner} ${name}`] = value.size;
    else if (only !== undefined && typeof value === 'number') sizes[`${owner} ${name}`] = value;
  }
  return sizes;
}
