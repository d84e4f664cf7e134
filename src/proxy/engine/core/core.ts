import { type Bytes, copyBytes, utf8Bytes } from '../bytes.js';
import { Catalog, type CommandEntry } from '../commands/catalog.js';
import { COMMANDS } from '../commands/table.generated.js';
import { bulk, encodeCommand } from '../resp/encode.js';
import { Counter, commandStatAt } from '../stats.js';
import { Client, Hold } from './client.js';
import { mergeReplies } from './fanout.js';
import type { Lane } from './lane.js';
import type { Limits } from './limits.js';
import { BufferPool } from './output.js';
import { type Redirect, readRedirect } from './redirect.js';
import { type Request, RequestState, releaseRequest } from './request.js';
import { Router } from './router.js';
import type { RefreshReason, Runtime, Transport } from './runtime.js';
import type { WorkerSettings } from './settings.js';
import type { SlotMap } from './slot-map.js';
import { Texts } from './texts.js';
import { TokenBucket } from './token-bucket.js';

const CLIENT_BUFFER_BYTES = 16 * 1024;
const UPSTREAM_BUFFER_BYTES = 128 * 1024;
const POOLED_BUFFERS_MAX = 64;

/** First wait before a command that was turned away (TRYAGAIN, LOADING, …) is sent again; it doubles. */
const RETRY_DELAY_MS = 20;
const RETRY_DELAY_MAX_MS = 250;
/** A command that is redirected more often than this waits in between: the nodes disagree for the moment. */
const QUICK_REDIRECTS = 4;

/** Kept replies up to this size are copied into slabs, which hold nothing else. */
const KEPT_COPY_BYTES_MAX = 2048;
const SLAB_BYTES = 64 * 1024;

interface Delayed {
  request: Request;
  dueMs: number;
}

/** Facts about the cluster that clients ask for. */
export interface ClusterFacts {
  /** The upstream servers' version, as INFO says it. */
  redisVersion: string;
}

/** One worker: its clients, its upstream connections, and the commands between them. */
export class Core {
  readonly catalog = new Catalog(COMMANDS);
  readonly texts: Texts;
  readonly clientBuffers: BufferPool;
  readonly upstreamBuffers: BufferPool;
  readonly router: Router;
  readonly clients = new Set<Client>();
  facts: ClusterFacts = { redisVersion: '7.0.0' };
  readonly startedMs: number;
  /** The time of the event that is being handled. */
  nowMs: number;

  private readonly connects: TokenBucket;
  private readonly dirtyClients: Client[] = [];
  private readonly dirtyLanes: Lane[] = [];
  private laterClients: Client[] = [];
  private deferred = false;
  private clockRead = false;
  private delayed: Delayed[] = [];
  private readonly watched = new Set<Client>();
  private readonly heldLanes = new Map<Client, Set<Lane>>();
  private largeBytes = 0;
  private heldBytes = 0;
  private slab: Bytes | null = null;
  private slabUsed = 0;
  /** The upstream connection whose bytes are being read. */
  readingLane: Lane | null = null;
  private nextClient = 0;
  private readonly countLines: (Bytes | undefined)[] = [];
  private readonly greetings: ({ bytes: Bytes; replies: number } | undefined)[] = [];

  constructor(
    readonly runtime: Runtime,
    public settings: WorkerSettings,
    readonly limits: Limits,
    readonly slotMap: SlotMap,
    readonly stats: Float64Array,
    /** The statistics of all workers, this one's among them. */
    private readonly allStats: readonly Float64Array[] = [stats],
  ) {
    this.texts = new Texts(runtime.allocate);
    this.clientBuffers = new BufferPool(runtime.allocate, CLIENT_BUFFER_BYTES, POOLED_BUFFERS_MAX);
    this.upstreamBuffers = new BufferPool(runtime.allocate, UPSTREAM_BUFFER_BYTES, POOLED_BUFFERS_MAX);
    this.startedMs = this.nowMs = runtime.now();
    this.connects = new TokenBucket(limits.connectRatePerSecond, limits.connectBurst, this.nowMs);
    this.router = new Router(this);
  }

  // ---------------------------------------------------------------- the turn

