/** Code, as it is in the file: nothing writes to it, so what is given back comes again from the file when it is used. */
const CODE = /^([0-9a-f]+)-([0-9a-f]+) r-xp [0-9a-f]+ \S+ [1-9]\d* +(.+)$/gm;

/** Parts of this process's memory. */
export interface Mapping {
  readonly start: number;
  readonly bytes: number;
}

/**
 * Where a program's own code is in memory.
 * @param maps /proc/PID/maps (proc_pid_maps(5))
 */
export function codeOf(program: string, maps: string): Mapping[] {
  return [...maps.matchAll(CODE)]
    .filter(([, , , file]) => file === program)
    .map(([, start, end]) => {
      const from = Number.parseInt(start as string, 16);
      return { start: from, bytes: Number.parseInt(end as string, 16) - from };
    });
}
