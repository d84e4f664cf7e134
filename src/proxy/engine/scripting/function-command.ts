import { type Bytes, latin1 } from '../bytes.js';
import type { Client } from '../core/client.js';
import type { Core } from '../core/core.js';
import type { Request } from '../core/request.js';
import { sendPart } from '../core/task.js';
import { decodeReply } from '../resp/decode.js';
import { encodeCommand } from '../resp/encode.js';
import type { Combine, Combined, MasterReply } from './all-masters.js';
import { allSucceeded, isError } from './combine.js';
import { type Library, readLibraries } from './library-store.js';
import { Ask } from './scripting.js';

/**
 * The libraries have changed: all workers learn what there is now, from a master that took the change, before the
 * client hears of it.
 */
export function andRefresh(client: Client): Combine {
  const { core } = client;
  return (replies, finish, parent) => {
    const combined = allSucceeded(core, replies);
    const changed = replies.find((each) => !isError(each));
    if (changed === undefined) {
      finish(combined);
      return;
    }
    parent.task = {
      answered(part: Request): void {
        const libraries = librariesIn(part);
        if (libraries === null) finish(combined);
        else core.runtime.ask(Ask.libraries, libraries, () => finish(combined));
      },
    };
    const bytes = encodeCommand(['FUNCTION', 'LIST', 'WITHCODE'], core.runtime.allocate);
    sendPart(parent, { bytes, router: changed.router, slot: changed.slot, startedMs: core.nowMs });
  };
}

function librariesIn(part: Request): Library[] | null {
  const bytes = part.reply as Bytes;
  if (bytes[part.replyStart] === 45) return null;
  try {
    return readLibraries(decodeReply(bytes, part.replyStart, part.replyEnd));
  } catch {
    return null;
  }
}

/** FUNCTION STATS of the master that runs a function, else of any: the libraries are the same on all. */
export function functionStats(core: Core, replies: readonly MasterReply[]): Combined {
  if (replies.some(isError)) return allSucceeded(core, replies);
  const idle = /running_script\r\n(_|\$-1|\*-1)\r\n/;
  const busy = replies.find(({ bytes }) => !idle.test(latin1(bytes)));
  return { pieces: [(busy ?? replies[0]).bytes], failed: false };
}
