import { createHash } from 'node:crypto';
import type { Bytes } from '../../../../../src/proxy/engine/bytes.js';
import { COMMANDS } from '../../../../../src/proxy/engine/commands/table.generated.js';
import type { Client } from '../../../../../src/proxy/engine/core/client.js';
import { Core } from '../../../../../src/proxy/engine/core/core.js';
import { DEFAULT_WORKER_LIMITS, type Limits } from '../../../../../src/proxy/engine/core/limits.js';
import type { NodeEntry } from '../../../../../src/proxy/engine/core/router.js';
import type { RefreshReason, Runtime, TransportEvents } from '../../../../../src/proxy/engine/core/runtime.js';
import { NO_NODE, SlotMap } from '../../../../../src/proxy/engine/core/slot-map.js';
import { ClusterKeySpace } from '../../../../../src/proxy/engine/sharding/key-space.js';
import { statsLength } from '../../../../../src/proxy/engine/stats.js';
import { checkData, checkGone, checkIdle, describe } from './checks.js';
import { ClientModel, type Temper, Violation, type Witness } from './client-model.js';
import { Clock } from './clock.js';
import {
  type ClusterModel,
  ClusterModel as Model,
  type ModelNode,
  NodeLink,
  PASSWORD,
  slotOf,
  tokenOf,
} from './cluster-model.js';
import { disturb, leave } from './faults.js';
import { Random } from './random.js';
import { decodeCommand } from './resp.js';
import { FakeSocket } from './socket.js';

