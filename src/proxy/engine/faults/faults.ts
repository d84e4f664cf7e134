import type { Bytes } from '../bytes.js';
import { Attention } from '../clients/attention.js';
import { Muted } from '../clients/details.js';
import type { CommandEntry } from '../commands/catalog.js';
import { Route } from '../commands/routes.js';
import type { Client } from '../core/client.js';
import type { Core } from '../core/core.js';
import type { Handler } from '../core/handlers.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { commandStatAt } from '../stats.js';
import { Gate } from './gate.js';
import type { FaultSettings } from './settings.js';

/** Envoy's text; it has no error code before it. */
const ERROR = '-Fault Injected: Error\r\n';

/** Replies of one worker that are held back at once; above it, commands are served without a delay. */
export const FAULTS_WAITING_MAX = 65_536;

/** Where a command's counters for faults stand, from `commandStatAt` on. */
const ERROR_FAULT = 2;
const DELAY_FAULT = 3;

/**
 * Lets commands fail or wait on purpose, for rehearsals. While there are no faults, nothing of this is called: commands
 * come here by `Attention.faults`.
 */
export class Faults {
  /** Replies that are held back. */
  waiting = 0;
  private settings: readonly FaultSettings[] = [];
  /** By command; made when it is first needed. */
  private readonly byEntry = new Map<CommandEntry, readonly FaultSettings[]>();
  private readonly error: Bytes;

  constructor(private readonly core: Core) {
    this.error = core.text(ERROR);
    this.configure();
    core.followers.add(() => this.configure());
  }

  private configure(): void {
    this.settings = (this.core.settings.faults ?? []).filter(({ fraction }) => fraction > 0);
    this.byEntry.clear();
    if (this.settings.length > 0) this.core.attention |= Attention.faults;
    else this.core.attention &= ~Attention.faults;
  }

  /** Serves a command, or lets it fail; what is delayed is served, and its reply held back. */
  serve(
    client: Client,
    entry: CommandEntry,
    bytes: Bytes,
    start: number,
    frame: RequestFrame,
    serve: Handler,
  ): boolean {
    const fault = this.draw(client, entry);
    if (fault !== null) {
      this.hold(client, entry, fault);
      if (fault.type === 'ERROR') {
        this.count(entry, ERROR_FAULT);
        this.core.countRequest(entry);
        this.core.countError(entry);
        client.reply(this.error);
        return true;
      }
    }
    return serve(client, entry, bytes, start, frame);
  }

  /** The fault that a command gets; null nearly always. */
  private draw(client: Client, entry: CommandEntry): FaultSettings | null {
    // A transaction, a subscriber and a client that gets no replies are left alone.
    if (client.mode !== null || client.muted !== Muted.none || client.details.monitor) return null;
    const faults = this.of(entry);
    if (faults.length === 0) return null;
    // One draw for all of them, as in Envoy: their shares add up.
    let at = this.core.random();
    for (const fault of faults) {
      at -= fault.fraction;
      if (at < 0) return fault;
    }
    return null;
  }

  private of(entry: CommandEntry): readonly FaultSettings[] {
    let faults = this.byEntry.get(entry);
    if (faults === undefined) {
      const [container] = entry.name.split('|') as [string];
      faults = mayHaveFaults(entry)
        ? this.settings.filter(
            ({ commands }) => commands.length === 0 || commands.includes(entry.name) || commands.includes(container),
          )
        : [];
      this.byEntry.set(entry, faults);
    }
    return faults;
  }

  /** Has what comes from here on wait: the client's replies are in its order. */
  private hold(client: Client, entry: CommandEntry, { delayMs, type }: FaultSettings): void {
    if (delayMs === 0 || this.waiting >= FAULTS_WAITING_MAX) return;
    if (type === 'DELAY') this.count(entry, DELAY_FAULT);
    new Gate(this.core, client, delayMs);
  }

  private count(entry: CommandEntry, which: number): void {
    this.core.stats[commandStatAt(entry.id) + which]++;
  }
}

/**
 * What the proxy answers itself, what blocks, subscribes or begins a transaction has none (docs/faults.md). All others are
 * served at once: none would come here again because it had to wait for earlier ones.
 */
function mayHaveFaults({ route }: CommandEntry): boolean {
  return route !== Route.local && route !== Route.transaction && route !== Route.blocking && route !== Route.pubsub;
}
