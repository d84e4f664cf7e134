import { type Bytes, latin1 } from '../bytes.js';
import type { Handler } from '../core/handlers.js';
import { refuseUnsupported } from '../core/refuse.js';
import { sendAnywhere, sendKeyed } from '../core/send.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { onAllConnections, onAllMasters } from './all-masters.js';
import { allSucceeded, bulkContent, oneSucceeded } from './combine.js';
import { andRefresh, functionStats } from './function-command.js';
import { scriptExists } from './script-exists.js';
import { Ask } from './scripting.js';

const argument = (bytes: Bytes, frame: RequestFrame, index: number) =>
  latin1(bytes, frame.starts[index], frame.ends[index]);

const evaluate: Handler = (client, entry, bytes, start, frame) => {
  client.core.scripting.scripts.sawEval(bytes, frame.starts[1], frame.ends[1]);
  return sendKeyed(client, entry, bytes, start, frame);
};

const scriptLoad: Handler = (client, entry, bytes, start, frame) => {
  const { core } = client;
  const from = frame.starts[2];
  const to = frame.ends[2];
  onAllMasters(client, entry, bytes, start, frame.end, (replies, finish) => {
    const combined = allSucceeded(core, replies);
    const sha = combined.failed ? null : bulkContent(combined.pieces[0]);
    if (sha !== null) {
      const script = core.runtime.allocate(to - from);
      bytes.copy(script, 0, from, to);
      core.scripting.scripts.set(latin1(sha).toLowerCase(), script);
    }
    finish(combined);
  });
  return true;
};

const scriptFlush: Handler = (client, entry, bytes, start, frame) => {
  const { core } = client;
  onAllMasters(client, entry, bytes, start, frame.end, (replies, finish) => {
    const combined = allSucceeded(core, replies);
    if (combined.failed) finish(combined);
    else core.runtime.ask(Ask.forget, null, () => finish(combined));
  });
  return true;
};

const exists: Handler = (client, entry, bytes, start, frame) => {
  const shas: string[] = [];
  for (let i = 2; i < frame.count; i++) shas.push(argument(bytes, frame, i).toLowerCase());
  onAllMasters(client, entry, bytes, start, frame.end, (replies, finish) => {
    scriptExists(client.core, shas, replies, finish);
  });
  return true;
};

const kill: Handler = (client, entry, bytes, start, frame) => {
  onAllConnections(client, entry, bytes, start, frame.end, (replies, finish) => {
    finish(oneSucceeded(replies, 'NOTBUSY'));
  });
  return true;
};

/** What only the node that ran a script knows of it. */
const scriptShow: Handler = (client, entry, bytes, start, frame) => {
  onAllMasters(client, entry, bytes, start, frame.end, (replies, finish) => {
    finish(oneSucceeded(replies, 'NOSCRIPT'));
  });
  return true;
};

const changeFunctions: Handler = (client, entry, bytes, start, frame) => {
  onAllMasters(client, entry, bytes, start, frame.end, andRefresh(client));
  return true;
};

const stats: Handler = (client, entry, bytes, start, frame) => {
  onAllMasters(client, entry, bytes, start, frame.end, (replies, finish) => {
    finish(functionStats(client.core, replies));
  });
  return true;
};

const debug: Handler = (client, entry) => {
  refuseUnsupported(client, entry, 'changes the state of a connection, which the proxy looks after');
  return true;
};

const BY_NAME: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ['eval', evaluate],
  ['eval_ro', evaluate],
  ['script|load', scriptLoad],
  ['script|exists', exists],
  ['script|flush', scriptFlush],
  ['script|kill', kill],
  ['script|show', scriptShow],
  ['script|debug', debug],
  ['script|help', sendAnywhere],
  ['function|load', changeFunctions],
  ['function|delete', changeFunctions],
  ['function|flush', changeFunctions],
  ['function|restore', changeFunctions],
  ['function|kill', kill],
  ['function|stats', stats],
  ['function|list', sendAnywhere],
  ['function|dump', sendAnywhere],
  ['function|help', sendAnywhere],
]);

/** Scripts and functions. */
export const scripting: Handler = (client, entry, bytes, start, frame) => {
  const handler = BY_NAME.get(entry.name);
  return handler === undefined
    ? sendKeyed(client, entry, bytes, start, frame)
    : handler(client, entry, bytes, start, frame);
};
