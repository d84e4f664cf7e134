/** Connections to the nodes of one cluster, by node id: opened when first used, checked to be the right node, closed together. */
import { ForgeError } from '../errors.js';
import { formatAddress } from './address.js';
import { type ConnectNodeOptions, connectNode, type NodeConnection } from './node-connection.js';

/** Everything but where: credentials, TLS, bounds. */
export type ConnectSettings = Omit<ConnectNodeOptions, 'host' | 'port' | 'signal'>;

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export interface NodePoolOptions {
  readonly connect: ConnectSettings;
  /** CLIENT SETNAME of every connection: whoever takes the cluster's lock over can find and close them. */
  readonly clientName?: string;
}

const sameAddress = (left: HostPort, right: HostPort) => left.host === right.host && left.port === right.port;

export class NodePool {
  readonly settings: ConnectSettings;
  readonly #clientName: string | undefined;
  readonly #addresses = new Map<string, HostPort[]>();
  readonly #connections = new Map<string, Promise<NodeConnection>>();
  readonly #dedicated = new Set<NodeConnection>();
  #closed = false;

  constructor(options: NodePoolOptions) {
    this.settings = options.connect;
    this.#clientName = options.clientName;
  }

  /** Adds addresses of a node, to be tried in this order and after those known before. */
  learn(id: string, addresses: readonly HostPort[]): void {
    const known = this.#addresses.get(id) ?? [];
    for (const address of addresses) {
      if (address.host !== '' && address.port > 0 && !known.some((other) => sameAddress(other, address))) {
        known.push({ host: address.host, port: address.port });
      }
    }
    this.#addresses.set(id, known);
  }

  /** The ids of all nodes that it knows an address of. */
  get ids(): string[] {
    return [...this.#addresses.keys()];
  }

  /** The first address of the node; its id when none is known. */
  label(id: string): string {
    const first = this.#addresses.get(id)?.[0];
    return first === undefined ? id : formatAddress(first);
  }

  /**
   * Opens a connection to an address whose node is not known yet, asks for the node's id and keeps both.
   * @throws ForgeError what `connectNode` throws, or `refused` when the server is not in cluster mode
   */
  async meet(address: HostPort): Promise<{ id: string; connection: NodeConnection }> {
    const connection = await this.#open(address);
    try {
      const id = await connection.callText('CLUSTER', 'MYID');
      this.#addresses.set(id, [
        { host: address.host, port: address.port },
        ...(this.#addresses.get(id) ?? []).filter((other) => !sameAddress(other, address)),
      ]);
      const before = await this.#connections.get(id)?.catch(() => undefined);
      if (before?.isOpen) {
        connection.close();
        return { id, connection: before };
      }
      this.#connections.set(id, Promise.resolve(connection));
      return { id, connection };
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** The shared connection to the node. Reopened when it was lost; whoever waits on it with a slow command uses `dedicated`. */
  async get(id: string): Promise<NodeConnection> {
    const known = this.#connections.get(id);
    const current = await known?.catch(() => undefined);
    if (current?.isOpen) return current;
    // Another caller may have begun to reopen it meanwhile.
    const begun = this.#connections.get(id);
    if (begun !== undefined && begun !== known) return begun;
    const opening = this.#connect(id);
    opening.catch(() => undefined);
    this.#connections.set(id, opening);
    return opening;
  }

  /**
   * A connection of its own, for commands that take long. The caller closes it; `close` of the pool does, too.
   * @param clientName another name than the pool's
   */
  async dedicated(
    id: string,
    options: { clientName?: string; settings?: Partial<ConnectSettings> } = {},
  ): Promise<NodeConnection> {
    for (const connection of this.#dedicated) if (!connection.isOpen) this.#dedicated.delete(connection);
    const connection = await this.#connect(id, options);
    this.#dedicated.add(connection);
    return connection;
  }

  close(): void {
    this.#closed = true;
    for (const opening of this.#connections.values()) {
      opening.then(
        (connection) => connection.close(),
        () => undefined,
      );
    }
    for (const connection of this.#dedicated) connection.close();
    this.#connections.clear();
    this.#dedicated.clear();
  }

  async #open(
    address: HostPort,
    options: { clientName?: string; settings?: Partial<ConnectSettings> } = {},
  ): Promise<NodeConnection> {
    const { clientName = this.#clientName, settings } = options;
    const connection = await connectNode({
      ...this.settings,
      ...settings,
      host: address.host,
      port: address.port,
    });
    if (this.#closed) {
      connection.close();
      throw new ForgeError('interrupted', `${connection.label}: the connections are closed.`);
    }
    if (clientName === undefined) return connection;
    try {
      await connection.call('CLIENT', 'SETNAME', clientName);
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  async #connect(
    id: string,
    options: { clientName?: string; settings?: Partial<ConnectSettings> } = {},
  ): Promise<NodeConnection> {
    const addresses = this.#addresses.get(id) ?? [];
    let failure: unknown = new ForgeError('unreachable', `No address of node ${id} is known.`, { host: id });
    for (const [index, address] of addresses.entries()) {
      try {
        const connection = await this.#open(address, options);
        const found = await connection.callText('CLUSTER', 'MYID').catch((error: unknown) => {
          connection.close();
          throw error;
        });
        if (found === id) return connection;
        connection.close();
        throw new ForgeError('refused', `${formatAddress(address)} is another node (${found}) than ${id}.`, {
          host: formatAddress(address),
          next: 'Check cluster-announce-ip and cluster-announce-port: the nodes tell addresses that lead elsewhere from here.',
        });
      } catch (error) {
        // What the first address says is what the operator knows the node by.
        if (index === 0) failure = error;
      }
    }
    throw failure;
  }
}
