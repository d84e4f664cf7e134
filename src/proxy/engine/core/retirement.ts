import type { Nodes } from './nodes.js';
import type { Router } from './router.js';

/** What is on its way when a cluster leaves the configuration gets this long in any case: it may be sent again. */
const RETIRE_MIN_MS = 500;
/** Beyond the `op_timeout`. */
const RETIRE_GRACE_MS = 1000;

/** The end of a cluster that is in the configuration no more. */
export class Retirement {
  /** Nothing is sent to it any more. */
  over = false;
  private readonly sinceMs: number;

  constructor(
    private readonly router: Router,
    private readonly nodes: Nodes,
  ) {
    this.sinceMs = router.nowMs;
  }

  /** Something is on its way, or waits. */
  private get busy(): boolean {
    const { router } = this;
    if (router.unassigned.length > 0 || router.dedicated.active > 0) return true;
    for (const lane of router.lanes()) if (lane.inFlight > 0 || lane.waiting.length > 0) return true;
    return false;
  }

  /** Closes the connections once they carry nothing, or when that has taken long enough. True when it is done. */
  finish(): boolean {
    const { router, nodes } = this;
    const ageMs = router.nowMs - this.sinceMs;
    if (ageMs < RETIRE_MIN_MS) return false;
    if (this.busy && ageMs < router.settings.opTimeoutMs + RETIRE_GRACE_MS) return false;
    this.over = true;
    // What waits finds no node, and is told so.
    router.applyNodes([]);
    for (const node of [...nodes.all()]) {
      for (const lane of node.openLanes()) lane.terminate('the cluster is in the configuration no more');
      nodes.forget(node);
    }
    router.dedicated.end();
    return true;
  }
}
