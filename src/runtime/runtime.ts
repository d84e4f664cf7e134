import type { CreateOptions } from '../docker/commands/container.js';

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

/** What only a container has. Processes ignore it. */
export interface ContainerSettings
  extends Pick<
    CreateOptions,
    | 'image'
    | 'user'
    | 'network'
    | 'aliases'
    | 'publish'
    | 'tmpfs'
    | 'memoryBytes'
    | 'cpus'
    | 'nofile'
    | 'health'
    | 'log'
  > {
  /**
   * Volumes and folders besides the volume of `directory`. They stay when the container is made anew; the top folder of
   * each that may be written is given to `user`.
   */
  mounts: CreateOptions['mounts'];
  /** Labels besides those that every instance gets; the cluster's at least (docker/labels.ts). */
  labels: Readonly<Record<string, string>>;
  /** How long it gets to end when the host goes down, whole seconds; 30 when not given. */
  stopTimeoutS?: number;
  /** `never` when not given: an image that is not there is an error. */
  pull?: CreateOptions['pull'];
  /**
   * Who restarts it after a crash. `instance`, when not given: the supervisor that processes have as well, as the first
   * process of the container, so that all of `restart` holds; the image needs /bin/sh with the usual tools. `engine`:
   * Docker alone, again and again, for images without a shell; `restart` is not used then.
   */
  supervisor?: 'instance' | 'engine';
}

/** One Redis node or proxy to run. */
export interface InstanceSpec {
  /**
   * Letters, digits, `-`: unique in `directory`. It is the container's name as well, and then unique on the engine and
   * longer than one letter.
   */
  name: string;
  /**
   * Where its record and its first output go (`NAME.run`, `NAME.out`); created with mode 0700. In a container it is a
   * volume of its own, `NAME-config`, and the output goes to the engine's log.
   */
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
  /** Needed by the runtime `docker`. */
  container?: ContainerSettings;
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
  /** What the health check of a container says. Only while running, and where it has one. */
  health?: 'starting' | 'healthy' | 'unhealthy';
}

export interface StopOptions {
  /** How long it may take to end by itself before it is killed, milliseconds. */
  graceMs: number;
}

/** `absent`: it was not running. `killed`: it did not end within the grace. */
export type StopOutcome = 'absent' | 'ended' | 'killed';

export interface RemoveOptions {
  /**
   * What goes besides the instance itself, of what it has on a Docker engine: nothing, the volume of its `directory`, or
   * all its named volumes, data too, with a network of ours that nothing uses any more. Folders of a host always stay.
   */
  volumes: 'keep' | 'configuration' | 'all';
}

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
  /**
   * Writes files of an instance that has been started, running or not; whoever reads them is not told.
   * @throws ForgeError `missing` when there is no such instance, `configuration` for a path that is not its own
   */
  putFiles(ref: InstanceRef, files: readonly InstanceFile[]): Promise<void>;
  /**
   * Removes what was written down about an instance; afterwards it is `absent`. Nothing happens when it is already.
   * @throws ForgeError `refused` while it runs
   */
  remove(ref: InstanceRef, options: RemoveOptions): Promise<void>;
}
