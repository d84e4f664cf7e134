/** The ways of moving slots that this program has. */
import { ForgeError } from '../../errors.js';
import { migrateMover } from './migrate/mover.js';
import type { MoverName, SlotMover } from './mover.js';
import { redisAtomicMover } from './redis-atomic/mover.js';
import { valkeyAtomicMover } from './valkey-atomic/mover.js';

const MOVERS: readonly SlotMover[] = [migrateMover, valkeyAtomicMover, redisAtomicMover];

/** @throws ForgeError `refused` for a way that this version of forge does not have */
export function moverNamed(name: MoverName): SlotMover {
  const mover = MOVERS.find((candidate) => candidate.name === name);
  if (mover !== undefined) return mover;
  throw new ForgeError('refused', `This version of forge cannot move slots by ${name}.`, {
    next: 'Choose another way with --method.',
  });
}
