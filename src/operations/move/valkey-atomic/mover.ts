import { atomicMover } from '../atomic/atomic-mover.js';
import { valkeyAtomicDriver } from './driver.js';

/** Moves slots by CLUSTER MIGRATESLOTS, where both nodes are Valkey 9 or newer. */
export const valkeyAtomicMover = atomicMover(valkeyAtomicDriver);
