/** How far clocks of nodes are apart. Pure. */
import type { DoctorFinding } from './finding.js';
import { failing, pass, warning } from './finding.js';

/** One look at a node's clock. */
export interface ClockLook {
  readonly address: string;
  /** Milliseconds by which it is ahead of this machine's: its time, minus the middle of sending and receiving. */
  readonly offsetMs: number;
  /** Half of the time that the look took: the offset is right within it. */
  readonly errorMs: number;
}

const SKEW_WARN_MS = 500;
const SKEW_FAIL_MS = 10_000;
/** Of this machine beside the nodes: certificates, and the times in logs. */
const OWN_WARN_MS = 5_000;

const shown = (ms: number) => (Math.abs(ms) < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

/** The offset of one TIME: `sentMs` and `receivedMs` by this machine's clock. */
export function clockLook(address: string, serverMs: number, sentMs: number, receivedMs: number): ClockLook {
  return { address, offsetMs: serverMs - (sentMs + receivedMs) / 2, errorMs: Math.max(0, receivedMs - sentMs) / 2 };
}

/** The look that took least: what stood in a queue tells little. */
export function bestLook(looks: readonly ClockLook[]): ClockLook | undefined {
  return looks.toSorted((left, right) => left.errorMs - right.errorMs)[0];
}

/** The nodes against each other, and this machine against their middle. What the looks leave open counts as right. */
export function judgeClocks(looks: readonly ClockLook[]): DoctorFinding[] {
  if (looks.length === 0) return [];
  const sorted = looks.toSorted((left, right) => left.offsetMs - right.offsetMs);
  const slow = sorted[0];
  const fast = sorted.at(-1);
  const middle = sorted[Math.floor((sorted.length - 1) / 2)];
  if (slow === undefined || fast === undefined || middle === undefined) return [];
  const findings: DoctorFinding[] = [];
  const apart = Math.max(0, fast.offsetMs - slow.offsetMs - fast.errorMs - slow.errorMs);
  const next = 'Let chrony or timesyncd keep the clock of every host: timedatectl set-ntp true';
  if (apart > SKEW_WARN_MS) {
    const text = `the clock of ${fast.address} is ${shown(apart)} ahead of that of ${slow.address}`;
    findings.push((apart > SKEW_FAIL_MS ? failing : warning)('clocks', 'nodes', text, next));
  } else if (looks.length > 1) {
    findings.push(
      pass('clocks', 'nodes', `${looks.length} clocks within ${shown(Math.max(1, fast.offsetMs - slow.offsetMs))}`),
    );
  }
  const own = Math.max(0, Math.abs(middle.offsetMs) - middle.errorMs);
  if (own > OWN_WARN_MS) {
    const direction = middle.offsetMs > 0 ? 'behind' : 'ahead of';
    findings.push(warning('clocks', 'this machine', `its clock is ${shown(own)} ${direction} that of the nodes`, next));
  } else {
    findings.push(pass('clocks', 'this machine', 'its clock agrees with that of the nodes'));
  }
  return findings;
}
