import type { Bytes } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { RequestFrame } from '../resp/request-framer.js';
import type { Client } from './client.js';

/** `Mode.admit`: the command is served as always. */
export const ADMIT_PASS = 0;
/** `Mode.admit`: the mode has dealt with it. */
export const ADMIT_DONE = 1;
/** `Mode.admit`: it must wait until the client's earlier commands are answered. */
export const ADMIT_WAIT = 2;

/** A state of a connection in which commands mean something else: a transaction, a RESP2 subscription. */
export interface Mode {
  /** Looks at a known command with a right number of arguments, before it is served. */
  admit(client: Client, entry: CommandEntry, bytes: Bytes, start: number, frame: RequestFrame): number;
  /** A command was refused before it came here: it is unknown, or (then with `entry`) has a wrong number of arguments. */
  refused?(client: Client, entry?: CommandEntry): void;
}