const OP_TIMEOUT_MS = 1000;
const TICK_MS = 20;
/** A run that takes more steps than this goes round in circles. */
const STEPS_MAX = 400_000;

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
  readonly stats = new Float64Array(statsLength(COMMANDS.length));
  readonly upstreams = new Set<Upstream>();
  private readonly downstreams = new Set<FakeSocket>();
  private readonly risky = new Set<string>();
  private readonly deferred: (() => void)[] = [];
  private readonly messages: (() => void)[] = [];
  private readonly indices = new Map<string, number>();
  private listed = '';
  private refreshing = false;
  // What was put off to the end of the turn comes before time goes on.
  private readonly clock = new Clock(() => this.runDeferred());
  private faults = true;
  private readonly turmoil: number;
  /** Nodes refuse commands for a while (LOADING, CLUSTERDOWN). */
  readonly refusals: boolean;
  /** Clients are users of the servers'. */
  readonly passThrough: boolean;

  constructor(
    readonly seed: number,
    private readonly verbose = false,
  ) {
    const random = new Random(seed);
    this.random = random;
    this.cluster = new Model(random, () => this.clock.nowMs, random.int(2, 4), random.chance(0.5) ? PASSWORD : '');
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
    this.passThrough = random.chance(0.4);
    this.turmoil = random.pick([0, 0.003, 0.01, 0.03]);
    this.slotMap = new SlotMap(SlotMap.create());
    this.core = new Core(
      this,
      {
        adminCommands: [],
        version: '0.0.0',
        listenPort: 6379,
        worker: 0,
        workers: 1,
        processId: 1,
        ...(this.passThrough
          ? {
              upstreamAuth: { checkIntervalMs: 300, usersMax: 3 },
              access: { users: [], defaultUser: 'default', failureDelayMs: 0 },
            }
          : {}),
      },
      this.limits,
      [
        {
          settings: {
            name: 'main',
            opTimeoutMs: OP_TIMEOUT_MS,
            connectTimeoutMs: 300,
            upstreamUsername: '',
            upstreamPassword: this.cluster.password,
          },
          keySpace: new ClusterKeySpace(),
          slotMap: this.slotMap,
        },
      ],
      this.stats,
    );
    this.core.random = () => random.next();
    this.cluster.onAnswer = (node, args, reply) => {
      this.note(() => `${node.address} ${args.join(' ').slice(0, 80)} -> ${reply.slice(0, 60).trim()}`);
    };
    if (random.chance(0.3)) this.cluster.bigValue = 'b'.repeat(random.int(1000, 150_000));
    this.addClients();
    this.clock.every(TICK_MS, () => this.core.tick());
    this.clock.every(400, () => this.refresh());
    this.requestRefresh(0, 'unassigned_slot');
  }

  // ---------------------------------------------------------------- the engine's runtime

  readonly allocate = (size: number): Bytes => (size > 4096 ? Buffer.allocUnsafeSlow(size) : Buffer.alloc(size, 0xee));

  now = (): number => this.clock.nowMs;

  sha256(bytes: Uint8Array): Uint8Array {
    return createHash('sha256').update(bytes).digest();
  }

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
      if (node.silentUntil > this.clock.nowMs) return;
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

  ask(kind: string, payload: unknown, callback: (answers: unknown[]) => void): void {
    this.deferred.push(() => callback([this.core.relay.answer(kind, structuredClone(payload))]));
  }

  tell(kind: string, payload: unknown): void {
    this.ask(kind, payload, () => {});
  }

  requestRefresh(_cluster: number, reason: RefreshReason): void {
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
    const answering = this.cluster.nodes.filter((node) => node.up && node.stalledUntil <= this.clock.nowMs);
    if (answering.length === 0) {
      this.requestRefresh(0, 'unassigned_slot');
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
      if (this.passThrough) this.logIn(served, id);
      this.clients.push(client);
      this.downstreams.add(socket);
      for (const kind of ['w', 'i', 'm']) {
        for (const n of [1, 2]) this.cluster.addHotSlot(slotOf(`{t${(id + n) % 4}}${kind}`));
        this.cluster.addHotSlot(slotOf(`${kind}${id}`));
      }
    }
  }

  /** As a login that Redis has accepted does. */
  private logIn(client: Client, id: number): void {
    const user = `user${id % 3}`;
    this.cluster.users.set(id, user);
    this.core.identities.assign(client, this.core.identities.obtain(user, this.cluster.passwordOf(user)));
    this.core.access.admit(client, user, null, () => {});
  }

  atRisk(token: string): boolean {
    return this.risky.has(token);
  }

  // ---------------------------------------------------------------- time and chance

  after(delayMs: number, run: () => void): void {
    this.clock.after(delayMs, run);
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
    if (this.faults && this.random.chance(this.turmoil)) disturb(this);
    if (this.random.chance(0.1)) this.clock.advance(this.clock.nowMs + this.random.next() * 4);
    return true;
  }

  note(text: () => string): void {
    if (this.verbose) this.trace.push(`${this.clock.nowMs.toFixed(1)} ${text()}`);
  }

  // ---------------------------------------------------------------- ends of connections

  /** A connection to a node dies: the node has seen some of what was written, the proxy sees some of the replies. */
  lose(upstream: Upstream): void {
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
        if (this.clock.nowMs > untilMs) throw new Violation(`${what}: not done in time; ${describe(this)}`);
        if (!this.step()) {
          this.runDeferred();
          if (this.choices().length === 0) this.clock.advance(this.clock.nextMs);
        }
        this.sweep();
      }
    };
    runWhile(
      'load',
      () => this.clients.some(({ budget, gone, closedByProxy }) => budget > 0 && !gone && !closedByProxy),
      this.clock.nowMs + 60_000,
    );
    this.calm();
    runWhile('replies', () => this.clients.some((client) => client.busy), this.clock.nowMs + 60 * OP_TIMEOUT_MS);
    const quietMs = this.clock.nowMs + 3 * OP_TIMEOUT_MS;
    runWhile('quiet', () => this.clock.nowMs < quietMs, quietMs + 10_000);
    checkIdle(this);
    for (const client of this.clients) if (!client.gone && !client.closedByProxy) leave(this.random, client);
    const goneMs = this.clock.nowMs + 100;
    runWhile('goodbye', () => this.clock.nowMs < goneMs || this.downstreams.size > 0, goneMs + 5000);
    checkGone(this);
    checkData(this);
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
}
