/** One node during the forming of a cluster: its connection and what it was found to be. */
import type { NodeAddress } from '../address.js';
import type { NodeConnection } from '../node-connection.js';
import type { NodeFacts, NodeView } from '../node-view.js';

export interface Member {
  /** `host:port` as the operator wrote it. */
  readonly label: string;
  readonly address: NodeAddress;
  readonly connection: NodeConnection;
  readonly id: string;
  /** The IP address at which it was reached, and at which the other nodes are told to meet it. */
  readonly ip: string;
  readonly busPort: number;
  /** It asks its clients for a password, and has none itself to log in to a master. */
  readonly masterPasswordMissing: boolean;
  /** Its cluster-node-timeout; undefined where CONFIG is not allowed. */
  readonly nodeTimeoutMs?: number;
  readonly facts: NodeFacts;
  readonly view: NodeView;
}

/** Something that a node was told to do. */
export interface Mutation {
  readonly node: string;
  readonly command: readonly string[];
}

/** What an operator sees of the work, besides its steps. */
export interface InitObserver {
  /** Called before every command that changes a node; what it throws ends the work there. */
  mutation?(mutation: Mutation): void;
}

/**
 * The one gate that every change passes: it is announced, stopped by the signal, and its reply is checked.
 * @throws ForgeError when the node does not answer OK
 */
export type Mutate = (member: Member, ...command: (string | number)[]) => Promise<void>;
