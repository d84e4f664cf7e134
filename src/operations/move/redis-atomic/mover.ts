import { atomicMover } from '../atomic/atomic-mover.js';
import { redisAtomicDriver } from './driver.js';

/** Moves slots by CLUSTER MIGRATION IMPORT, where both nodes are Redis 8.4 or newer. */
export const redisAtomicMover = atomicMover(redisAtomicDriver);
