import { createHash } from 'node:crypto';
import type { Bytes } from '../../../../../src/proxy/engine/bytes.js';
import { COMMANDS } from '../../../../../src/proxy/engine/commands/table.generated.js';
import type { Client } from '../../../../../src/proxy/engine/core/client.js';
import { Core } from '../../../../../src/proxy/engine/core/core.js';
import { DEFAULT_WORKER_LIMITS, type Limits } from '../../../../../src/proxy/engine/core/limits.js';
import type { Runtime, Transport, TransportEvents } from '../../../../../src/proxy/engine/core/runtime.js';
import type { ClusterSettings, WorkerSettings } from '../../../../../src/proxy/engine/core/settings.js';
import { SlotMap } from '../../../../../src/proxy/engine/core/slot-map.js';
import { SLOT_COUNT } from '../../../../../src/proxy/engine/hash/crc16.js';
import { ClusterKeySpace } from '../../../../../src/proxy/engine/sharding/key-space.js';
import { Counter, type CounterName, statsLength } from '../../../../../src/proxy/engine/stats.js';

/** A connection that takes everything, or as much as a test lets it, and remembers it. */
export class PlainSocket implements Transport {
  readonly sent: Buffer[] = [];
  paused = false;
  ended = false;
  terminated = false;
  /** Bytes that it still takes. */
  room = Number.POSITIVE_INFINITY;

  write(bytes: Uint8Array, offset: number, length: number): number {
    if (this.terminated) return -1;
    const taken = Math.min(this.room, length);
    this.room -= taken;
    this.sent.push(Buffer.from(bytes.subarray(offset, offset + taken)));
    return taken;
  }

  /** What was sent since the last call, one character a byte. */
  take(): string {
    return Buffer.concat(this.sent.splice(0)).toString('latin1');
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  end(): void {
    this.ended = true;
  }

  terminate(): void {
    this.terminated = true;
  }
}

export interface FakeUpstream {
  readonly address: string;
  readonly socket: PlainSocket;
  readonly events: TransportEvents;
}

export interface FakeClient {
  readonly client: Client;
  readonly socket: PlainSocket;
  /** Sends bytes, ends the turn, and returns what came back. */
  say(text: string | Buffer): string;
}

/** The engine by hand: every event is the test's, and time stands still unless it says otherwise. */
export class FakeCore implements Runtime {
  readonly core: Core;
  readonly upstreams: FakeUpstream[] = [];
  readonly refreshes: string[] = [];
  readonly logged: string[] = [];
  readonly stats = new Float64Array(statsLength(COMMANDS.length));
  /** What other threads see, and change. */
  readonly slotMemory = SlotMap.create();
  nowMs = 1000;
  private readonly deferred: (() => void)[] = [];

  /** @param nodes masters that share the slots evenly; none: no topology is known */
  constructor(nodes = 0, settings: Partial<WorkerSettings & ClusterSettings> = {}, limits: Partial<Limits> = {}) {
    const map = new SlotMap(this.slotMemory);
    const defaults: WorkerSettings & ClusterSettings = {
      name: 'main',
      adminCommands: [],
      opTimeoutMs: 5000,
      connectTimeoutMs: 1000,
      upstreamUsername: '',
      upstreamPassword: '',
      version: '1.2.3',
      listenPort: 6379,
      worker: 0,
      workers: 1,
      processId: 42,
    };
    const all = { ...defaults, ...settings };
    const cluster = { settings: all, keySpace: new ClusterKeySpace(), slotMap: map };
    this.core = new Core(this, all, { ...DEFAULT_WORKER_LIMITS, ...limits }, [cluster], this.stats);
    if (nodes === 0) return;
    map.replace(Uint16Array.from({ length: SLOT_COUNT }, (_, slot) => Math.floor((slot * nodes) / SLOT_COUNT)));
    this.core.router.applyNodes(
      Array.from({ length: nodes }, (_, index) => ({ index, host: `node${index}`, port: 7000 })),
    );
  }

  readonly allocate = (size: number): Bytes => Buffer.alloc(size);

  now = (): number => this.nowMs;

  sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();

  defer(callback: () => void): void {
    this.deferred.push(callback);
  }

  requestRefresh(_cluster: number, reason: string): void {
    this.refreshes.push(reason);
  }

  /** Other workers that hear what this one asks and tells. */
  readonly others: FakeCore[] = [];

  ask(kind: string, payload: unknown, callback: (answers: unknown[]) => void): void {
    this.deferred.push(() => {
      const answers = [this, ...this.others].map((each) => each.core.relay.answer(kind, structuredClone(payload)));
      callback(structuredClone(answers));
      for (const other of this.others) other.turn();
    });
  }

  tell(kind: string, payload: unknown): void {
    this.ask(kind, payload, () => {});
  }

  log(level: string, message: string): void {
    this.logged.push(`${level}: ${message}`);
  }

  /** Addresses where nobody listens. */
  readonly refusing = new Set<string>();

  /** Every other connection is made at once. */
  connect(host: string, port: number, events: TransportEvents): void {
    this.deferred.push(() => {
      if (this.refusing.has(`${host}:${port}`)) {
        events.failed('refused');
        return;
      }
      const socket = new PlainSocket();
      this.upstreams.push({ address: `${host}:${port}`, socket, events });
      events.opened(socket);
    });
  }

  /** Ends turns until nothing is left to do in one. */
  turn(): void {
    for (let left = 100; this.deferred.length > 0; left--) {
      if (left === 0) throw new Error('the turn has no end');
      for (const callback of this.deferred.splice(0)) callback();
    }
  }

  /** Ends one turn; what is left to do is done in the next. */
  endTurn(): void {
    for (const callback of this.deferred.splice(0)) callback();
  }

  /** Lets time go on in ticks of 20 ms. */
  pass(ms: number): void {
    for (let passed = 0; passed < ms; passed += 20) {
      this.nowMs += 20;
      this.core.tick();
      this.turn();
    }
  }

  client(): FakeClient {
    const socket = new PlainSocket();
    const client = this.core.accept(socket, '192.0.2.1:1234');
    return {
      client,
      socket,
      say: (text) => {
        this.core.beginEvent();
        client.received(Buffer.from(text as string, 'latin1'));
        this.turn();
        return socket.take();
      },
    };
  }

  /** The newest connection to a node. */
  upstream(address: string): FakeUpstream {
    const found = this.upstreams.findLast((each) => each.address === address && !each.socket.terminated);
    if (found === undefined) throw new Error(`no connection to ${address}`);
    return found;
  }

  /** Bytes from a node. */
  answer(address: string, text: string): void {
    this.core.beginEvent();
    this.upstream(address).events.received(Buffer.from(text, 'latin1'));
    this.turn();
  }

  counter(name: CounterName): number {
    return this.stats[Counter[name]] as number;
  }
}
