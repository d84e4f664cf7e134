import type { Core } from '../core/core.js';
import { decodeReply } from '../resp/decode.js';
import type { Finish, MasterReply } from './all-masters.js';
import { allSucceeded, isError } from './combine.js';
import { Ask } from './scripting.js';

/** SCRIPT EXISTS: 1 when EVALSHA will find the script, on every master or because the proxy brings it there. */
export function scriptExists(
  core: Core,
  shas: readonly string[],
  replies: readonly MasterReply[],
  finish: Finish,
): void {
  if (replies.some(isError)) {
    finish(allSucceeded(core, replies));
    return;
  }
  const found = shas.map(() => true);
  for (const { bytes } of replies) {
    const flags = decodeReply(bytes);
    shas.forEach((_, i) => {
      if (!Array.isArray(flags) || flags[i] !== 1) found[i] = false;
    });
  }
  const say = () => {
    const text = `*${found.length}\r\n${found.map((each) => `:${each ? 1 : 0}\r\n`).join('')}`;
    finish({ pieces: [core.text(text)], failed: false });
  };
  if (!found.includes(false)) {
    say();
    return;
  }
  core.runtime.ask(Ask.known, shas, (answers) => {
    for (const known of answers) {
      if (!Array.isArray(known)) continue;
      known.forEach((yes, i) => {
        if (yes === true) found[i] = true;
      });
    }
    say();
  });
}
