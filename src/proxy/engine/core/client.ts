import type { Identity } from '../access/identity.js';
import type { User } from '../access/user.js';
import type { Meter } from '../admission/meter.js';
import type { Watch } from '../admission/watch.js';
import type { Bytes } from '../bytes.js';
import { ClientDetails, Muted, silenced } from '../clients/details.js';
import type { CommandEntry } from '../commands/catalog.js';
import { FRAME_COMPLETE, FRAME_EMPTY, FRAME_INCOMPLETE, frameRequest, RequestFrame } from '../resp/request-framer.js';
import { Counter } from '../stats.js';
import type { Core } from './core.js';
import { dispatch } from './dispatch.js';
import type { Guard } from './guard.js';
import { Hold, isRead, setPending, stopsReading, WATCHED } from './hold.js';
import { detach, join, LARGE_REQUEST_BYTES, type LargeRequest, requestLimits } from './input.js';
import { laneId, protoOf, withProto } from './lane-id.js';
import { beginLarge, dropLarge, readLarge } from './large.js';
import { FAREWELL_MS } from './limits.js';
import type { Mode } from './mode.js';
import { Output } from './output.js';
import { acquireRequest, type Request, RequestState, releaseRequest } from './request.js';
import type { Transport } from './runtime.js';

/** One frame for all clients of a thread: it is used within one call only. */
const frame = new RequestFrame();

/** A downstream connection: frames what it sends, and gives it its replies in its own order. */
export class Client {
  /** The oldest and the newest command without an answer. */
  head: Request | null = null;
  private tail: Request | null = null;
  pending = 0;
  /** Is in the core's list of clients with commands on their way. */
  busy = false;

  /** Which of a node's connections its commands take (lane-id.ts). */
  laneId = 0;
  /** The user of Redis's whose rights its commands run with; null: the proxy's own. */
  identity: Identity | null = null;
  authenticated = false;
  user = 'default';
  /** The proxy's user that it is; null before the login, and when it is none of the proxy's own. */
  account: User | null = null;
  readonly details = new ClientDetails();
  /** The last command that it gave. */
  lastEntry: CommandEntry | null = null;
  readonly createdMs: number;
  lastActiveMs: number;
  readonly output: Output;
  /** Is in the core's list of outputs to flush. */
  dirty = false;
  /** Nothing more is read; the connection closes when the output is empty. */
  closing = false;
  closed = false;
  /** Its side of the connection is closed. */
  finished = false;
  /** Upstream connections that are not read because of this client. */
  holdsUpstream = 0;
  /** Unsent bytes above which it does; grows while it reads. */
  outputBytesMax: number;
  /** When it last took bytes, while bytes wait for it. */
  progressMs = 0;
  place: number | undefined = undefined; // Where it is counted (admission.ts).
  /** What counts what its user does; null when nothing of that is limited. */
  meter: Meter | null = null;
  watch: Watch | null = null; // What it must do in time.
  begunMs = 0; // When it began the command that it is sending.
  /** What looks at each of its commands before it is served; null when it may do everything. */
  guard: Guard | null = null;
  /** Null nearly always. */
  mode: Mode | null = null;
  /** Which of its commands get no replies: one of `Muted`. */
  muted: number = Muted.none;
  /** What must be given back when it leaves: dedicated connections, subscriptions. Each is called once. */
  readonly belongings = new Set<() => void>();
  /** The slot map's version when its oldest unanswered command was routed. */
  mapVersion = 0;
  /** Bytes of its commands that had to wait for a connection since it last had nothing on its way. */
  private waitingBytes = 0;
  /** Why it is not read: bits of `Hold`. */
  hold = 0;
  private paused = false;
  /** Received and not yet read: an unfinished command, or everything while it is held. */
  carry: Bytes | null = null;
  /** The large command that it is sending. */
  large: LargeRequest | null = null;
  wrote = 0; // Bits of the nodes that it has sent writes to.
  constructor(
    readonly core: Core,
    readonly transport: Transport,
    readonly id: number,
    readonly address: string,
  ) {
    this.output = new Output(core.clientBuffers);
    this.outputBytesMax = core.limits.clientOutputBytesMax;
    this.laneId = laneId(core.identities.nobody, 2);
    this.createdMs = this.lastActiveMs = core.nowMs;
    this.mapVersion = core.mapVersion();
    core.access.welcome(this);
  }

  /** 2 or 3. */
  get proto(): number {
    return protoOf(this.laneId);
  }

  set proto(proto: number) {
    this.laneId = withProto(this.laneId, proto);
  }

  /** The newest command without an answer. */
  get newest(): Request | null {
    return this.tail;
  }

  // ---------------------------------------------------------------- input

