/** Clients that leave and come back all the time: a change that only new connections notice would not be seen otherwise. */
import { type Endpoint, isLink, type Link, type Outcome } from '../../../src/drills/link/link.js';

/** Lives are so much longer or shorter than told, so that not all come back at once. */
const SPREAD = 0.5;

/**
 * @param current where new connections go, with what a client knows at that moment: its password, whom it trusts
 * @param lifeMs how long a connection is used; those of listeners stay
 */
export function renewing(current: () => Endpoint, lifeMs: number): Endpoint {
  return {
    label: current().label,
    connect: async () => {
      const link = await current().connect();
      return isLink(link) ? new RenewedLink(link, lifeMs * (1 + SPREAD * (2 * Math.random() - 1))) : link;
    },
  };
}

class RenewedLink implements Link {
  readonly #link: Link;
  readonly #timer: NodeJS.Timeout;
  #old = false;
  #waiting = 0;
  #listens = false;

  constructor(link: Link, lifeMs: number) {
    this.#link = link;
    this.#timer = setTimeout(() => {
      this.#old = true;
      this.#leave();
    }, lifeMs);
  }

  get isOpen(): boolean {
    return this.#link.isOpen;
  }

  get failure() {
    return this.#link.failure;
  }

  async send(commands: readonly (readonly string[])[]): Promise<Outcome[]> {
    return this.#during(() => this.#link.send(commands));
  }

  async transaction(commands: readonly (readonly string[])[]): Promise<Outcome> {
    return this.#during(() => this.#link.transaction(commands));
  }

  subscribe(channel: string, onMessage: (channel: string, text: string) => void): Promise<Outcome> {
    this.#listens = true;
    return this.#link.subscribe(channel, onMessage);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#link.close();
  }

  async #during<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#waiting++;
    try {
      return await work();
    } finally {
      this.#waiting--;
      this.#leave();
    }
  }

  /** Nobody leaves before having been answered. */
  #leave(): void {
    if (this.#old && this.#waiting === 0 && !this.#listens) this.#link.close();
  }
}
