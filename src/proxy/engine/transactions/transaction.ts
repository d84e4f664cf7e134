import { type Bytes, copyBytes } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import { ADMIT_DONE, ADMIT_PASS, ADMIT_WAIT, type Mode } from '../core/mode.js';
import { refuse } from '../core/refuse.js';
import type { Router } from '../core/router.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { Counter } from '../stats.js';
import { refusalInTransaction } from './allowed.js';
import { endWatch, execute } from './execute.js';
import { CROSS_SLOT, slotOfKeys } from './keys.js';
import { watchOf } from './watch.js';

const FIRST_BUFFER_BYTES = 512;
const EXEC_ABORT = '-EXECABORT Transaction discarded because of previous errors.\r\n';

/**
 * What a client has said since MULTI. Commands are checked and kept here, one behind the other with MULTI before them;
 * EXEC sends them to their slot's master in one piece. So a transaction needs no connection of its own, and nothing of
 * it has happened before EXEC.
 */
export class Transaction implements Mode {
  /** Where its keys are; null until one is named. */
  router: Router | null = null;
  slot = -1;
  count = 0;
  /** Something was refused: EXEC will be, too. */
  dirty = false;
  /** A command of it, when all of them may be repeated. */
  repeatable: CommandEntry | null = null;
  /** MULTI and the commands are in `buffer[0, length)`. */
  buffer: Bytes;
  length: number;
  private reserved = 0;
  private released = false;

  constructor(
    private readonly client: Client,
    /** `MULTI` and `EXEC`, encoded. */
    multi: Bytes,
    private readonly exec: Bytes,
  ) {
    this.buffer = client.core.runtime.allocate(FIRST_BUFFER_BYTES);
    this.length = copyBytes(multi, 0, multi.length, this.buffer, 0);
    const watch = watchOf(client);
    if (watch !== null) {
      this.router = watch.router;
      this.slot = watch.slot;
    }
    client.details.queued = 0;
    client.belongings.add(this.release);
  }

  admit(client: Client, entry: CommandEntry, bytes: Bytes, start: number, frame: RequestFrame): number {
    switch (entry.name) {
      case 'quit':
      case 'reset':
        return ADMIT_PASS;
      case 'multi':
        refuse(client, entry, 'ERR MULTI calls can not be nested');
        return ADMIT_DONE;
      case 'watch':
        refuse(client, entry, 'ERR WATCH inside MULTI is not allowed');
        return ADMIT_DONE;
      case 'exec':
      case 'discard':
        return this.end(entry);
      default:
        this.queue(entry, bytes, start, frame);
        return ADMIT_DONE;
    }
  }

  refused(client: Client, entry?: CommandEntry): void {
    this.dirty = true;
    if (entry?.name !== 'exec') return;
    // Redis discards the transaction here, and what is watched with it.
    watchOf(client)?.discard();
    this.release();
  }

  private end(entry: CommandEntry): number {
    const { client } = this;
    const { core } = client;
    // A watched transaction goes another way than what the client sent before, which must come first.
    if (watchOf(client) !== null && client.head !== null) return ADMIT_WAIT;
    core.countRequest(entry);
    this.leave();
    if (entry.name === 'discard') endWatch(client, entry, core.texts.ok, false);
    else if (this.dirty) endWatch(client, entry, core.text(EXEC_ABORT), true);
    else {
      this.append(this.exec, 0, this.exec.length);
      execute(client, entry, this);
      return ADMIT_DONE;
    }
    this.release();
    return ADMIT_DONE;
  }

  /** The client is in no transaction any more. */
  private leave(): void {
    this.client.mode = null;
    this.client.details.queued = -1;
  }

  private queue(entry: CommandEntry, given: Bytes, givenStart: number, givenFrame: RequestFrame): void {
    const { client } = this;
    const { core } = client;
    const refusal = refusalInTransaction(entry, given, givenFrame);
    if (refusal !== null) {
      core.count(Counter.splitter_unsupported_command);
      this.refuse(entry, refusal);
      return;
    }
    const place = slotOfKeys(client, entry, given, givenStart, givenFrame);
    if (place === null) {
      this.dirty = true;
      return;
    }
    const { router, slot, bytes, start, frame } = place;
    if (slot >= 0) {
      if (this.slot < 0) {
        this.router = router;
        this.slot = slot;
      } else if (this.slot !== slot || this.router !== router) {
        this.refuse(entry, CROSS_SLOT);
        return;
      }
    }
    if (!this.fits(frame.end - start)) {
      this.refuse(entry, 'ERR the transaction is larger than the proxy allows');
      return;
    }
    this.append(bytes, start, frame.end);
    if (this.count++ === 0) this.repeatable = entry;
    if (!entry.repeatable) this.repeatable = null;
    else if (this.repeatable !== null) this.repeatable = entry;
    client.details.queued = this.count;
    core.countRequest(entry);
    client.reply(core.texts.queued);
  }

  private refuse(entry: CommandEntry, text: string): void {
    this.dirty = true;
    refuse(this.client, entry, text);
  }

  private fits(size: number): boolean {
    const { limits } = this.client.core;
    const length = this.length + size + this.exec.length;
    return this.count < limits.transactionCommandsMax && length <= limits.transactionBytesMax && this.reserve(size);
  }

  private reserve(size: number): boolean {
    if (!this.client.core.reserveLarge(size)) return false;
    this.reserved += size;
    return true;
  }

  private append(bytes: Bytes, start: number, end: number): void {
    const length = this.length + end - start;
    if (length > this.buffer.length) {
      const larger = this.client.core.runtime.allocate(Math.max(length + this.exec.length, this.buffer.length * 2));
      this.buffer.copy(larger, 0, 0, this.length);
      this.buffer = larger;
    }
    this.length = copyBytes(bytes, start, end, this.buffer, this.length);
  }

  /** Its bytes are not needed any more. */
  readonly release = (): void => {
    if (this.released) return;
    this.released = true;
    this.client.core.releaseLarge(this.reserved);
    this.client.belongings.delete(this.release);
    if (this.client.mode === this) this.leave();
  };
}
