/** What all commands share that change a cluster, or finish and undo changes: they are ended, paused and watched alike. */
import { ClusterCommand } from './cluster-command.js';
import { hangupByTerminal } from './interruption.js';
import type { MoveControl } from './operations/move/control.js';
import { PauseSignal } from './operations/move/pause-signal.js';
import type { RunObserver } from './operations/run.js';

/** After Ctrl-C the slots in hand are finished: that includes a batch on its way, and nodes that are slow to answer. */
const FINISH_MS = 60_000;

export abstract class InterruptibleCommand extends ClusterCommand {
  /** Told every line of the journal and every change of a node: how tests end a command at a certain one. */
  static watch: Pick<RunObserver, 'journal' | 'mutation'> = {};

  protected override readonly cleanUpMs: number = FINISH_MS;
  protected override readonly hangup = hangupByTerminal();
  readonly #pauseSignal = new PauseSignal((text) => this.output.message(text));

  /** The signal that pauses turns this from now on; it may have been sent already. */
  protected pausable(move: MoveControl): MoveControl {
    this.#pauseSignal.turn(move);
    return move;
  }

  /** The signal is heard before anything is known of the cluster: unheard, it would end the process. */
  protected override async _run<T>(): Promise<T> {
    this.#pauseSignal.listen();
    try {
      return await super._run<T>();
    } finally {
      this.#pauseSignal.stop();
    }
  }
}