  /** Bytes from the socket. */
  received(bytes: Bytes): void {
    if (this.closing || this.closed) return;
    this.lastActiveMs = this.core.nowMs;
    const carry = this.carry;
    if (carry !== null) {
      this.carry = null;
      const joined = join(this.core.runtime.allocate, carry, bytes, 0, bytes.length);
      this.read(joined, 0, joined.length);
    } else {
      this.begunMs = this.core.nowMs;
      this.read(bytes, 0, bytes.length);
    }
  }

  private read(bytes: Bytes, at: number, end: number): void {
    if (this.hold !== 0) {
      this.keep(bytes, at, end);
      return;
    }
    const from = at;
    if (this.large !== null) at = readLarge(this, this.large, bytes, at, end);
    while (at < end && !this.closing && this.large === null) {
      if (this.hold !== 0 || !this.inOrder()) {
        this.keep(bytes, at, end);
        break;
      }
      const verdict = frameRequest(bytes, at, end, frame, requestLimits(this.authenticated));
      if (verdict === FRAME_COMPLETE) {
        if (!dispatch(this, bytes, at, frame)) {
          this.guard?.waits?.(this);
          this.setHold(Hold.order);
          this.keep(bytes, at, end);
          break;
        }
        at = frame.end;
      } else if (verdict === FRAME_EMPTY) at = frame.end;
      else if (verdict === FRAME_INCOMPLETE) {
        this.core.admission.unfinished(this, at !== from);
        if (Math.max(frame.bytesAtLeast, end - at) < LARGE_REQUEST_BYTES) this.keep(bytes, at, end);
        else at = beginLarge(this, bytes, at, end, frame.bytesAtLeast);
        if (this.large === null) break;
      } else {
        this.refuse(frame.error);
        break;
      }
      if (this.pending >= this.core.limits.clientPendingMax) setPending(this);
      if (this.output.bytes >= this.core.limits.clientOutputBytesHigh) this.setHold(Hold.output);
    }
  }

  /** The client has said all that it will say; it still gets its replies. */
  ended(): void {
    if (this.closed) return;
    if (this.hold & Hold.blocked && this.core.nowMs - this.lastActiveMs >= FAREWELL_MS) {
      // Redis takes a blocked client that closes its side for gone, too. Just after it has asked, what is there for it
      // may be on its way: the core lets it go a little later.
      this.transport.terminate();
      this.core.left(this);
      return;
    }
    this.finished = true;
    this.core.finished.add(this);
    if (!this.dirty) this.core.markDirty(this);
  }

  /**
   * While the slot map changes, two commands of one client for one key could take different ways and overtake each
   * other; so what was routed by the old map is answered before anything is routed by the new one.
   */
  inOrder(): boolean {
    const version = this.core.mapVersion();
    if (version === this.mapVersion) return true;
    if (this.head !== null) {
      this.setHold(Hold.order);
      return false;
    }
    this.mapVersion = version;
    return true;
  }

  /** Keeps what cannot be read now. */
  keep(bytes: Bytes, at: number, end: number): void {
    if (at >= end) return;
    if (this.hold & WATCHED && (this.carry?.length ?? 0) + end - at > this.core.limits.blockedInputBytesMax) {
      this.pauseInput();
    }
    const carry = this.carry;
    const allocate = this.core.runtime.allocate;
    if (carry !== null) this.carry = join(allocate, carry, bytes, at, end);
    else this.carry = at === 0 && end === bytes.length ? bytes : detach(allocate, bytes, at, end);
  }

  /** A protocol error: what came before is answered, then this, then the connection closes. */
  refuse(error: string): void {
    this.core.count(Counter.downstream_cx_protocol_error);
    this.reply(this.core.text(`-ERR ${error}\r\n`), true);
  }

  // ---------------------------------------------------------------- holds

  setHold(reason: number): void {
    this.hold |= reason;
    if (stopsReading(reason, this.hold)) this.pauseInput();
  }

  private pauseInput(): void {
    if (this.paused || this.closed) return;
    this.paused = true;
    this.transport.pause();
  }

  /** Lifts a hold and goes on with what was received meanwhile. */
  liftHold(reason: number): void {
    if ((this.hold & reason) === 0) return;
    this.hold &= ~reason;
    if (this.hold !== 0 && (this.hold & WATCHED) === 0) this.pauseInput();
    else if (!this.closed) this.core.later(this);
  }

  /** Called by the core, outside of any other work on this client. */
  proceed(): void {
    if (this.closed) return;
    const carry = this.carry;
    if (carry !== null && !this.closing && this.hold === 0) {
      this.carry = null;
      this.begunMs = this.core.nowMs;
      this.read(carry, 0, carry.length);
    }
    if (this.paused && !this.closed && isRead(this.hold, this.carry, this.core.limits)) {
      this.paused = false;
      this.transport.resume();
    }
    if (this.finished) this.touch();
  }

  // ---------------------------------------------------------------- replies

