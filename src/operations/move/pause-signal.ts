/**
 * SIGUSR2 pauses the moving of slots, and once more lets it go on: `kill -USR2 PID`, from another terminal or a script.
 * Node itself uses SIGUSR1. The slots in hand are finished first, so that none is open meanwhile; the lock stays held.
 */
import type { MoveControl } from './control.js';

/**
 * Listens until the returned function is called.
 * @param say tells the operator what happened, and what goes on from there
 */
export function pauseBySignal(move: MoveControl, say: (text: string) => void): () => void {
  const toggle = () => {
    if (move.paused) {
      move.resume();
      say('Slots move again.');
    } else {
      move.pause();
      say(`Paused: the slots in hand are finished, no other begins. Go on: kill -USR2 ${process.pid}`);
    }
  };
  // Windows has no such signal.
  if (process.platform === 'win32') return () => undefined;
  process.on('SIGUSR2', toggle);
  return () => {
    process.removeListener('SIGUSR2', toggle);
  };
}
