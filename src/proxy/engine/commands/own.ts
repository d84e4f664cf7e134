import { ACL_CATEGORIES, CommandFlag, type CommandSpec, Server } from './spec.js';

/** Commands that no server has, and the proxy does. They follow the generated table. */
export const OWN_COMMANDS: readonly CommandSpec[] = [
  {
    name: 'info.shard',
    arity: -2,
    flags: CommandFlag.loading | CommandFlag.stale,
    // As INFO.
    acl: (1 << ACL_CATEGORIES.indexOf('slow')) | (1 << ACL_CATEGORIES.indexOf('dangerous')),
    keys: [],
    request: 'special',
    response: 'special',
    servers: Server.redis7 | Server.redis8 | Server.valkey9,
    container: false,
  },
];
