/** The files of one folder of logs, by name: on this host, or through a shell on another. */
import type { FileWriter } from './writers.js';

export interface FileFacts {
  readonly bytes: number;
  readonly modifiedMs: number;
  /** When it was made, as far as the file system knows. */
  readonly bornMs: number;
}

/** Never through a symbolic link; each change is on the disk before the next begins. */
export interface LogFiles {
  readonly directory: string;
  /** Names of regular files with one name only: what is a link of any kind is somebody else's. */
  names(): Promise<string[]>;
  /** Undefined for what is no regular file. */
  facts(name: string): Promise<FileFacts | undefined>;
  remove(name: string): Promise<void>;
  /** Never over another file: whoever plans has seen that there is none. */
  rename(from: string, to: string): Promise<void>;
  /** An empty file like another one: mode, and owner where that may be set. One that is there already is only set right. */
  makeLike(name: string, like: string): Promise<void>;
  /**
   * Makes `to` a copy of the log, then empties the log: for one whose writer goes on in the same file. What is written
   * between the last look and the emptying is lost.
   */
  copyAndEmpty(base: string, to: string): Promise<void>;
  /** In flat memory. The compressed file has the mode, the owner and the time of the plain one, which goes. */
  compress(from: string, to: string, signal: AbortSignal): Promise<void>;
  /** Whether the compressed file holds exactly what the plain one does; a torn one does not. */
  holdsSame(compressed: string, plain: string): Promise<boolean>;
  /** Whether a file begins with all that another one holds. */
  beginsWith(name: string, prefix: string): Promise<boolean>;
  /** The processes that have it open for writing, as far as that can be known. */
  writers(name: string): Promise<readonly FileWriter[]>;
  /** Has a proxy open its log anew; one that has ended is none to be asked. */
  reopen(pid: number): Promise<void>;
  /** Runs the work while nobody else rotates here. @throws ForgeError `locked` */
  locked<Result>(work: () => Promise<Result>): Promise<Result>;
}
