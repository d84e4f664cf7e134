import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import { beginTask, finishTask } from '../core/task.js';

/** MONITOR: OK, and from then on every command that passes any worker. */
export function monitor(client: Client, entry: CommandEntry): void {
  const { core, details } = client;
  if (details.monitor) {
    client.reply(core.texts.ok);
    return;
  }
  const parent = beginTask(client, entry, { answered() {} });
  core.monitors.add(client, () => finishTask(core, parent, [core.texts.ok]));
}
