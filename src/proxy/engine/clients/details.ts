/** Something that it wrote may be lost with the master that took it. */
export interface Unsure {
  /** `WAIT` has told it so. */
  readonly told: boolean;
  /** Bits of the nodes that it had written to when it was told. */
  readonly wrote: number;
}

/** What CLIENT LIST shows of a connection, kept by those who know it. Nothing here is touched per ordinary command. */
export class ClientDetails {
  /** CLIENT SETNAME. */
  name = '';
  /** CLIENT SETINFO. */
  libName = '';
  libVersion = '';
  /** CLIENT NO-EVICT, CLIENT NO-TOUCH: remembered, without effect. */
  noEvict = false;
  noTouch = false;
  /** Gets what passes the proxy (MONITOR). */
  monitor = false;
  /** Subscriptions: to channels, to patterns, to shard channels. */
  channels = 0;
  patterns = 0;
  shardChannels = 0;
  /** Commands queued by MULTI; -1 outside of it. */
  queued = -1;
  /** Keys watched. */
  watched = 0;
  /** Address and port of the proxy's side; empty when they are not known. */
  localAddress = '';
  /** The common name of the certificate that it has shown and that was checked; empty without one. */
  certificateName = '';
  /** Null: all that it wrote is where it was written, as far as is known. */
  unsure: Unsure | null = null;
}

/** `Client.muted`: which of its commands get no reply (CLIENT REPLY). */
export const Muted = { none: 0, all: 1, next: 2 } as const;

/** A command of a muted client has come: it gets no reply. */
export function silenced(client: { muted: number }): true {
  if (client.muted === Muted.next) client.muted = Muted.none;
  return true;
}
