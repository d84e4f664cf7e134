/** Lists of ports in the kernel's own form. Pure. */

const PORT_MAX = 65_535;

/** The ports of `1-3,7`; what is none is left out. */
export function readPorts(list: string): Set<number> {
  const ports = new Set<number>();
  for (const part of list.split(',')) {
    const [, first, last = first] = /^\s*([0-9]{1,5})(?:-([0-9]{1,5}))?\s*$/.exec(part) ?? [];
    if (first === undefined) continue;
    for (let port = Number(first); port <= Math.min(Number(last), PORT_MAX); port++) ports.add(port);
  }
  return ports;
}

/** As /proc/sys shows it: sorted, neighbours as a range. */
export function writePorts(ports: Iterable<number>): string {
  const ranges: [number, number][] = [];
  for (const port of [...new Set(ports)].sort((left, right) => left - right)) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === port - 1) last[1] = port;
    else ranges.push([port, port]);
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}
