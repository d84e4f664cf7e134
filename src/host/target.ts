/** Which machine is meant: this one, or another over SSH. Pure but for the addresses of this machine, which are handed in. */
import { isIP } from 'node:net';
import os from 'node:os';
import { ForgeError } from '../errors.js';

export interface HostTarget {
  /** As it is shown: an address, a name of forge.yaml, or `this machine`. */
  readonly name: string;
  /** How it is reached; this machine without it. */
  readonly ssh?: SshDestination;
}

export interface SshDestination {
  readonly host: string;
  readonly user?: string;
  /** The SSH configuration's, or 22, without it. */
  readonly port?: number;
}

export const THIS_MACHINE: HostTarget = { name: 'this machine' };

const EXAMPLE = 'Write HOST, USER@HOST or ssh://USER@HOST:PORT; local for this machine.';
/** Also names of an SSH configuration: it never begins with a dash, which ssh would take for an option. */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}$/;
const USER = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/;
const PORT_MAX = 65_535;

function bad(text: string, why: string): ForgeError {
  return new ForgeError('usage', `${text.slice(0, 100)}: ${why}.`, { next: EXAMPLE });
}

/** Addresses and names by which this machine calls itself. */
export function ownNames(interfaces = os.networkInterfaces(), hostname = os.hostname()): ReadonlySet<string> {
  const addresses = Object.values(interfaces).flatMap((each) =>
    (each ?? []).map(({ address }) => address.toLowerCase()),
  );
  return new Set(['local', 'localhost', hostname.toLowerCase(), ...addresses]);
}

function isHere(host: string, own: ReadonlySet<string>): boolean {
  return own.has(host.toLowerCase()) || host === '::1' || /^127\.[0-9.]+$/.test(host);
}

/** Splits `user@host:port`; an IPv6 address is in brackets, or stands alone. */
function destination(text: string, shown: string): SshDestination {
  const at = text.lastIndexOf('@');
  const user = at < 0 ? undefined : text.slice(0, at);
  if (user?.includes(':')) throw bad('The host', 'a password does not belong here; SSH keys do');
  if (user !== undefined && !USER.test(user)) throw bad(shown, 'no user name');
  const rest = text.slice(at + 1);
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]+))(?::([0-9]{1,5}))?$/.exec(rest) ?? [];
  const host = isIP(rest) === 6 ? rest : (bracketed ?? plain ?? '');
  if (isIP(host) === 0 && !NAME.test(host)) throw bad(shown, 'no host name or address');
  const port = digits === undefined ? undefined : Number(digits);
  if (port !== undefined && (port < 1 || port > PORT_MAX))
    throw bad(shown, 'the port must be a number from 1 to 65535');
  return { host, ...(user === undefined ? {} : { user }), ...(port === undefined ? {} : { port }) };
}

/**
 * Reads `--host`, or an engine's address of forge.yaml. An address of this machine is this machine, but not with
 * `ssh://`.
 * @throws ForgeError `usage` for what is no host, and for an engine at `tcp://`, which leads to no shell
 */
export function parseTarget(text: string, own: ReadonlySet<string> = ownNames()): HostTarget {
  const trimmed = text.trim();
  if (trimmed.startsWith('unix://')) return THIS_MACHINE;
  if (trimmed.startsWith('tcp://')) throw bad(trimmed, 'an engine at tcp:// does not let its host be looked at');
  const scheme = trimmed.startsWith('ssh://');
  const ssh = destination(scheme ? trimmed.slice('ssh://'.length).replace(/\/$/, '') : trimmed, trimmed);
  if (!scheme && ssh.user === undefined && ssh.port === undefined && isHere(ssh.host, own)) {
    return { name: ssh.host === 'local' ? THIS_MACHINE.name : ssh.host };
  }
  return { name: ssh.host, ssh };
}

/** What `ssh` is told: never asks anything, gives up soon, ends when the other side is gone. */
export function sshArguments({ host, user, port }: SshDestination, connectSeconds: number): string[] {
  return [
    ...['-T', '-o', 'BatchMode=yes', '-o', `ConnectTimeout=${connectSeconds}`],
    ...['-o', 'ServerAliveInterval=5', '-o', 'ServerAliveCountMax=2'],
    ...(port === undefined ? [] : ['-p', String(port)]),
    ...(user === undefined ? [] : ['-l', user]),
    '--',
    host,
  ];
}

/** As it is typed after `ssh`. */
export function sshWords({ host, user, port }: SshDestination): string {
  const where = user === undefined ? host : `${user}@${host}`;
  return port === undefined ? where : `-p ${port} ${where}`;
}
