import type { Bytes } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import type { Core } from '../core/core.js';
import { Hold } from '../core/hold.js';
import { acquireRequest, type Request } from '../core/request.js';
import { finishTask, sendPart } from '../core/task.js';
import { encodeWords } from '../pubsub/encode.js';
import type { Identity } from './identity.js';

/**
 * What Redis is asked whether a user may run a command that the proxy serves itself: the same command in a form that
 * changes nothing. Redis looks at the rights before it looks at the arguments, so these may be wrong. Commands that
 * Redis allows before a login are not here.
 */
const QUESTIONS: ReadonlyMap<string, readonly string[]> = new Map([
  ['ping', ['PING']],
  ['echo', ['ECHO', '']],
  ['select', ['SELECT', '0']],
  ['time', ['TIME']],
  ['role', ['ROLE']],
  ['acl|whoami', ['ACL', 'WHOAMI']],
  ['monitor', ['MONITOR']],
  ['client|id', ['CLIENT', 'ID']],
  ['client|getname', ['CLIENT', 'GETNAME']],
  ['client|setname', ['CLIENT', 'SETNAME', ' ']],
  ['client|setinfo', ['CLIENT', 'SETINFO', '-', '-']],
  ['client|info', ['CLIENT', 'INFO']],
  ['client|list', ['CLIENT', 'LIST', 'TYPE', '-']],
  ['client|kill', ['CLIENT', 'KILL', '-']],
  ['client|pause', ['CLIENT', 'PAUSE', '-']],
  // There is no harmless form: whoever may begin a pause may end it.
  ['client|unpause', ['CLIENT', 'PAUSE', '-']],
  ['client|unblock', ['CLIENT', 'UNBLOCK', '0']],
  ['client|reply', ['CLIENT', 'REPLY', '-']],
  ['client|no-evict', ['CLIENT', 'NO-EVICT', '-']],
  ['client|no-touch', ['CLIENT', 'NO-TOUCH', '-']],
  ['client|tracking', ['CLIENT', 'TRACKING', '-']],
  ['client|trackinginfo', ['CLIENT', 'TRACKINGINFO']],
  ['client|caching', ['CLIENT', 'CACHING', '-']],
  ['client|getredir', ['CLIENT', 'GETREDIR']],
  ['client|help', ['CLIENT', 'HELP']],
]);

/** A question is sent so often when connections are lost that it is on. */
const ATTEMPTS_MAX = 4;

const NO_PERMISSION = '-NOPERM';

/**
 * Whether a client that is a user of Redis's may run a command that the proxy serves itself. True when it may; false
 * when it was told that it may not, or has to wait until Redis has said so: then `waits` is set, and it is asked again.
 */
export class Permission {
  waits = false;

  allows(client: Client, entry: CommandEntry): boolean {
    const { identity, core } = client;
    this.waits = false;
    const question = QUESTIONS.get(entry.name);
    if (identity === null || question === undefined) return true;
    const known = identity.permissions.get(entry.name);
    if (known !== undefined && known.untilMs > core.nowMs) {
      if (known.error === '') return true;
      core.countRequest(entry);
      core.countError(entry);
      client.reply(core.text(known.error));
      return false;
    }
    let within = true;
    client.setHold(Hold.login);
    const answered = (line: string | null) => {
      const error = line?.startsWith(NO_PERMISSION) ? `${line}\r\n` : line === null ? '-upstream failure\r\n' : '';
      const keptMs = line === null ? 0 : (core.settings.upstreamAuth?.checkIntervalMs ?? 0);
      // What was just asked for is answered by it, even when it is not kept.
      identity.permissions.set(entry.name, { error, untilMs: core.nowMs + Math.max(keptMs, 100) });
      // Nothing else lets a client go on that has no command on its way.
      client.liftHold(client.head === null && !within ? Hold.login | Hold.order : Hold.login);
    };
    const bytes = encodeWords(question, core.runtime.allocate);
    if (entry.name === 'monitor') askToMonitor(core, identity, bytes, answered);
    else ask(core, client.laneId, bytes, answered);
    within = false;
    // When it could not be asked, the answer is there already.
    if ((client.hold & Hold.login) === 0) return this.allows(client, entry);
    this.waits = true;
    return false;
  }
}

/** The question goes over the user's shared connection to any master; it changes nothing, and may go again. */
function ask(core: Core, laneId: number, bytes: Bytes, answered: (line: string | null) => void): void {
  const parent = acquireRequest();
  const question = { bytes, entry: null, router: core.router };
  let left = ATTEMPTS_MAX;
  parent.laneId = laneId;
  parent.startedMs = core.nowMs;
  parent.task = {
    answered(part: Request): void {
      if (part.failed && --left > 0) {
        sendPart(parent, question);
        return;
      }
      const reply = part.reply as Bytes;
      let end = part.replyStart;
      while (end < part.replyEnd && reply[end] !== 13) end++;
      const line = part.failed ? null : String.fromCharCode(...reply.subarray(part.replyStart, end));
      finishTask(core, parent, []);
      answered(line);
    },
  };
  sendPart(parent, question);
}

/** MONITOR takes the connection over on which it is given: it gets one of its own. */
function askToMonitor(core: Core, identity: Identity, bytes: Bytes, answered: (line: string | null) => void): void {
  const login = encodeWords(['AUTH', identity.user, identity.password], core.runtime.allocate);
  core.identities.check.once(core.router, [login, bytes], core.nowMs + core.router.settings.opTimeoutMs, answered);
}

export const permission = new Permission();
