/** A fault that some commands get on purpose. */
export interface FaultSettings {
  readonly type: 'DELAY' | 'ERROR';
  /** Share of the commands, 0 to 1. */
  readonly fraction: number;
  /** Milliseconds; 0: at once. */
  readonly delayMs: number;
  /** Small letters, `config` for all of its parts; empty: all commands that may have faults. */
  readonly commands: readonly string[];
}
