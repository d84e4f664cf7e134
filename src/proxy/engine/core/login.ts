import { Counter } from '../stats.js';
import type { Handshake } from './handshake.js';
import type { Lane } from './lane.js';
import type { Request } from './request.js';

/**
 * An upstream has refused what a connection said first. The proxy's own login is tried once more with the password
 * before the current one; commands that wait for a user's connection are told what Redis says of the user.
 */
export function refusedAtHandshake(lane: Lane, { error, loginRefused }: Handshake): void {
  const { core, router, node, identity } = lane;
  if (loginRefused) router.count(Counter.upstream_auth_refused);
  if (identity !== null) {
    if (loginRefused) core.identities.doubt(identity);
    // What Redis says of this user it says to all its commands; anything else may pass.
    if (loginRefused) lane.refusal = error;
    const waiting = loginRefused ? lane.takeWaiting() : [];
    router.add(Counter.upstream_rq_pending_active, -waiting.length);
    lane.terminate(`login refused: ${error}`);
    const text = core.text(`-${error}\r\n`);
    for (const request of waiting) core.replies.fail(request, text);
    return;
  }
  const previous = loginRefused && !lane.triedPrevious ? router.previousGreeting(lane.proto, lane.readonly) : null;
  if (previous !== null) {
    lane.triedPrevious = true;
    // There may be thousands of the others.
    if (lane.pool === null) {
      core.runtime.log('warn', 'the upstream does not know the new password yet; the previous one is tried', {
        upstream: node.address,
      });
    }
    lane.greet(previous);
    return;
  }
  core.runtime.log('error', `the upstream refused the login: ${error}`, { upstream: node.address });
  lane.terminate(`login refused: ${error}`);
}

/** True when a command was answered because its user cannot have the connection that it came to wait for. */
export function refusedUser(lane: Lane, request: Request): boolean {
  const { core, identity, refusal } = lane;
  if (lane.retired || identity?.closed) core.replies.fail(request, core.texts.upstreamFailure);
  // The node is asked again a little later; until then it says what it has said.
  else if (refusal !== '' && core.nowMs < lane.retryAtMs) core.replies.fail(request, core.text(`-${refusal}\r\n`));
  else return false;
  return true;
}
