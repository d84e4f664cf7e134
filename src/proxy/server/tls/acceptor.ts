import { type NativeContext, nodeTls, serverContext, serverOptions, verification } from './context.js';
import type { ServerTls } from './material.js';

/** Handshakes of one worker that go on at once; who comes above it is closed. */
export const HANDSHAKES_MAX = 16_384;

/** What the runtime's sockets have beyond their published types. */
export interface TlsSocket {
  readonly authorized: boolean;
  getPeerCertificate(): { subject?: { CN?: string } } | undefined;
  terminate(): void;
}

/** Why a client is not let in: Envoy's words for its statistics. */
export type Refusal = 'connection_error' | 'fail_verify_no_cert' | 'fail_verify_error';

/**
 * What one listening address needs for TLS: which certificate goes to whom, how long handshakes may take, and whether a
 * client's certificate will do.
 *
 * The runtime's listener keeps one context, which it gives to clients that name no server; for the others it asks by
 * name. Both can be changed while it listens (the way for the former is that of `tls.Server.setSecureContext`), so a
 * new certificate needs no new socket, and no connection is lost with the old one.
 */
export class TlsAcceptor<Socket extends TlsSocket> {
  /** By name, in small letters; `*.example.org` for one label in place of the star. */
  private contexts = new Map<string, NativeContext>();
  /** When each handshake must be done; the oldest first, as all may take equally long. */
  private readonly handshakes = new Map<Socket, number>();

  constructor(
    private tls: ServerTls,
    public timeoutMs: number,
  ) {
    this.readContexts();
  }

  /** Handshakes that go on. */
  get size(): number {
    return this.handshakes.size;
  }

  /** What `Bun.listen` is told. */
  options() {
    const secureContext = serverContext(this.tls);
    return { secureContext, ...verification(this.tls) };
  }

  private readContexts(): void {
    const contexts = new Map<string, NativeContext>();
    for (const certificate of this.tls.certificates) {
      const context = serverContext(this.tls, certificate);
      // The first of two that are for one name.
      for (const name of certificate.names) if (!contexts.has(name)) contexts.set(name, context);
    }
    this.contexts = contexts;
  }

  /** The context for a name that a client asks for; undefined for the first certificate. */
  select(serverName: string): NativeContext | undefined {
    const name = serverName.toLowerCase();
    const exact = this.contexts.get(name);
    if (exact !== undefined) return exact;
    const dot = name.indexOf('.');
    return dot < 0 ? undefined : this.contexts.get(`*${name.slice(dot)}`);
  }

  /** Whoever connects from here on gets the new certificates; who is connected keeps what it has. */
  replace(tls: ServerTls, listener: object): void {
    const before = this.tls;
    this.tls = tls;
    try {
      this.readContexts();
      const server = nodeTls().createServer(verification(tls)) as unknown as {
        _handle: object | null;
        setSecureContext(options: object): void;
      };
      server._handle = listener;
      server.setSecureContext(serverOptions(tls));
      server._handle = null;
    } catch (error) {
      this.tls = before;
      this.readContexts();
      throw error;
    }
  }

  // ---------------------------------------------------------------- handshakes

  /** A connection is there. False when too many are in their handshakes already. */
  begin(socket: Socket, nowMs: number): boolean {
    if (this.handshakes.size >= HANDSHAKES_MAX) return false;
    this.handshakes.set(socket, nowMs + this.timeoutMs);
    return true;
  }

  /** The handshake is over, or the connection. True when it was not over before. */
  finish(socket: Socket): boolean {
    return this.handshakes.delete(socket);
  }

  /** Handshakes that have taken too long; they are over then. */
  *late(nowMs: number): Generator<Socket> {
    for (const [socket, untilMs] of this.handshakes) {
      if (untilMs > nowMs) return;
      this.handshakes.delete(socket);
      yield socket;
    }
  }

  /** Null when the client may come in. @param error what the runtime says of the handshake */
  refusal(socket: Socket, success: boolean, error: (Error & { code?: string }) | null): Refusal | null {
    const { ca, requireCertificate } = this.tls;
    if (!success) {
      return /PEER_DID_NOT_RETURN_A_CERTIFICATE/.test(error?.message ?? '')
        ? 'fail_verify_no_cert'
        : /CERTIFICATE_VERIFY_FAILED/.test(error?.message ?? '')
          ? 'fail_verify_error'
          : 'connection_error';
    }
    if (ca === null || socket.authorized) return null;
    if (socket.getPeerCertificate()?.subject !== undefined) return 'fail_verify_error';
    return requireCertificate ? 'fail_verify_no_cert' : null;
  }

  /** The common name of a client's certificate that was checked; empty without one. */
  certificateName(socket: Socket): string {
    return this.tls.ca !== null && socket.authorized ? (socket.getPeerCertificate()?.subject?.CN ?? '') : '';
  }
}
