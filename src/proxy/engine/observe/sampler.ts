import type { Bytes } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import type { Handler } from '../core/handlers.js';
import type { Request } from '../core/request.js';
import type { RequestFrame } from '../resp/request-framer.js';

/** Wants to see some of the commands. */
export interface Sampling {
  /** Sees one command in so many, on average; at least 1. */
  readonly every: number;
  /** A chosen command, before it is served. May be called again for a command that had to wait for earlier ones. */
  came?(client: Client, entry: CommandEntry, bytes: Bytes, frame: RequestFrame): void;
  /**
   * The same command, once it is on its way in its client's order; null when it was answered at once or is served by
   * other means.
   */
  sent?(client: Client, entry: CommandEntry, request: Request | null): void;
  /** The same command has to wait for earlier ones; nothing has happened, and it may be chosen again or not. */
  waits?(): void;
  /** A chosen command that was refused before anybody served it, with the error. */
  refused?(client: Client, name: string, frame: RequestFrame, error: Bytes | string): void;
}

/** With nobody to look, the next look is after so many commands. */
const NEVER = 2 ** 30;

/**
 * Chooses commands at random for those who look at samples. What it costs a command that is not chosen is one number
 * counted down: the distance to the next chosen one is drawn beforehand, from the geometric distribution.
 */
export class Sampler {
  /** Commands up to and including the next chosen one. */
  left = NEVER;
  /** What `left` was set to. */
  private drawn = NEVER;
  /** Each with the number of commands until it is next to see one. */
  private readonly samplings: { readonly sampling: Sampling; left: number }[] = [];

  constructor(private readonly random: () => number) {}

  add(sampling: Sampling): void {
    this.elapse();
    this.samplings.push({ sampling, left: this.draw(sampling) });
    this.arm();
  }

  remove(sampling: Sampling): void {
    this.elapse();
    const at = this.samplings.findIndex((each) => each.sampling === sampling);
    if (at >= 0) this.samplings.splice(at, 1);
    this.arm();
  }

  /** Shows a chosen command to those whose turn it is, and has it served. */
  take(client: Client, entry: CommandEntry, bytes: Bytes, start: number, frame: RequestFrame, serve: Handler): boolean {
    this.elapse();
    const chosen: Sampling[] = [];
    for (const each of this.samplings) {
      if (each.left > 0) continue;
      each.left = this.draw(each.sampling);
      chosen.push(each.sampling);
    }
    this.arm();
    for (const sampling of chosen) sampling.came?.(client, entry, bytes, frame);
    const before = client.newest;
    const served = serve(client, entry, bytes, start, frame);
    if (served) {
      const request = client.newest === before ? null : client.newest;
      for (const sampling of chosen) sampling.sent?.(client, entry, request);
    } else for (const sampling of chosen) sampling.waits?.();
    return served;
  }

  /** A command was refused: those see it whose chance says so. */
  refused(client: Client, name: string, frame: RequestFrame, error: Bytes | string): void {
    for (const { sampling } of this.samplings) {
      if (sampling.refused !== undefined && this.random() * sampling.every < 1)
        sampling.refused(client, name, frame, error);
    }
  }

  /** Takes note of the commands that have passed. */
  private elapse(): void {
    const passed = this.drawn - Math.max(0, this.left);
    for (const each of this.samplings) each.left -= passed;
    this.drawn = this.left;
  }

  private arm(): void {
    let least = NEVER;
    for (const { left } of this.samplings) if (left < least) least = left;
    this.left = this.drawn = Math.max(1, least);
  }

  /** Commands up to and including the next one, when each is chosen with the probability 1 / `every`. */
  private draw({ every }: Sampling): number {
    if (every <= 1) return 1;
    return Math.min(NEVER, 1 + Math.floor(Math.log(1 - this.random()) / Math.log(1 - 1 / every)));
  }
}
