import { formatListenAddress, type ListenAddress } from '../config/listen-address.js';
import type { ListenerConfig } from '../config/schema.js';
import type { WorkerAddress } from './messages.js';
import { UnixSocket, UnixSocketError } from './unix-socket.js';

/** An address cannot be used. */
export class ListenError extends Error {
  constructor(
    message: string,
    readonly inUse: boolean,
  ) {
    super(message);
  }
}

interface Place {
  readonly address: ListenAddress;
  readonly tls: boolean;
  socket: UnixSocket | null;
}

/** Where clients connect: the listener's own address, then the additional ones. */
export class ListenAddresses {
  private readonly places: Place[] = [];

  /**
   * Takes the addresses; ports are given back at once, for the workers to listen on.
   * @param reserved the path of another socket of this process; empty when there is none
   * @param takeOver another proxy, which serves them now, is to be replaced
   * @throws ListenError when one is in use or no address of this host
   */
  constructor(listener: ListenerConfig, reserved = '', takeOver = false) {
    for (const { address, tls_context: tls } of [listener, ...(listener.additional_addresses ?? [])]) {
      if (address.path !== undefined && address.path === reserved) {
        this.close();
        const text = formatListenAddress(address);
        throw new ListenError(`${text} is the control socket that goes with the pid file; choose another path`, false);
      }
      try {
        this.places.push({ ...claim(address, takeOver), tls: tls !== undefined });
      } catch (error) {
        this.close();
        throw listenError(formatListenAddress(address), error);
      }
    }
  }

  /** The port of the listener's own address; 0 for a Unix socket. */
  get port(): number {
    return (this.places[0] as Place).address.port;
  }

  /** Those of all addresses but Unix sockets. */
  get ports(): number[] {
    return this.places.flatMap(({ address: { port, path } }) => (path === undefined ? [port] : []));
  }

  /** For one worker: it closes the descriptors that are among them. */
  forWorker(): WorkerAddress[];
  /** @param wanted which of them; null stands for the others */
  forWorker(wanted: (index: number) => boolean): (WorkerAddress | null)[];
  forWorker(wanted: (index: number) => boolean = () => true): (WorkerAddress | null)[] {
    return this.places.map(({ address: { host, port, path }, socket }, index) => {
      if (!wanted(index)) return null;
      return path === undefined || socket === null ? { host, port } : { host, port, path, fd: socket.share() };
    });
  }

  /**
   * Takes the paths back that a process has taken that is gone.
   * @returns of each address, whether the workers have to listen anew
   * @throws UnixSocketError
   */
  reclaim(): boolean[] {
    return this.places.map((place) => {
      if (place.socket === null || place.socket.serves) return false;
      const socket = UnixSocket.open(place.address);
      place.socket.close();
      place.socket = socket;
      return true;
    });
  }

  /** What the log says: the words `listening on` and the address, the listener's own first. */
  lines(): string[] {
    return this.places.map(({ address, tls }) => `${tls ? 'TLS: ' : ''}listening on ${formatListenAddress(address)}`);
  }

  /** Takes Unix sockets away. */
  close(): void {
    for (const { socket } of this.places) socket?.close();
  }
}

function claim(address: ListenAddress, takeOver: boolean): { address: ListenAddress; socket: UnixSocket | null } {
  if (address.path !== undefined) return { address, socket: UnixSocket.open(address, takeOver) };
  return { address: takeOver ? address : { ...address, port: probe(address.host, address.port) }, socket: null };
}

/**
 * Workers share the port, which would also let them share it with another proxy by mistake; so it is tried alone
 * first. Returns the port, which the system chooses for 0.
 */
export function probe(host: string, port: number): number {
  const trial = Bun.listen({ hostname: host, port, exclusive: true, socket: { data() {} } });
  const chosen = trial.port;
  trial.stop(true);
  return chosen;
}

/** What to tell of an address that cannot be listened on. */
export function listenError(address: string, error: unknown): ListenError {
  const { code, message } = error as Error & { code?: string };
  const inUse = error instanceof UnixSocketError ? error.inUse : code === 'EADDRINUSE' || /in use/i.test(message);
  return new ListenError(
    inUse ? `${address} is in use by another process` : `cannot listen on ${address}: ${message}`,
    inUse,
  );
}
