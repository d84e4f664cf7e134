import type { FurtherProblem } from '../config/load.js';
import { nearest } from '../config/nearest.js';
import type { ProxyConfig } from '../config/schema.js';
import { COMMANDS } from '../engine/commands/table.generated.js';
import type { FaultSettings } from '../engine/faults/settings.js';
import type { WarningLog } from './log-lines.js';

/** What the workers are told about commands that are to fail or to wait. */
export function faultsOf({ listeners: [{ faults }] }: ProxyConfig): FaultSettings[] {
  return faults.map(({ fault_type: type, fault_enabled: percent, delay = 0, commands }) => ({
    type,
    fraction: percent / 100,
    delayMs: delay,
    commands,
  }));
}

/** Faults of commands that there are not. Modules bring commands that are not known here: a name with a dot is theirs. */
export function checkFaults({ listeners }: ProxyConfig): FurtherProblem[] {
  const known = new Set(COMMANDS.flatMap(({ name }) => [name, name.split('|')[0] as string]));
  const problems: FurtherProblem[] = [];
  for (const [at, { faults }] of listeners.entries()) {
    for (const [index, { commands }] of faults.entries()) {
      for (const [position, name] of commands.entries()) {
        if (known.has(name) || name.includes('.')) continue;
        const guess = nearest(name, [...known]);
        problems.push({
          path: ['listeners', at, 'faults', index, 'commands', position],
          message: `no command is named '${name}'${guess === null ? '' : `; did you mean '${guess}'?`}`,
        });
      }
    }
  }
  return problems;
}

/** Nobody should wonder why commands fail. */
export function warnOfFaults({ listeners: [{ faults }] }: ProxyConfig, log: WarningLog): void {
  for (const { fault_type: type, fault_enabled: percent, delay = 0, commands } of faults) {
    if (percent === 0) continue;
    log.warn('faults are injected on purpose: listeners[0].faults', {
      fault_type: type,
      percent,
      delay_ms: delay,
      commands: commands.join(' ') || 'all',
    });
  }
}
