import { type Bytes, writeAscii } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import { Route } from '../commands/routes.js';
import { CommandFlag } from '../commands/spec.js';
import type { Client } from '../core/client.js';
import type { Core } from '../core/core.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { Counter } from '../stats.js';
import { Attention } from './attention.js';
import { monitorLine } from './monitor-line.js';

/** Between workers: how many clients of a worker monitor; lines for them. */
const Tell = { count: 'monitors.count', lines: 'monitors.lines' } as const;

/** Commands of its own that a monitoring client may have on their way; it gets lines in between. */
const PENDING_MAX = 1024;

interface CountMessage {
  readonly worker: number;
  readonly count: number;
}

interface LinesMessage {
  readonly worker: number;
  readonly lines: Uint8Array;
}

/** MONITOR: shows what all clients of all workers send to the clients that want to see it. */
export class Monitors {
  private readonly mine = new Set<Client>();
  private readonly elsewhere = new Map<number, number>();
  /** What passed in this turn, and what other workers have not been told yet. */
  private lines: string[] = [];
  private lineBytes = 0;
  private relayed: Bytes[] = [];
  private relayedBytes = 0;
  /** Other workers are being told: one batch at a time. */
  private telling = false;
  private deferred = false;

  constructor(private readonly core: Core) {
    core.relay.on(Tell.count, (message) => {
      const { worker, count } = message as CountMessage;
      if (worker === core.settings.worker) return;
      this.elsewhere.set(worker, count);
      this.attend();
    });
    core.relay.on(Tell.lines, (message) => {
      const { worker, lines } = message as LinesMessage;
      if (worker === core.settings.worker || this.mine.size === 0) return;
      const bytes = core.runtime.allocate(lines.length);
      bytes.set(lines);
      this.give(bytes);
    });
  }

  /** Shows a client everything from now on; `ready` is called when all workers know. */
  add(client: Client, ready: () => void): void {
    client.details.monitor = true;
    client.belongings.add(() => this.remove(client));
    this.announce(this.mine.size + 1, () => {
      if (client.details.monitor && !client.closed) this.mine.add(client);
      this.attend();
      ready();
    });
  }

  private remove(client: Client): void {
    client.details.monitor = false;
    if (!this.mine.delete(client)) return;
    this.attend();
    this.announce(this.mine.size, () => {});
  }

  /** A worker is gone, and its clients with it. */
  forget(worker: number): void {
    this.elsewhere.delete(worker);
    this.attend();
  }

  private announce(count: number, done: () => void): void {
    const message: CountMessage = { worker: this.core.settings.worker, count };
    this.core.runtime.ask(Tell.count, message, done);
  }

  private get othersWatch(): boolean {
    for (const count of this.elsewhere.values()) if (count > 0) return true;
    return false;
  }

  private attend(): void {
    if (this.mine.size > 0 || this.othersWatch) this.core.attention |= Attention.monitor;
    else this.core.attention &= ~Attention.monitor;
  }

  /** A command has been served. Those that administer a server are not shown, as in Redis. */
  feed(client: Client, entry: CommandEntry, bytes: Bytes, frame: RequestFrame): void {
    if (entry.route === Route.refused) return;
    const { limits } = this.core;
    if (entry.spec.flags & CommandFlag.admin) return;
    const line = monitorLine(performance.timeOrigin + performance.now(), client.address, entry.name, bytes, frame);
    if (this.relayedBytes + this.lineBytes + line.length > limits.monitorOutputBytesMax) {
      this.core.count(Counter.downstream_monitor_dropped);
      return;
    }
    this.lines.push(line);
    this.lineBytes += line.length;
    if (this.deferred) return;
    this.deferred = true;
    this.core.runtime.defer(this.flush);
  }

  /** What passed in one turn goes out together. */
  private readonly flush = (): void => {
    this.deferred = false;
    const text = this.lines.join('');
    this.lines = [];
    this.lineBytes = 0;
    const bytes = this.core.runtime.allocate(text.length);
    writeAscii(text, bytes, 0);
    if (this.mine.size > 0) this.give(bytes);
    if (!this.othersWatch) return;
    this.relayed.push(bytes);
    this.relayedBytes += bytes.length;
    this.tell();
  };

  private tell(): void {
    if (this.telling || this.relayed.length === 0) return;
    this.telling = true;
    const lines = new Uint8Array(this.relayedBytes);
    let at = 0;
    for (const piece of this.relayed) {
      lines.set(piece, at);
      at += piece.length;
    }
    this.relayed = [];
    this.relayedBytes = 0;
    const message: LinesMessage = { worker: this.core.settings.worker, lines };
    this.core.runtime.ask(Tell.lines, message, () => {
      this.telling = false;
      this.tell();
    });
  }

  /** Lines for all monitoring clients of this worker; one that does not take them is let go. */
  private give(lines: Bytes): void {
    for (const client of [...this.mine]) {
      const unsent = client.output.bytes + lines.length;
      if (unsent <= this.core.limits.monitorOutputBytesMax && client.pending < PENDING_MAX) {
        // Between two replies is room for it; while one is being passed on, it comes behind that.
        if (client.head?.streaming === true) client.reply(lines);
        else {
          client.output.append(lines, 0, lines.length);
          if (!client.dirty) this.core.markDirty(client);
        }
        continue;
      }
      this.core.count(Counter.downstream_cx_monitor_close);
      this.core.disconnect(client, 'it monitors, and does not take what it is shown');
    }
  }
}
