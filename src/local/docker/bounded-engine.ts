/** An engine that is not asked everything at once: each question is a process of its own, and there may be many nodes. */
import { setMaxListeners } from 'node:events';
import type { DockerCommand } from '../../docker/command.js';
import type { DockerEndpoint } from '../../docker/endpoint.js';
import { DockerEngine, type DockerOutput, type EngineOptions } from '../../docker/engine.js';
import { NODES_MAX } from '../shape.js';

/** Docker commands that run at the same time. */
export const COMMANDS_AT_ONCE = 8;

export class BoundedEngine extends DockerEngine {
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(endpoint: DockerEndpoint, options: EngineOptions = {}) {
    super(endpoint, options);
    // Each of them listens whether it is to end, and so does each connection to a node.
    if (options.signal !== undefined) setMaxListeners(COMMANDS_AT_ONCE + NODES_MAX, options.signal);
  }

  override async execute(command: DockerCommand): Promise<DockerOutput> {
    if (this.#running >= COMMANDS_AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    try {
      return await super.execute(command);
    } finally {
      // The place goes to the next one at once, so that nobody takes it in between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
