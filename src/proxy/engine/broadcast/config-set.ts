import { equalsIgnoreCase } from '../bytes.js';
import type { Handler } from '../core/handlers.js';
import { refuseUnsupported } from '../core/refuse.js';

/** By these the proxy and the replicas log in at the nodes: set from here, they would lock both of them out. */
const CREDENTIALS = ['requirepass', 'masterauth', 'masteruser', 'primaryauth', 'primaryuser'];

/** CONFIG SET as `next` serves it, but for the nodes' credentials; those only when `admin_commands` has `config|set`. */
export function configSet(next: Handler): Handler {
  return (client, entry, bytes, start, frame) => {
    if (!client.core.settings.adminCommands.includes('config|set')) {
      for (let i = 2; i < frame.count; i += 2) {
        const name = CREDENTIALS.find((each) => equalsIgnoreCase(bytes, frame.starts[i], frame.ends[i], each));
        if (name === undefined) continue;
        refuseUnsupported(
          client,
          entry,
          `would change ${name}, by which the proxy or the replicas log in at the nodes`,
        );
        return true;
      }
    }
    return next(client, entry, bytes, start, frame);
  };
}
