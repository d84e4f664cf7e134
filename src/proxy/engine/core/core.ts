import { Access } from '../access/access.js';
import { Identities } from '../access/identities.js';
import { UpstreamAuthenticator } from '../access/upstream-authenticator.js';
import { Admission } from '../admission/admission.js';
import { type Bytes, utf8Bytes } from '../bytes.js';
import { Attention } from '../clients/attention.js';
import { Monitors } from '../clients/monitors.js';
import { Pause } from '../clients/pause.js';
import { Registry } from '../clients/registry.js';
import { Catalog, type CommandEntry } from '../commands/catalog.js';
import { OWN_COMMANDS } from '../commands/own.js';
import { COMMANDS } from '../commands/table.generated.js';
import { Faults } from '../faults/faults.js';
import { HalfMoved } from '../health/half-moved.js';
import { Observer } from '../observe/observer.js';
import { Sampler } from '../observe/sampler.js';
import { Hub } from '../pubsub/hub.js';
import { bulk } from '../resp/encode.js';
import type { Routing } from '../routing/routing.js';
import { Scripting } from '../scripting/scripting.js';
import { Counter, commandStatAt, LEARNED_COMMANDS_MAX } from '../stats.js';
import { Recorder } from '../trace/recorder.js';
import { Busy } from './busy.js';
import { Client } from './client.js';
import { tickRetiring, upstreams } from './configure.js';
import { Deadlines } from './deadlines.js';
import { hearDepartures } from './departed.js';
import { connectFailed, connectionLost } from './doubts.js';
import type { ClusterFacts } from './facts.js';
import { Guards } from './guards.js';
import { Hold } from './hold.js';
import type { Lane } from './lane.js';
import { FAREWELL_MS, FLUSHES_PER_TURN, type Limits } from './limits.js';
import { LogLimiter } from './log-limiter.js';
import { BufferPool, CLIENT_BUFFER_BYTES, POOLED_BUFFERS_MAX, UPSTREAM_BUFFER_BYTES } from './output.js';
import { Relay } from './relay.js';
import { Replies } from './replies.js';
import type { Request } from './request.js';
import { Retries } from './retries.js';
import type { Cluster, Router } from './router.js';
import type { RefreshReason, Runtime, Transport } from './runtime.js';
import type { WorkerSettings } from './settings.js';
import { SlowClients } from './slow-clients.js';
import { Texts } from './texts.js';

/** Clients that have been flushed are taken out of the list at this number. */
const FLUSHED_KEPT_MAX = 4096;

/** One worker: its clients, its upstream connections, and the commands between them. */
export class Core {
  readonly catalog = new Catalog([...COMMANDS, ...OWN_COMMANDS], LEARNED_COMMANDS_MAX - OWN_COMMANDS.length);
  readonly texts: Texts;
  readonly clientBuffers: BufferPool;
  readonly upstreamBuffers: BufferPool;
  /** The upstream clusters, in the order of the configuration; there is at least one. Others after `configure`. */
  routers: readonly Router[];
  /** The same by their numbers, which they keep; some may be missing. */
  numbered: readonly (Router | undefined)[];
  /** What serves commands without keys and keys without a route of their own: the catch-all, or else the first. */
  router: Router;
  /** Null when a Redis Cluster gets everything as it came, and its masters serve it. */
  routing: Routing | null;
  /** Clusters that are in the configuration no more and still have something to finish. */
  readonly retiring = new Set<Router>();
  /** Called after every `configure`: for what must follow and is not read at the moment of use. */
  readonly followers = new Set<() => void>();
  /** What `mapVersion` adds, so that it goes up with every configuration. */
  configured = 0;
  /** What other workers ask of this one. */
  readonly relay = new Relay();
  readonly halfMoved = new HalfMoved(this);
  /** Why commands are looked at before they are served: bits of `Attention`. 0 nearly always. */
  attention = 0;
  /** Chooses commands to look at. */
  readonly sampler = new Sampler(() => this.random());
  /** What takes how long, and what stands out. */
  readonly observer: Observer;
  /** Sampled commands, for the access log and for tracing. */
  readonly recorder: Recorder;
  readonly pause = new Pause(this);
  readonly monitors: Monitors;
  readonly faults: Faults;
  readonly replies = new Replies(this);
  readonly retries = new Retries(this);
  readonly slowClients = new SlowClients(this);
  /** Users of Redis's that clients are logged in as. */
  readonly identities = new Identities(this);
  /** What looks at clients' commands before they are served. */
  readonly guards = new Guards();
  /** Who may log in, and do what. */
  readonly access: Access;
  /** Who may come in, and how much each user may do. */
  readonly admission: Admission;
  /** Logs what clients cause, sparingly. */
  readonly logs = new LogLimiter(this);
  /** Subscriptions of this worker's clients. */
  readonly pubsub: Hub;
  readonly clients = new Set<Client>();
  /** Those of them that have commands on their way, or had some just now; not for long those that block. */
  readonly busy: Busy;
  /** How many of them block: each has one command on its way. */
  blocked = 0;
  /** Those of them that have closed their side. */
  readonly finished = new Set<Client>();
  /** Scripts and functions that clients loaded. */
  readonly scripting: Scripting;
  readonly startedMs: number;
  /** What is to be done later. */
  readonly deadlines: Deadlines;
  /** The time of the event that is being handled. */
  nowMs: number;

