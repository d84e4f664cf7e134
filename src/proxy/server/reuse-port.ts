import { ptr } from 'bun:ffi';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { loadLibc } from './libc.js';

/**
 * Steers new connections among the sockets that listen on one port (SO_REUSEPORT; Linux, socket(7)). The kernel spreads
 * them over all; while a proxy takes over from another one, only its own are to get any, so that the other one can empty
 * its queues of accepted connections before it closes them: what is in a queue when it is closed is reset.
 */

const SOL_SOCKET = 1;
const SO_ATTACH_REUSEPORT_CBPF = 51;
const SO_DETACH_REUSEPORT_BPF = 68;
/** Classic BPF (linux/filter.h): load a random number; modulo; add; return. */
const LOAD = 0x20;
const RANDOM = 0xfffff038;
const MODULO = 0x94;
const ADD = 0x04;
const RETURN_RESULT = 0x16;
const RETURN = 0x06;
/** `st` of a listening socket in /proc/net/tcp. */
const LISTENING = '0A';

/** The sockets that listen on one address: our own by their descriptors, and how many others there are. */
interface Group {
  readonly own: readonly number[];
  readonly others: number;
}

type Instruction = readonly [code: number, value: number];

/** The ports on which connections come to two processes. */
export class Steering {
  private readonly libc = loadLibc();

  /** @param ports those of our own listening sockets; what was bound first has the lower place in a group */
  constructor(private readonly ports: readonly number[]) {}

  /** New connections come to our sockets only, to any of them. False: the system does not let us. */
  toUs(): boolean {
    return this.each(({ own, others }) => [
      [LOAD, RANDOM],
      [MODULO, own.length],
      [ADD, others],
      [RETURN_RESULT, 0],
    ]);
  }

  /**
   * New connections come to one of our sockets, which keeps its place while the others' are closed: the last socket of a
   * group moves into the place of one that is closed. Holds when we have at least as many as they.
   */
  toOne(): boolean {
    return this.each(({ others }) => [[RETURN, others]]);
  }

  /** The kernel spreads connections over all sockets again. */
  release(): void {
    const nothing = new Int32Array(1);
    for (const { own } of groups(this.ports)) {
      this.libc?.setsockopt(own[0] as number, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, ptr(nothing), 4);
    }
  }

  private each(program: (group: Group) => Instruction[]): boolean {
    const all = groups(this.ports);
    const steered = all.map((each) => this.attach(each.own[0] as number, program(each)));
    return all.length > 0 && steered.every(Boolean);
  }

  private attach(fd: number, program: readonly Instruction[]): boolean {
    if (this.libc === null) return false;
    // struct sock_filter { u16 code; u8 jt, jf; u32 k } for each, and struct sock_fprog { u16 length; filter * }.
    const filter = new Uint8Array(program.length * 8);
    const view = new DataView(filter.buffer);
    for (const [i, [code, value]] of program.entries()) {
      view.setUint16(i * 8, code, true);
      view.setUint32(i * 8 + 4, value, true);
    }
    const head = new BigUint64Array([BigInt(program.length), BigInt(ptr(filter))]);
    return this.libc.setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, ptr(head), head.byteLength) === 0;
  }
}

/** Who listens on which address of these ports, as far as we do, too. */
function groups(ports: readonly number[]): Group[] {
  const endings = ports.map((port) => `:${port.toString(16).toUpperCase().padStart(4, '0')}`);
  const addresses = new Map<string, string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of read(table).split('\n').slice(1)) {
      const columns = line.trim().split(/\s+/);
      const [, address = '', , state] = columns;
      if (state !== LISTENING || !endings.some((ending) => address.endsWith(ending))) continue;
      addresses.set(columns[9] as string, address);
    }
  }
  const own = new Map<string, number[]>();
  for (const fd of descriptors()) {
    const inode = /^socket:\[(\d+)\]$/.exec(link(`/proc/self/fd/${fd}`))?.[1];
    const address = inode === undefined ? undefined : addresses.get(inode);
    if (address !== undefined) own.set(address, [...(own.get(address) ?? []), Number(fd)]);
  }
  const total = (address: string) => [...addresses.values()].filter((each) => each === address).length;
  return [...own].map(([address, fds]) => ({ own: fds, others: total(address) - fds.length }));
}

function read(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

function descriptors(): string[] {
  try {
    return readdirSync('/proc/self/fd');
  } catch {
    return [];
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // Closed since.
    return '';
  }
}
