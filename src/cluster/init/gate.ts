import { ForgeError } from '../../errors.js';
import type { InitObserver, Mutate } from './member.js';

/** The gate for changes; see `Mutate`. */
export function createGate(observer: InitObserver, signal?: AbortSignal): Mutate {
  return async (member, ...command) => {
    signal?.throwIfAborted();
    observer.mutation?.({ node: member.label, command: command.map(String) });
    const [name = '', ...rest] = command;
    const reply = await member.connection.call(String(name), ...rest);
    if (reply === 'OK') return;
    throw new ForgeError('verification', `${member.label} did not answer OK to ${command.slice(0, 2).join(' ')}.`, {
      host: member.label,
    });
  };
}