  private readonly dirtyClients: Client[] = [];
  /** How many of them have been flushed. */
  private flushedClients = 0;
  /**
   * Many clients get the same message. They are written to in portions, between which others are read: they must not
   * wait for a thousand writes, and what comes meanwhile goes out with what has not been written yet.
   */
  fanOut = false;
  private readonly dirtyLanes: Lane[] = [];
  private laterClients: Client[] = [];
  private deferred = false;
  private clockRead = false;
  private largeBytes = 0;
  /** Bytes of commands that wait for a connection or for a topology, as the clients count them. */
  waitingBytes = 0;
  /** The upstream connection whose bytes are being read. */
  readingLane: Lane | null = null;
  /** Clients that there were: no two ever have the same id. */
  nextClient = 0;
  private readonly countLines: (Bytes | undefined)[] = [];

  constructor(
    readonly runtime: Runtime,
    public settings: WorkerSettings,
    public limits: Limits,
    clusters: readonly Cluster[],
    readonly stats: Float64Array,
    /** The statistics of all workers, this one's among them. */
    readonly allStats: readonly Float64Array[] = [stats],
  ) {
    this.texts = new Texts(runtime.allocate);
    this.clientBuffers = new BufferPool(runtime.allocate, CLIENT_BUFFER_BYTES, POOLED_BUFFERS_MAX);
    this.upstreamBuffers = new BufferPool(runtime.allocate, UPSTREAM_BUFFER_BYTES, POOLED_BUFFERS_MAX);
    this.startedMs = this.nowMs = runtime.now();
    this.deadlines = new Deadlines(this.nowMs);
    this.busy = new Busy(stats);
    this.access = new Access(this);
    this.access.authenticator = new UpstreamAuthenticator(this, this.access);
    this.admission = new Admission(this);
    this.scripting = new Scripting(this);
    this.observer = new Observer(this);
    this.recorder = new Recorder(this);
    this.monitors = new Monitors(this);
    this.faults = new Faults(this);
    new Registry(this);
    const { routers, numbered, router, routing } = upstreams(this, { settings, limits, clusters }, null);
    this.routers = routers;
    this.numbered = numbered;
    this.router = router;
    this.routing = routing;
    this.pubsub = new Hub(this);
    hearDepartures(this);
  }

  // ---------------------------------------------------------------- the turn

  /** An event begins. The clock is read for the first one of a turn: the others follow within microseconds. */
  beginEvent(): void {
    if (this.clockRead) return;
    this.clockRead = true;
    this.nowMs = this.runtime.now();
    this.mapVersion();
    // Also when nothing is to be written: what comes later is not of this time.
    this.deferTurn();
  }

  markDirty(client: Client): void {
    client.dirty = true;
    this.dirtyClients.push(client);
    this.deferTurn();
  }

  markDirtyLane(lane: Lane): void {
    lane.dirty = true;
    this.dirtyLanes.push(lane);
    this.deferTurn();
  }

  /** Lets a client go on at the end of the turn. */
  later(client: Client): void {
    this.laterClients.push(client);
    this.deferTurn();
  }

  /** Has the end of the turn come. */
  deferTurn(): void {
    if (this.deferred) return;
    this.deferred = true;
    this.runtime.defer(this.endTurn);
  }

  /** Everything that was said in this turn goes out: one write per socket. */
  private readonly endTurn = (): void => {
    this.deferred = false;
    this.clockRead = false;
    if (this.laterClients.length > 0) {
      const clients = this.laterClients;
      this.laterClients = [];
      for (const client of clients) client.proceed();
    }
    this.retries.flush();
    const lanes = this.dirtyLanes;
    for (let i = 0; i < lanes.length; i++) lanes[i].flush();
    lanes.length = 0;
    this.flushClients();
    if (this.laterClients.length > 0) this.deferTurn();
  };

  /** Writes to all clients that have something to get; when they are the receivers of one message, to some of them. */
  private flushClients(): void {
    const clients = this.dirtyClients;
    const last = this.fanOut ? this.flushedClients + FLUSHES_PER_TURN : Number.POSITIVE_INFINITY;
    let at = this.flushedClients;
    for (; at < clients.length && at < last; at++) clients[at].flush();
    if (at < clients.length) {
      // Under a steady stream of messages there is always one left.
      if (at >= FLUSHED_KEPT_MAX) clients.splice(0, at);
      this.flushedClients = at >= FLUSHED_KEPT_MAX ? 0 : at;
      this.deferTurn();
      return;
    }
    clients.length = 0;
    this.flushedClients = 0;
    this.fanOut = false;
  }

