/** The connection under test: an endpoint that takes every key, or a node of a cluster whose keys live on several. */
import { setTimeout as sleep } from 'node:timers/promises';
import { formatAddress } from '../cluster/address.js';
import { type ConnectNodeOptions, connectNode, type NodeConnection } from '../cluster/node-connection.js';
import { commandFailure, replyErrorOf } from '../cluster/node-failure.js';
import type { Topology } from '../cluster/topology.js';
import { ForgeError } from '../errors.js';

/** As many redirects as the cluster specification's clients take before they give up. */
const REDIRECTS_MAX = 5;
const TRY_AGAIN_MS = 50;

export type SmokeArgument = string | number | Buffer;

export interface SmokeClient {
  /** True when a command's keys must all be in one slot: this is a cluster's node, not an endpoint in front of one. */
  readonly oneSlotOnly: boolean;
  /** The connection to the address that was given. */
  readonly node: NodeConnection;
  /**
   * Sends a command whose keys are in `slot`. Calls made without waiting go out as a pipeline.
   * @throws ForgeError as `NodeConnection.call`
   */
  send(slot: number, command: string, ...args: SmokeArgument[]): Promise<unknown>;
  /** Like `send`; the reply's strings come as bytes. */
  sendBinary(slot: number, command: string, ...args: SmokeArgument[]): Promise<unknown>;
  /** From now on nothing is sent but by `remove`: a step that was given up goes on by itself, and would write again. */
  halt(): void;
  /** Deletes a key, after all that was sent before. */
  remove(slot: number, name: string): Promise<unknown>;
  close(): void;
}

const halted = () => Promise.reject(new ForgeError('unexpected', 'The steps of the test are over.'));

/**
 * Connects as `connectNode` does, but calls a server that takes connections and never answers timed out: it is there,
 * unlike an unreachable one.
 */
export async function openNode(options: ConnectNodeOptions): Promise<NodeConnection> {
  try {
    return await connectNode(options);
  } catch (error) {
    const cause = error instanceof ForgeError ? error.cause : undefined;
    if (!(cause instanceof Error) || cause.message !== 'Command timed out') throw error;
    const label = formatAddress(options);
    throw new ForgeError('timeout', `${label} accepts connections but does not answer.`, {
      host: label,
      next: 'Check whether the server hangs, is stopped, or is busy with a slow command.',
      cause,
    });
  }
}

async function callOn(node: NodeConnection, binary: boolean, command: string, args: SmokeArgument[]): Promise<unknown> {
  if (!binary) return await node.call(command, ...args);
  try {
    return await node.client.callBuffer(command, ...args);
  } catch (error) {
    throw commandFailure(error, node.label, command);
  }
}

/** Everything goes through the one connection. */
export class EndpointClient implements SmokeClient {
  readonly oneSlotOnly = false;
  readonly node: NodeConnection;
  #halted = false;

  constructor(node: NodeConnection) {
    this.node = node;
  }

  send(_slot: number, command: string, ...args: SmokeArgument[]): Promise<unknown> {
    return this.#halted ? halted() : callOn(this.node, false, command, args);
  }

  sendBinary(_slot: number, command: string, ...args: SmokeArgument[]): Promise<unknown> {
    return this.#halted ? halted() : callOn(this.node, true, command, args);
  }

  halt(): void {
    this.#halted = true;
  }

  remove(_slot: number, name: string): Promise<unknown> {
    return callOn(this.node, false, 'DEL', [name]);
  }

  close(): void {
    this.node.close();
  }
}

/** Each command goes to the master of its slot, MOVED and ASK are followed. One connection per node. */
export class ClusterClient implements SmokeClient {
  readonly oneSlotOnly = true;
  readonly node: NodeConnection;
  readonly #options: ConnectNodeOptions;
  readonly #topology: Topology;
  readonly #moved = new Map<number, string>();
  readonly #connections = new Map<string, Promise<NodeConnection>>();
  #halted = false;
  #closed = false;

  /** @param options how `node` was connected to; the other nodes take the same credentials and bounds */
  constructor(node: NodeConnection, options: ConnectNodeOptions, topology: Topology) {
    this.node = node;
    this.#options = options;
    this.#topology = topology;
    this.#connections.set(node.label, Promise.resolve(node));
  }

  send(slot: number, command: string, ...args: SmokeArgument[]): Promise<unknown> {
    return this.#route(slot, false, command, args);
  }

  sendBinary(slot: number, command: string, ...args: SmokeArgument[]): Promise<unknown> {
    return this.#route(slot, true, command, args);
  }

  halt(): void {
    this.#halted = true;
  }

  remove(slot: number, name: string): Promise<unknown> {
    return this.#route(slot, false, 'DEL', [name], true);
  }

  close(): void {
    this.#closed = true;
    for (const connection of this.#connections.values()) {
      connection.then(
        (node) => node.close(),
        () => {},
      );
    }
  }

  async #route(
    slot: number,
    binary: boolean,
    command: string,
    args: SmokeArgument[],
    isLast = false,
  ): Promise<unknown> {
    let node = await this.#nodeAt(this.#addressOf(slot));
    let asking = false;
    for (let redirects = 0; ; redirects++) {
      if (this.#halted && !isLast) return await halted();
      try {
        // ASKING holds for the next command on the connection: nothing may come between the two.
        const permission = asking ? node.call('ASKING') : undefined;
        const [, reply] = await Promise.all([permission, callOn(node, binary, command, args)]);
        return reply;
      } catch (error) {
        const [kind, , address = ''] = (replyErrorOf(error) ?? '').split(' ');
        if (redirects >= REDIRECTS_MAX) throw error;
        if (kind === 'MOVED') this.#moved.set(slot, this.#resolve(address, node));
        else if (kind === 'TRYAGAIN') await sleep(TRY_AGAIN_MS);
        else if (kind !== 'ASK') throw error;
        asking = kind === 'ASK' || (kind === 'TRYAGAIN' && asking);
        if (kind !== 'TRYAGAIN') node = await this.#nodeAt(this.#resolve(address, node));
      }
    }
  }

  #addressOf(slot: number): string {
    const moved = this.#moved.get(slot);
    if (moved !== undefined) return moved;
    const owner = this.#topology.ownerOf(slot);
    // Nobody serves it: the node that was given answers that in its own words.
    if (owner === undefined) return this.node.label;
    return formatAddress({ host: owner.ip || owner.hostname || this.#options.host, port: owner.port });
  }

  /** The address of a redirect: an empty host means the host of the node that answered. */
  #resolve(address: string, from: NodeConnection): string {
    const colon = address.lastIndexOf(':');
    const host = address.slice(0, colon).replace(/^\[|\]$/g, '');
    return formatAddress({ host: host || from.ip, port: Number(address.slice(colon + 1)) });
  }

  #nodeAt(address: string): Promise<NodeConnection> {
    if (this.#closed) return Promise.reject(new ForgeError('unexpected', 'The client is closed already.'));
    const known = this.#connections.get(address);
    if (known !== undefined) return known;
    const colon = address.lastIndexOf(':');
    const host = address.slice(0, colon).replace(/^\[|\]$/g, '');
    const connection = openNode({ ...this.#options, host, port: Number(address.slice(colon + 1)) });
    this.#connections.set(address, connection);
    return connection;
  }
}
