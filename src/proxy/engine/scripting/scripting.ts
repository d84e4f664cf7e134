import { type Bytes, latin1 } from '../bytes.js';
import type { Core } from '../core/core.js';
import { type Lane, LaneState } from '../core/lane.js';
import type { Request } from '../core/request.js';
import { encodeCommand } from '../resp/encode.js';
import { DEFAULT_LIMITS, FRAME_COMPLETE, frameRequest, RequestFrame } from '../resp/request-framer.js';
import { Counter } from '../stats.js';
import { type Library, LibraryStore } from './library-store.js';
import { ScriptStore } from './script-store.js';

/** A command is sent this often in all when nodes lack its script: one may be flushed behind the proxy's back. */
const ATTEMPTS_MAX = 4;

const NO_SCRIPT = '-NOSCRIPT ';
const NO_FUNCTION = '-ERR Function not found';

/** The kinds of questions between workers. */
export const Ask = {
  script: 'scripting.script',
  known: 'scripting.known',
  forget: 'scripting.forget',
  libraries: 'scripting.libraries',
  offer: 'scripting.offer',
} as const;

const frame = new RequestFrame();

/**
 * Scripts and functions that clients loaded, and what happens when a node lacks one: after a failover to a replica that
 * never saw it, on a master that was added, or because somebody flushed them there. The node gets it again and the
 * command goes a second time; it has not run, so this is safe.
 */
export class Scripting {
  readonly scripts: ScriptStore;
  readonly libraries: LibraryStore;

  constructor(private readonly core: Core) {
    this.scripts = new ScriptStore(core.runtime.allocate, core.limits);
    this.libraries = new LibraryStore(core.limits);
    core.relay.on(Ask.script, (sha) => this.scripts.get(sha as string));
    core.relay.on(Ask.known, (shas) => (shas as string[]).map((sha) => this.scripts.get(sha) !== null));
    core.relay.on(Ask.forget, () => this.scripts.clear());
    core.relay.on(Ask.offer, (libraries) => this.libraries.offer(libraries as Library[]));
    core.relay.on(Ask.libraries, (libraries) => this.libraries.replace(libraries as Library[]));
  }

  /**
   * Looks at an error that answers EVALSHA, FCALL and the like. True: what was missing is on its way, and so is the
   * command. The client is not read until its commands are answered, so that none overtakes this one.
   */
  recovers(request: Request, bytes: Bytes, start: number, end: number, lane: Lane): boolean {
    if (request.client === null || request.pinned || request.attempts >= ATTEMPTS_MAX) return false;
    const isScript = startsWith(bytes, start, end, NO_SCRIPT);
    if (!isScript && !startsWith(bytes, start, end, NO_FUNCTION)) return false;
    const command = request.bytes as Bytes;
    if (frameRequest(command, request.start, request.end, frame, DEFAULT_LIMITS) !== FRAME_COMPLETE) return false;
    if (frame.count < 2) return false;
    const argument = latin1(command, frame.starts[1], frame.ends[1]);
    if (!isScript) return this.recoversFunction(request, argument, lane);
    if (argument.length !== 40) return false;
    this.recoverScript(request, argument.toLowerCase(), bytes.subarray(start, end) as Bytes, lane);
    return true;
  }

  private recoverScript(request: Request, sha: string, error: Bytes, lane: Lane): void {
    const known = this.scripts.get(sha);
    if (known !== null) {
      this.load(lane, ['SCRIPT', 'LOAD'], known);
      this.core.retries.repeat(request, lane);
      return;
    }
    // Another worker may know it. Until it has said so, this command's place in the client's order stays taken.
    const kept = this.core.runtime.allocate(error.length);
    error.copy(kept, 0, 0, error.length);
    this.core.retries.suspend(request);
    this.core.runtime.ask(Ask.script, sha, (answers) => {
      const found = answers.find((answer) => answer != null) as Uint8Array | undefined;
      if (found === undefined || request.client === null) {
        this.core.replies.deliver(request, kept, 0, kept.length, true);
        return;
      }
      const script = this.core.runtime.allocate(found.length);
      script.set(found);
      this.scripts.set(sha, script);
      this.load(lane, ['SCRIPT', 'LOAD'], script);
      this.core.retries.repeat(request, lane);
    });
  }

  private recoversFunction(request: Request, name: string, lane: Lane): boolean {
    const library = this.libraries.withFunction(name);
    if (library === null) return false;
    // A replica takes libraries from its master only.
    const target = lane.readonly ? lane.router.laneOf(Math.max(0, request.slot), request.laneId) : lane;
    if (target === null) return false;
    this.load(target, ['FUNCTION', 'LOAD', 'REPLACE'], this.core.text(library.code));
    this.core.retries.repeat(request, lane.readonly ? null : lane);
    return true;
  }

  /** Sends what was missing ahead of the command. Without a connection the command finds out again. */
  private load(lane: Lane, words: string[], code: Bytes): void {
    if (lane.state !== LaneState.ready) return;
    lane.router.count(Counter.upstream_rq_script_reload);
    const { allocate } = this.core.runtime;
    const head = encodeCommand([...words, ''], allocate);
    const length = this.core.text(`$${code.length}\r\n`);
    // The empty last argument, `$0` and two line ends, makes room for the code.
    const start = head.length - 6;
    const command = allocate(start + length.length + code.length + 2);
    head.copy(command, 0, 0, start);
    length.copy(command, start, 0, length.length);
    code.copy(command, start + length.length, 0, code.length);
    command[command.length - 2] = 13;
    command[command.length - 1] = 10;
    lane.sendInternal(command);
  }
}

function startsWith(bytes: Bytes, start: number, end: number, text: string): boolean {
  if (end - start < text.length) return false;
  for (let i = 0; i < text.length; i++) if (bytes[start + i] !== text.charCodeAt(i)) return false;
  return true;
}