  /** Looks after time: delayed commands, time-outs, reconnections, clients that do not read. Called every 20 ms or so. */
  tick(): void {
    this.clockRead = false;
    this.nowMs = this.runtime.now();
    this.mapVersion();
    this.retries.tick();
    for (const router of this.routers) router.tick();
    if (this.retiring.size > 0) tickRetiring(this);
    if (this.attention & Attention.halfMoved) this.halfMoved.tick();
    this.slowClients.tick();
    this.observer.tick();
    this.recorder.tick();
    this.pause.tick();
    this.pubsub.tick();
    this.identities.tick();
    this.deadlines.tick(this.nowMs);
    if (this.finished.size > 0) this.dismiss();
    this.busy.tick(this.nowMs, this.blocked);
  }

  /** Lets those go who had closed their side before they came to wait: what was there for them has had time to come. */
  private dismiss(): void {
    for (const client of this.finished) {
      if ((client.hold & Hold.blocked) === 0 || this.nowMs - client.lastActiveMs < FAREWELL_MS) continue;
      client.transport.terminate();
      this.left(client);
    }
  }

  // ---------------------------------------------------------------- clients

  accept(transport: Transport, address: string, localAddress = ''): Client {
    this.beginEvent();
    const id = this.nextClient++ * this.settings.workers + this.settings.worker + 1;
    const client = new Client(this, transport, id, address);
    client.details.localAddress = localAddress;
    this.clients.add(client);
    this.count(Counter.downstream_cx_total);
    this.count(Counter.downstream_cx_active);
    return client;
  }

  left(client: Client): void {
    if (!this.clients.delete(client)) return;
    this.finished.delete(client);
    this.add(Counter.downstream_cx_active, -1);
    this.slowClients.forget(client);
    this.admission.left(client);
    client.disconnected();
  }

  /** Closes a client's connection for a reason of the proxy's own. */
  disconnect(client: Client, reason: string, level: 'info' | 'warn' = 'warn'): void {
    this.logs.note(level, `client disconnected: ${reason}`, { client: client.address, id: client.id });
    client.transport.terminate();
    this.left(client);
  }

  reserveLarge(bytes: number): boolean {
    if (this.largeBytes + bytes > this.limits.requestBytesMax) return false;
    this.largeBytes += bytes;
    return true;
  }

  releaseLarge(bytes: number): void {
    this.largeBytes -= bytes;
  }

  // ---------------------------------------------------------------- ways

  route(request: Request): void {
    (request.router as Router).route(request);
  }

  laneLost(lane: Lane, reason: RefreshReason): void {
    if (lane.pool !== null) {
      lane.pool.lost(lane);
      return;
    }
    if (lane.retired) return;
    if (reason === 'connection_lost') connectionLost(this, lane);
    else connectFailed(this, lane.node);
    if (lane.identity !== null) this.identities.doubt(lane.identity);
    lane.router.requestRefresh(reason);
    lane.router.laneLost(lane);
  }

  // ---------------------------------------------------------------- small things

  /** What the servers of the cluster without a route of its own are. */
  get facts(): ClusterFacts {
    return this.router.facts;
  }

  /** Goes up whenever a slot map or the configuration changes. What is routed after it goes by the maps of this moment. */
  mapVersion(): number {
    const { routers } = this;
    if (routers.length === 1) return this.router.slotMap.version() + this.configured;
    let version = this.configured;
    for (const router of routers) version += router.slotMap.version();
    return version;
  }

  /** In [0, 1); jitter only. */
  random(): number {
    return Math.random();
  }

  text(text: string): Bytes {
    return utf8Bytes(text, this.runtime.allocate);
  }

  /** A bulk string reply. */
  bulk(text: string): Bytes {
    return this.text(bulk(text));
  }

  /** `*<count>\r\n` */
  countLine(count: number): Bytes {
    if (count >= 256) return this.text(`*${count}\r\n`);
    let line = this.countLines[count];
    if (line === undefined) {
      line = this.text(`*${count}\r\n`);
      this.countLines[count] = line;
    }
    return line;
  }

  count(counter: number): void {
    this.stats[counter]++;
  }

  /** A counter of one worker; 0 when there is no such worker. */
  ofWorker(worker: number, counter: number): number {
    return this.allStats[worker]?.[counter] ?? 0;
  }

  /** A counter over all workers. */
  total(counter: number): number {
    let total = 0;
    for (const stats of this.allStats) total += stats[counter];
    return total;
  }

  add(counter: number, amount: number): void {
    this.stats[counter] += amount;
  }

  countRequest(entry: CommandEntry | null): void {
    this.stats[Counter.downstream_rq_total]++;
    if (entry !== null) this.stats[commandStatAt(entry.id)]++;
  }

  countError(entry: CommandEntry): void {
    this.stats[commandStatAt(entry.id) + 1]++;
  }
}
