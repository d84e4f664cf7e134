/**
 * Where a Redis node or a proxy runs. One interface for every place (`process`: supervised processes of this host;
 * `docker`: containers), so that the services above never ask which one it is.
 */
export type RuntimeKind = 'process' | 'docker';

/** A file that an instance needs before it starts. Written whole or not at all. */
export interface InstanceFile {
  /** Absolute, as the instance sees it. */
  path: string;
  content: string;
  /** Permission bits; 0o600 for whatever holds a secret. */
  mode: number;
}

/** What happens when an instance ends by itself with an error. */
export interface RestartPolicy {
  /** Whole seconds before the first restart; doubled with every further crash. */
  delayS: number;
  /** The longest delay, in seconds. */
  delayMaxS: number;
  /** Crashes in a row, each within `windowS` of its start, after which it is given up. */
  budget: number;
  /** Seconds that an instance has to run before its earlier crashes are forgotten. */
  windowS: number;
}

/** One Redis node or proxy to run. */
export interface InstanceSpec {
  /** Letters, digits, `-`: unique in `directory`. */
  name: string;
  /** Where its record and its first output go (`NAME.run`, `NAME.out`); created with mode 0700. */
  directory: string;
  /** Absolute path of the executable. */
  program: string;
  /** Must hold no secret: every user of the machine can read them. */
  args: readonly string[];
  /** The whole environment of the instance; nothing is inherited. */
  env: Readonly<Record<string, string>>;
  files: readonly InstanceFile[];
  restart: RestartPolicy;
  /** Where it writes its output; default `directory/NAME.out`. Appended to. */
  outputFile?: string;
}

/** What `inspect` and `stop` need to find an instance again. */
export type InstanceRef = Pick<InstanceSpec, 'name' | 'directory'>;

/**
 * - `absent`: never started here, or removed
 * - `running`
 * - `waiting`: crashed, and will be restarted after a delay
 * - `failed`: crashed too often and given up
 * - `exited`: ended by itself without an error
 * - `stopped`: ended because it was asked to
 * - `lost`: it was running when last seen, and neither it nor its supervisor is there now (a reboot, a kill)
 */
export type InstancePhase = 'absent' | 'running' | 'waiting' | 'failed' | 'exited' | 'stopped' | 'lost';

export interface InstanceState {
  phase: InstancePhase;
  /** The instance's own process number, on its host. Only while running. */
  pid?: number;
  /** False when nobody would restart it, because its supervisor is gone. */
  supervised: boolean;
  /** Resident memory, bytes. Only while running, where the host tells. */
  memoryBytes?: number;
  /** Restarts since it was started. */
  restarts: number;
  /** The exit code of its last end; above 128 by a signal. */
  lastExit?: number;
}

export interface StopOptions {
  /** How long it may take to end by itself before it is killed, milliseconds. */
  graceMs: number;
}

/** `absent`: it was not running. `killed`: it did not end within the grace. */
export type StopOutcome = 'absent' | 'ended' | 'killed';

export interface Runtime {
  readonly kind: RuntimeKind;
  /**
   * Writes the files and starts the instance with its supervision; does not wait until it serves. A running instance
   * is left alone.
   * @throws ForgeError `missing` when the program is not there, `timeout` when it does not even start
   */
  start(spec: InstanceSpec): Promise<InstanceState>;
  inspect(ref: InstanceRef): Promise<InstanceState>;
  /**
   * Stops the instance and its supervision, and nothing else: a process that merely has the recorded number is left
   * alone.
   * @throws ForgeError `timeout` when even killing does not end it
   */
  stop(ref: InstanceRef, options: StopOptions): Promise<StopOutcome>;
  /** The last lines that the instance wrote before or outside its own log. */
  outputTail(ref: InstanceRef & Pick<InstanceSpec, 'outputFile'>, lines: number): Promise<string[]>;
}