  /** Puts a command at the end of the client's order. */
  push(request: Request): void {
    request.client = this;
    if (this.muted !== Muted.none) request.silent = silenced(this);
    if (this.tail === null) {
      this.head = request;
      if (!this.busy) this.core.busy.note(this);
    } else this.tail.next = request;
    this.tail = request;
    this.pending++;
  }

  /** Answers with bytes of the proxy's own, in order. */
  reply(bytes: Bytes, closeAfter = false): void {
    if (closeAfter) this.closing = true;
    if (this.head === null) {
      if (this.muted === Muted.none || !silenced(this)) this.output.append(bytes, 0, bytes.length);
      this.touch();
      return;
    }
    const request = acquireRequest();
    request.reply = bytes;
    request.replyStart = 0;
    request.replyEnd = bytes.length;
    request.state = RequestState.done;
    this.push(request);
  }

  /** Part of the reply of the oldest command, as it comes in. */
  stream(bytes: Bytes, start: number, end: number): void {
    this.output.append(bytes, start, end);
    this.touch();
  }

  /** The oldest command is answered: its reply is in the output. Gives out the replies that waited behind it. */
  advance(): void {
    let request = this.head as Request;
    const { observer } = this.core;
    for (;;) {
      const next = request.next;
      this.head = next;
      this.pending--;
      if (request.held !== 0) this.core.replies.unhold(request);
      observer.answered(request);
      releaseRequest(request);
      if (next === null) {
        this.tail = null;
        if (this.waitingBytes !== 0) this.discharge();
        break;
      }
      if (next.state !== RequestState.done) break;
      if (!next.silent) {
        if (next.earlier !== null) for (const piece of next.earlier) this.output.append(piece, 0, piece.length);
        if (next.reply !== null) this.output.append(next.reply, next.replyStart, next.replyEnd);
      }
      request = next;
    }
    this.touch();
    if (this.hold !== 0) {
      if (this.head === null) this.liftHold(Hold.order | Hold.pending);
      else if (this.pending * 2 <= this.core.limits.clientPendingMax) this.liftHold(Hold.pending);
    }
  }

  /** A command of it has to wait. When too much waits already, nothing more is read until all of it is answered. */
  charge(bytes: number): void {
    this.waitingBytes += bytes;
    this.core.waitingBytes += bytes;
    const { clientWaitingBytesMax, waitingBytesMax } = this.core.limits;
    if (this.waitingBytes > clientWaitingBytesMax || this.core.waitingBytes > waitingBytesMax) this.setHold(Hold.order);
  }

  private discharge(): void {
    this.core.waitingBytes -= this.waitingBytes;
    this.waitingBytes = 0;
  }

  private touch(): void {
    if (!this.dirty) this.core.markDirty(this);
  }

  // ---------------------------------------------------------------- output

  /** Writes what there is; called once a turn, and when the socket drains. */
  flush(): void {
    this.dirty = false;
    if (this.closed) return;
    const output = this.output;
    if (output.bytes !== 0) {
      const taken = output.flush(this.transport);
      if (taken < 0) {
        this.transport.terminate();
        return;
      }
      this.core.add(Counter.downstream_cx_tx_bytes_total, taken);
      if (taken > 0) {
        this.progressMs = this.core.nowMs;
        if (this.meter !== null) this.meter.sent(taken);
      }
    }
    if (output.bytes === 0) {
      // While it is not paused, what is left of its input is a command that it will never finish.
      if (this.head === null && (this.closing || (this.finished && !this.paused && this.hold === 0))) {
        this.transport.end();
        return;
      }
    } else this.core.slowClients.watch(this);
    if (this.hold & Hold.output && output.bytes * 2 < this.core.limits.clientOutputBytesHigh) {
      this.liftHold(Hold.output);
    }
    if (this.holdsUpstream !== 0 && output.bytes + this.core.limits.clientOutputBytesMax / 2 < this.outputBytesMax) {
      this.core.slowClients.releaseUpstreams(this);
    }
  }

  drained(): void {
    this.output.blocked = false;
    this.flush();
  }

  /** The connection is gone: what is on its way is finished for nobody. */
  disconnected(): void {
    if (this.closed) return;
    this.closed = true;
    let request = this.head;
    while (request !== null) {
      const next = request.next;
      request.client = null;
      // What is on its way is released by whoever holds it, when its reply comes.
      if (request.held !== 0) this.core.replies.unhold(request);
      if (request.span !== null) this.core.recorder.abandoned(request);
      if (request.state === RequestState.done) releaseRequest(request);
      request = next;
    }
    this.head = this.tail = null;
    this.pending = 0;
    for (const giveBack of this.belongings) giveBack();
    this.belongings.clear();
    this.discharge();
    this.core.retries.abandon(this);
    this.carry = null;
    if (this.large !== null) dropLarge(this, this.large);
    this.output.clear();
    if (this.holdsUpstream !== 0) this.core.slowClients.releaseUpstreams(this);
  }
}
