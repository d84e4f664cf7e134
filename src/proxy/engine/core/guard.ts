import type { Bytes } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { RequestFrame } from '../resp/request-framer.js';
import type { Client } from './client.js';

/**
 * Looks at a known command with a right number of arguments before it is served: what a user may do, how much of it.
 * A client that is limited in nothing has none.
 */
export interface Guard {
  /**
   * The error to answer with, or null when the command may be served. Called again for a command that had to wait for
   * earlier ones.
   */
  refusal(client: Client, entry: CommandEntry, bytes: Bytes, frame: RequestFrame): Bytes | null;
  /** The command that it let pass has to wait for earlier ones; nothing has happened, and it comes again. */
  waits?(client: Client): void;
}