  /** An event begins. The clock is read for the first one of a turn: the others follow within microseconds. */
  beginEvent(): void {
    if (this.clockRead) return;
    this.clockRead = true;
    this.nowMs = this.runtime.now();
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

  private deferTurn(): void {
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
    const lanes = this.dirtyLanes;
    for (let i = 0; i < lanes.length; i++) lanes[i].flush();
    lanes.length = 0;
    const clients = this.dirtyClients;
    for (let i = 0; i < clients.length; i++) clients[i].flush();
    clients.length = 0;
    if (this.laterClients.length > 0) this.deferTurn();
  };

  /** Looks after time: delayed commands, time-outs, reconnections, clients that do not read. Called every 20 ms or so. */
  tick(): void {
    this.clockRead = false;
    this.nowMs = this.runtime.now();
    this.sendDelayed();
    this.router.tick(this.nowMs - this.settings.opTimeoutMs);
    for (const client of this.watched) this.inspect(client);
  }

  // ---------------------------------------------------------------- clients

  accept(transport: Transport, address: string): Client {
    this.beginEvent();
    const id = this.nextClient++ * this.settings.workers + this.settings.worker + 1;
    const client = new Client(this, transport, id, address);
    this.clients.add(client);
    this.count(Counter.downstream_cx_total);
    this.count(Counter.downstream_cx_active);
    return client;
  }

  left(client: Client): void {
    if (!this.clients.delete(client)) return;
    this.add(Counter.downstream_cx_active, -1);
    this.watched.delete(client);
    client.disconnected();
  }

  /** Watches a client that leaves bytes untaken. */
  watch(client: Client): void {
    if (this.watched.has(client)) return;
    client.progressMs = this.nowMs;
    this.watched.add(client);
  }

  private inspect(client: Client): void {
    if (client.closed || client.output.bytes === 0) {
      this.watched.delete(client);
      return;
    }
    const stuck = this.nowMs - client.progressMs;
    if (client.holdsUpstream !== 0 && stuck >= this.limits.clientStallMs) {
      this.count(Counter.downstream_cx_overflow_close);
      this.disconnect(client, 'it holds up an upstream connection and does not read its replies');
    } else if (stuck >= this.limits.clientUnreadMs) {
      this.count(Counter.downstream_cx_slow_close);
      this.disconnect(client, 'it does not read its replies');
    }
  }

  private disconnect(client: Client, reason: string): void {
    this.runtime.log('warn', `client disconnected: ${reason}`, { client: client.address, id: client.id });
    client.transport.terminate();
    this.left(client);
  }

  /** Stops reading an upstream connection until the client has taken what it brought. */
  holdUpstream(client: Client, lane: Lane): void {
    let lanes = this.heldLanes.get(client);
    if (lanes === undefined) {
      lanes = new Set();
      this.heldLanes.set(client, lanes);
    }
    if (lanes.has(lane)) return;
    lanes.add(lane);
    client.holdsUpstream++;
    lane.pause();
    this.watch(client);
  }

  releaseUpstreams(client: Client): void {
    client.holdsUpstream = 0;
    const lanes = this.heldLanes.get(client);
    if (lanes === undefined) return;
    this.heldLanes.delete(client);
    for (const lane of lanes) lane.resume();
  }

  reserveLarge(bytes: number): boolean {
    if (this.largeBytes + bytes > this.limits.requestBytesMax) return false;
    this.largeBytes += bytes;
    return true;
  }

  releaseLarge(bytes: number): void {
    this.largeBytes -= bytes;
  }

  // ---------------------------------------------------------------- replies

  /** A whole reply to a request that has just left its connection's order. */
  complete(request: Request, bytes: Bytes, start: number, end: number, lane: Lane): void {
    if (bytes[start] === 45 && (request.client !== null || request.parent !== null)) {
      const redirect = readRedirect(bytes, start, end);
      if (redirect !== null && this.follow(request, redirect, lane)) return;
      this.deliver(request, bytes, start, end, true);
      return;
    }
    this.deliver(request, bytes, start, end, false);
  }

  /** Gives a reply to whoever waits for it: now when it is its turn, else when it is. */
  deliver(request: Request, bytes: Bytes, start: number, end: number, isError: boolean): void {
    this.stats[Counter.upstream_rq_total]++;
    if (isError && request.entry !== null) this.stats[commandStatAt(request.entry.id) + 1]++;
    const client = request.client;
    if (client === null) {
      if (request.parent === null) releaseRequest(request);
      else this.partDone(request, bytes, start, end);
      return;
    }
    if (client.head === request) {
      client.output.append(bytes, start, end);
      if (client.output.bytes > this.limits.clientOutputBytesMax && this.readingLane !== null) {
        this.holdUpstream(client, this.readingLane);
      }
      client.advance();
      return;
    }
    this.keepReply(request, bytes, start, end);
    request.state = RequestState.done;
    this.hold(request, end - start);
  }

  /** Keeps a reply whose turn has not come. A small one is copied: it must not keep a large received chunk alive. */
  private keepReply(request: Request, bytes: Bytes, start: number, end: number): void {
    const size = end - start;
    if (size <= KEPT_COPY_BYTES_MAX && bytes.length >= size * 4) {
      if (this.slab === null || this.slabUsed + size > SLAB_BYTES) {
        this.slab = this.runtime.allocate(SLAB_BYTES);
        this.slabUsed = 0;
      }
      request.reply = this.slab;
      request.replyStart = this.slabUsed;
      this.slabUsed = request.replyEnd = copyBytes(bytes, start, end, this.slab, this.slabUsed);
      return;
    }
    request.reply = bytes;
    request.replyStart = start;
    request.replyEnd = end;
  }

  /** Counts bytes of a reply that cannot be passed on yet. The client that brings too many of them is let go. */
  hold(request: Request, size: number): void {
    request.held += size;
    this.heldBytes += size;
    if (this.heldBytes <= this.limits.heldRepliesBytesMax) return;
    const client = request.client ?? request.parent?.client;
    if (!client) return;
    this.count(Counter.downstream_cx_overflow_close);
    this.disconnect(client, 'replies wait for an earlier one, and take more memory than is allowed');
  }

  /** The held bytes of a request have been passed on or dropped. */
  unhold(request: Request): void {
    this.heldBytes -= request.held;
    request.held = 0;
  }

  private partDone(part: Request, bytes: Bytes, start: number, end: number): void {
    this.keepReply(part, bytes, start, end);
    this.hold(part, end - start);
    if (part.earlier !== null) this.joinParts(part);
    part.state = RequestState.done;
    const parent = part.parent as Request;
    const fanout = parent.fanout;
    if (fanout === null || --fanout.remaining > 0) return;
    const merged = parent.client === null ? null : mergeReplies(this, fanout);
    for (const done of fanout.parts) {
      this.unhold(done);
      releaseRequest(done);
    }
    parent.fanout = null;
    const client = parent.client;
    if (client === null || merged === null) {
      releaseRequest(parent);
      return;
    }
    if (merged.failed && parent.entry !== null) this.countError(parent.entry);
    if (client.head === parent) {
      for (const piece of merged.pieces) client.output.append(piece, 0, piece.length);
      client.advance();
      return;
    }
    parent.earlier = merged.pieces;
    parent.state = RequestState.done;
    let size = 0;
    for (const piece of merged.pieces) size += piece.length;
    this.hold(parent, size);
  }

  private joinParts(part: Request): void {
    const pieces = part.earlier as Bytes[];
    let size = part.replyEnd - part.replyStart;
    for (const piece of pieces) size += piece.length;
    const whole = this.runtime.allocate(size);
    let at = 0;
    for (const piece of pieces) at += piece.copy(whole, at, 0, piece.length);
    (part.reply as Bytes).copy(whole, at, part.replyStart, part.replyEnd);
    part.reply = whole;
    part.replyStart = 0;
    part.replyEnd = size;
    part.earlier = null;
  }

  /** Answers a request with an error of the proxy's own. */
  fail(request: Request, error: Bytes): void {
    if (request.client === null && request.parent === null) {
      releaseRequest(request);
      return;
    }
    this.count(Counter.upstream_rq_failure);
    this.dropEarlier(request);
    this.deliver(request, error, 0, error.length, true);
  }

  /** Forgets the part of a reply that has come in, because the rest will not. */
  dropEarlier(request: Request): void {
    request.earlier = null;
    this.unhold(request);
  }

  timedOut(request: Request): void {
    this.count(Counter.upstream_rq_timeout);
    this.fail(request, request.attempts === 0 ? this.texts.noUpstreamHost : this.texts.upstreamFailure);
  }

  // ---------------------------------------------------------------- ways

  route(request: Request): void {
    this.router.route(request);
  }

  /** Follows a redirection, or sends the command again a little later. False: the client gets the error. */
  private follow(request: Request, redirect: Redirect, lane: Lane): boolean {
    const expired = this.nowMs - request.startedMs >= this.settings.opTimeoutMs;
    if (redirect.type === 'retry') {
      this.count(redirect.reason === 'tryagain' ? Counter.upstream_rq_tryagain : Counter.upstream_rq_retry);
      if (redirect.reason !== 'tryagain') this.runtime.requestRefresh('cluster_down');
      if (expired || request.attempts >= this.limits.attemptsMax) return false;
      this.holdOrder(request);
      this.delay(request);
      return true;
    }
    const target = this.router.redirected(redirect, lane.node);
    if (redirect.type === 'moved') this.runtime.requestRefresh('moved');
    if (expired || request.attempts >= this.limits.attemptsMax || target === null) {
      this.fail(request, this.texts.upstreamFailure);
      return true;
    }
    this.count(redirect.type === 'moved' ? Counter.upstream_rq_moved : Counter.upstream_rq_ask);
    this.holdOrder(request);
    if (request.attempts > QUICK_REDIRECTS) {
      this.delay(request);
      return true;
    }
    request.asking = redirect.type === 'ask';
    request.state = RequestState.waiting;
    this.router.sendTo(target.lane(request.proto), request);
    return true;
  }

  /** What the client sends from now on must not overtake this command. */
  private holdOrder(request: Request): void {
    const client = request.client ?? request.parent?.client;
    client?.setHold(Hold.order);
  }

  private delay(request: Request): void {
    request.state = RequestState.waiting;
    const doubled = RETRY_DELAY_MS * 2 ** Math.min(Math.max(request.attempts - 1, 0), 8);
    const wait = Math.min(RETRY_DELAY_MAX_MS, doubled) * (0.5 + this.random() / 2);
    this.delayed.push({ request, dueMs: this.nowMs + wait });
  }

  private sendDelayed(): void {
    if (this.delayed.length === 0) return;
    const delayed = this.delayed;
    this.delayed = [];
    for (const item of delayed) {
      if (item.request.client === null && item.request.parent === null) releaseRequest(item.request);
      else if (item.dueMs <= this.nowMs) this.route(item.request);
      else this.delayed.push(item);
    }
  }

  /**
   * A connection died with this command on it. When the command cannot have been executed, or changes nothing, it is
   * sent again; otherwise nobody knows what became of it, and that is what the client is told.
   */
  interrupted(request: Request, whollyWritten: boolean): void {
    if (request.client === null && request.parent === null) {
      releaseRequest(request);
      return;
    }
    if (request.streaming) {
      // Half a reply cannot be taken back.
      if (request.client !== null) this.disconnect(request.client, 'the upstream closed in the middle of its reply');
      return;
    }
    this.dropEarlier(request);
    const expired = this.nowMs - request.startedMs >= this.settings.opTimeoutMs;
    const repeatable = !whollyWritten || request.entry?.repeatable === true;
    if (!repeatable || expired || request.attempts >= this.limits.attemptsMax) {
      this.fail(request, this.texts.upstreamFailure);
      return;
    }
    this.count(Counter.upstream_rq_retry);
    request.state = RequestState.waiting;
    this.route(request);
  }

  laneLost(lane: Lane, reason: RefreshReason): void {
    this.runtime.requestRefresh(reason);
    this.router.laneLost(lane);
  }

  handshakeRefused(lane: Lane, error: Bytes): void {
    const text = String.fromCharCode(...error.subarray(1, Math.max(1, error.length - 2)));
    this.runtime.log('error', 'the upstream refused the login', { upstream: lane.node.address, error: text });
    lane.terminate(`login refused: ${text}`);
  }

  /** What a new connection says first, and how many replies that brings. */
  handshake(proto: number): { bytes: Bytes; replies: number } {
    const known = this.greetings[proto];
    if (known !== undefined) return known;
    const { upstreamUsername: user, upstreamPassword: password } = this.settings;
    const login = password === '' ? [] : ['AUTH', user === '' ? 'default' : user, password];
    let command: string[] = [];
    if (proto === 3) command = ['HELLO', '3', ...login];
    else if (password !== '') command = user === '' ? ['AUTH', password] : login;
    const greeting =
      command.length === 0
        ? { bytes: this.texts.empty, replies: 0 }
        : { bytes: encodeCommand(command, this.runtime.allocate), replies: 1 };
    this.greetings[proto] = greeting;
    return greeting;
  }

  // ---------------------------------------------------------------- small things

  mapVersion(): number {
    return this.slotMap.version();
  }

  takeConnectToken(): boolean {
    return this.connects.take(this.nowMs);
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
