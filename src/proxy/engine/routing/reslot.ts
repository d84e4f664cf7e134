import type { Request } from '../core/request.js';
import type { Router } from '../core/router.js';
import { NO_NODE } from '../core/slot-map.js';
import { DEFAULT_LIMITS, FRAME_COMPLETE, frameRequest, RequestFrame } from '../resp/request-framer.js';
import type { KeySpace } from '../sharding/key-space.js';
import { findKeys, KEYS } from './keys.js';

const frame = new RequestFrame();

/**
 * Gives a command that has not been sent, and whose host is gone, the host that has its keys now.
 * @returns false when they are on several hosts now: it cannot be sent
 */
function reslot(request: Request, keySpace: KeySpace): boolean {
  const { bytes, entry } = request;
  // Several commands in one have one host each in a cluster only.
  if (bytes === null || entry === null || request.replies !== 1) return false;
  if (frameRequest(bytes, request.start, request.end, frame, DEFAULT_LIMITS) !== FRAME_COMPLETE) return false;
  const count = findKeys(entry, bytes, frame);
  for (let i = 0; i < count; i++) {
    const slot = keySpace.slotOf(bytes, frame.starts[KEYS.at[i]], frame.ends[KEYS.at[i]]);
    if (i === 0) request.slot = slot;
    else if (slot !== request.slot) return false;
  }
  return count > 0;
}

/** Whether a command that waits has a host, or may get one yet. A host that is gone leaves its keys to others. */
export function hasHost(request: Request, { keySpace, slotMap }: Router): boolean {
  if (keySpace.clustered || keySpace.slots === 0 || request.slot < 0) return true;
  return slotMap.nodeOf(request.slot) !== NO_NODE || reslot(request, keySpace);
}
