/** How nodes are restarted: the arguments and flags of all commands that do so, and what they come to. */
import { Args, Flags } from '@oclif/core';
import type { ClusterFlagValues } from './config/cluster-flags.js';
import type { Settings } from './config/resolve.js';
import { parseRestartCommand } from './operations/steps/restart-command.js';

export const restartArgs = {
  nodes: Args.string({
    description: 'Nodes to restart: ids or addresses, separated by commas. All when none is named.',
    required: false,
  }),
};

export const restartFlags = {
  'restart-command': Flags.string({
    description:
      'Program with arguments that restarts one node, instead of SHUTDOWN. {host}, {port}, {address} and {id} are filled in; no shell reads it.',
    helpValue: 'COMMAND',
  }),
  'start-command': Flags.string({
    description:
      'Program with arguments that starts one node after SHUTDOWN, where no supervisor does; written like the other.',
    helpValue: 'COMMAND',
    exclusive: ['restart-command'],
  }),
  'fail-back': Flags.boolean({ description: 'Give the former masters their role back.', default: false }),
};

export interface RestartFlagValues extends Pick<ClusterFlagValues, 'seed'> {
  readonly 'restart-command'?: string;
  readonly 'start-command'?: string;
}

export interface HowToRestart {
  /** Undefined where a supervisor starts what SHUTDOWN has ended. */
  readonly command: string[] | undefined;
  /** The command starts a node that SHUTDOWN has ended; else it does both. */
  readonly starts: boolean;
}

/**
 * Nodes of `forge up` stay away after SHUTDOWN, since that is how they are ended: without another command, forge itself
 * starts them again.
 * @throws ForgeError `usage` for a command that cannot be read
 */
export async function howToRestart(flags: RestartFlagValues, { unknownName }: Settings): Promise<HowToRestart> {
  const text = flags['start-command'] ?? flags['restart-command'];
  if (text !== undefined) {
    return { command: parseRestartCommand(text), starts: flags['start-command'] !== undefined };
  }
  if (unknownName === undefined || flags.seed !== undefined) return { command: undefined, starts: false };
  const { startCommandOf } = await import('./local/start-command.js');
  const command = await startCommandOf(unknownName);
  return { command, starts: command !== undefined };
}
