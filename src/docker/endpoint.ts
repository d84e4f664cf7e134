/** Which Docker engine is meant, and how the `docker` command line is told so. Pure. */
import { ForgeError } from '../errors.js';

/** One Docker engine. Without `host` and `context`: the one that `docker` itself would take on this machine. */
export interface DockerEndpoint {
  /** What people call it: the name in forge.yaml, else the address. Names the host in errors. */
  readonly name: string;
  /** `unix:///var/run/docker.sock`, `ssh://user@host:port` or `tcp://host:port`. */
  readonly host?: string;
  /** A context of `docker context ls`. */
  readonly context?: string;
}

/** The engine of this machine, as `docker` finds it: DOCKER_HOST, DOCKER_CONTEXT, the current context, the socket. */
export const LOCAL_ENDPOINT: DockerEndpoint = { name: 'this host' };

const PORT_MAX = 65_535;
const USER = /^[A-Za-z_][A-Za-z0-9_.-]*\$?$/;
const HOST = /^(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])$/;
/** docker: cli/context/store, `restrictedNamePattern`. */
const CONTEXT = /^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$/;
const FORMS = 'unix:///PATH, ssh://USER@HOST:PORT, tcp://HOST:PORT, or a context by its name';

/**
 * Reads an address of an engine, or the name of a context: `unix:///run/docker.sock`, `ssh://ops@10.0.0.1:2222`,
 * `tcp://10.0.0.1:2376`, `context:production`. A word without `://` that is no `context:` is refused, since it could
 * be a host as well as a context.
 * @param name what errors call it; the address itself when not given
 * @throws ForgeError `configuration` when it is none of them
 */
export function parseEndpoint(text: string, name = text): DockerEndpoint {
  const wrong = (why: string, next = `Write one of: ${FORMS.replace('a context by its name', 'context:NAME')}.`) =>
    new ForgeError('configuration', `"${hidePassword(text)}" is no Docker engine: ${why}.`, { next });
  if (text.startsWith('context:')) {
    const context = text.slice('context:'.length);
    if (context !== 'default' && !CONTEXT.test(context)) throw wrong(`"${context}" cannot be the name of a context`);
    return { name, context };
  }
  const scheme = /^([a-z]+):\/\/(.*)$/.exec(text);
  if (scheme?.[1] === undefined || scheme[2] === undefined) throw wrong('it has no scheme');
  const rest = scheme[2];
  switch (scheme[1]) {
    case 'unix':
      if (!rest.startsWith('/') || /[\0\r\n]/.test(rest)) throw wrong('the path of a socket is absolute');
      return { name, host: text };
    case 'ssh':
      return { name, host: checkSsh(rest, wrong, text) };
    case 'tcp': {
      const why = checkAuthority(rest.replace(/\/$/, ''), true);
      if (why !== undefined) throw wrong(why);
      return { name, host: text };
    }
    default:
      throw wrong(`it cannot be reached by ${scheme[1]}://`);
  }
}

/** The words before the command: `-H ADDRESS`, `--context NAME`, or none. */
export function endpointArguments(endpoint: DockerEndpoint): string[] {
  if (endpoint.host !== undefined) return ['-H', endpoint.host];
  return endpoint.context === undefined ? [] : ['--context', endpoint.context];
}

/** Whether the engine is reached over SSH by `docker` itself; a context may do so without our knowing. */
export function isSsh(endpoint: DockerEndpoint): boolean {
  return endpoint.host?.startsWith('ssh://') === true;
}

/** Whether this is certainly an engine of this machine. */
export function isLocal(endpoint: DockerEndpoint): boolean {
  return endpoint.host?.startsWith('unix://') === true;
}

/** `ops@10.0.0.1` with the port as an option, as `ssh` and `ssh-copy-id` take it; undefined when it is not SSH. */
export function sshTarget(endpoint: DockerEndpoint): { target: string; options: string[] } | undefined {
  if (endpoint.host === undefined || !isSsh(endpoint)) return undefined;
  const rest = endpoint.host.slice('ssh://'.length);
  const port = /:(\d+)$/.exec(rest);
  const target = (port === null ? rest : rest.slice(0, port.index)).replace(/[[\]]/g, '');
  return { target, options: port?.[1] === undefined ? [] : ['-p', port[1]] };
}

function checkSsh(rest: string, wrong: (why: string, next?: string) => ForgeError, text: string): string {
  const at = rest.lastIndexOf('@');
  const user = at < 0 ? undefined : rest.slice(0, at);
  if (user?.includes(':')) {
    throw wrong('it holds a password', 'Take the password out of the address, and let the key of an SSH agent log in.');
  }
  // What begins with a dash would be an option of ssh.
  if (user !== undefined && !USER.test(user)) throw wrong(`"${user}" is no user name`);
  const why = checkAuthority(rest.slice(at + 1), false);
  if (why !== undefined) throw wrong(why);
  return text;
}

/** What is wrong with `host` or `host:port`; undefined when nothing is. */
function checkAuthority(authority: string, portNeeded: boolean): string | undefined {
  const match = /^(\[[^\]]*\]|[^:/]*)(?::(.*))?$/.exec(authority);
  if (match?.[1] === undefined) return authority.includes('/') ? 'it has a path' : `"${authority}" is no host`;
  if (match[1] === '') return 'it names no host';
  if (!HOST.test(match[1])) return `"${match[1]}" is no host name and no address`;
  if (match[2] === undefined) return portNeeded ? 'it names no port' : undefined;
  const port = Number(match[2]);
  return /^\d+$/.test(match[2]) && port >= 1 && port <= PORT_MAX ? undefined : `"${match[2]}" is no port`;
}

function hidePassword(text: string): string {
  return text.replace(/^([a-z]+:\/\/[^:/@]*):.*@/, '$1:…@');
}
