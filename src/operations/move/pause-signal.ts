/**
 * SIGUSR2 pauses the moving of slots, and once more lets it go on: `kill -USR2 PID`, from another terminal or a script.
 * Node itself uses SIGUSR1. The slots in hand are finished first, so that none is open meanwhile; the lock stays held.
 */
import type { MoveControl } from './control.js';

export class PauseSignal {
  readonly #say: (text: string) => void;
  #move: MoveControl | undefined;
  /** What was asked for before there was anything to pause. */
  #early = false;

  /** @param say tells the operator what happened, and what goes on from there */
  constructor(say: (text: string) => void) {
    this.#say = say;
  }

  /** From now on the signal does not end the process; until `stop`. */
  listen(): void {
    // Windows has no such signal.
    if (process.platform !== 'win32') process.on('SIGUSR2', this.#toggle);
  }

  stop(): void {
    process.removeListener('SIGUSR2', this.#toggle);
  }

  /** The signal turns this; paused at once when it was sent before. */
  turn(move: MoveControl): void {
    this.#move = move;
    if (this.#early) move.pause();
  }

  readonly #toggle = () => {
    const paused = !(this.#move?.paused ?? this.#early);
    this.#early = paused;
    if (paused) this.#move?.pause();
    else this.#move?.resume();
    if (!paused) this.#say('Slots move again.');
    else if (this.#move === undefined)
      this.#say(`Paused: no slot will begin to move. Go on: kill -USR2 ${process.pid}`);
    else this.#say(`Paused: the slots in hand are finished, no other begins. Go on: kill -USR2 ${process.pid}`);
  };
}
