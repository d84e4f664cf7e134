/** What went wrong when `docker` failed, from what it printed: one error with a next step for every known cause. Pure. */
import { type ErrorKind, ForgeError } from '../errors.js';
import { type DockerEndpoint, sshTarget } from './endpoint.js';

/** Causes that callers act on; in the details of the error as `reason`. */
export type DockerReason =
  | 'no-program'
  | 'no-daemon'
  | 'no-permission'
  | 'no-answer'
  | 'login-refused'
  | 'host-key'
  | 'no-remote-docker'
  | 'too-old'
  | 'no-context'
  | 'name-taken'
  | 'no-container'
  | 'no-file'
  | 'no-volume'
  | 'no-network'
  | 'no-image'
  | 'no-program-in-image'
  | 'port-taken'
  | 'disk-full'
  | 'file-limit'
  | 'mounts-not-shared'
  | 'in-use'
  | 'being-removed'
  | 'not-ending'
  | 'registry-login'
  | 'no-registry';

export interface DockerFailure {
  /** What was called, for the message: the words after `docker`. */
  args: readonly string[];
  exitCode: number;
  stderr: string;
}

interface Rule {
  reason: DockerReason;
  kind: ErrorKind;
  pattern: RegExp;
  /** @param found the match of the pattern */
  say(found: RegExpExecArray, context: RuleContext): { message: string; next: string | string[] };
}

interface RuleContext {
  endpoint: DockerEndpoint;
  /** `docker -H …` as a person types it. */
  docker: string;
  /** `-p 2222 ops@10.0.0.1`, or the host as far as it is known. */
  ssh: string;
}

const FIRST_LINE_MAX = 400;

/** The first rule that fits counts: the transport before what the engine says. */
const RULES: readonly Rule[] = [
  {
    reason: 'login-refused',
    kind: 'denied',
    pattern: /Permission denied \(([^)]*)\)|Too many authentication failures/,
    say: (_, { ssh, endpoint }) => ({
      message: `${endpoint.name} does not let this user in without a password.`,
      next: `Set up a key: ssh-copy-id ${ssh}; with a passphrase, load it into the agent (ssh-add). Then: ssh ${ssh} true`,
    }),
  },
  {
    reason: 'host-key',
    kind: 'denied',
    pattern: /Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED/,
    say: (_, { ssh, endpoint }) => ({
      message: `The host key of ${endpoint.name} is not known, or is another one than before.`,
      next: `Compare it with the host's own and accept it once: ssh ${ssh} true`,
    }),
  },
  {
    reason: 'no-remote-docker',
    kind: 'missing',
    pattern: /docker: (?:command )?not found|exec: docker: not found|docker: No such file or directory|exit status 127/,
    say: (_, { ssh, endpoint }) => ({
      message: `There is no docker command on ${endpoint.name}, or not in the PATH of a login without a terminal.`,
      next: `Install Docker there, or link it to /usr/bin/docker. Try: ssh ${ssh} docker version`,
    }),
  },
  {
    reason: 'no-permission',
    kind: 'denied',
    pattern: /permission denied while trying to connect|dial unix \S+: connect: permission denied/i,
    say: (_, { endpoint, ssh }) => ({
      message: `This user may not use the Docker engine of ${endpoint.name}.`,
      next:
        sshTarget(endpoint) === undefined
          ? 'Add the user to the group that owns the socket (sudo usermod -aG docker "$USER", then log in again), or use a rootless engine.'
          : `Add the user to the group docker on that host (ssh ${ssh} sudo usermod -aG docker '$USER'), then try again.`,
    }),
  },
  {
    reason: 'no-answer',
    kind: 'unreachable',
    pattern:
      /stderr=.*?(Could not resolve hostname.*|[Cc]onnect to (?:host|address) .*|Connection (?:closed|reset|timed out).*|No route to host.*|kex_exchange_identification.*)/s,
    say: (found, { endpoint, ssh }) => ({
      message: `${endpoint.name} cannot be reached over SSH: ${firstLine(found[1] ?? '')}.`,
      next: `Look at the address, the port and the network. Try: ssh ${ssh} true`,
    }),
  },
  {
    reason: 'too-old',
    kind: 'missing',
    pattern: /client version \S+ is too (old|new)\. (?:Minimum|Maximum) supported API version is (\S+?)[,.]?(?:\s|$)/,
    say: (found, { endpoint }) => ({
      message: `The docker command here is too ${found[1]} for the engine of ${endpoint.name} (its API: ${found[2]}).`,
      next: 'Install the same version of Docker on both sides, and unset DOCKER_API_VERSION.',
    }),
  },
  {
    reason: 'no-context',
    kind: 'configuration',
    pattern: /context "([^"]*)": context not found|context not found/,
    say: (_, { endpoint }) => ({
      message: `There is no Docker context "${endpoint.context ?? ''}".`,
      next: 'List them: docker context ls; make one: docker context create NAME --docker host=ssh://USER@HOST',
    }),
  },
  {
    reason: 'no-daemon',
    kind: 'unreachable',
    pattern:
      /Cannot connect to the Docker daemon|failed to connect to the docker API|error during connect|Is the docker daemon running/i,
    say: (found, { endpoint, docker }) => ({
      message: `No Docker engine answers on ${endpoint.name}: ${firstLine(found.input.slice(found.index))}`,
      next: `Start it (sudo systemctl start docker; on a desktop, start Docker). Then: ${docker} version`,
    }),
  },
  {
    reason: 'disk-full',
    kind: 'refused',
    pattern: /no space left on device|disk quota exceeded/i,
    say: (_, { endpoint, docker }) => ({
      message: `The disk of the Docker engine on ${endpoint.name} is full.`,
      next: `See what fills it: ${docker} system df; remove what is not needed, then run the same command again.`,
    }),
  },
  {
    reason: 'file-limit',
    kind: 'refused',
    // runc: RLIMIT_NOFILE is the seventh; the engine cannot give more than it may have itself.
    pattern: /error setting rlimit type 7: operation not permitted/,
    say: (_, { endpoint }) => ({
      message: `The Docker engine of ${endpoint.name} may not open as many files as the container is to have.`,
      next: [
        'Raise its own limit: LimitNOFILE of docker.service (forge host tune does).',
        'Or ask for less: redis.nofile in forge.yaml, with maxclients below it.',
      ],
    }),
  },
  {
    reason: 'mounts-not-shared',
    kind: 'refused',
    pattern: /path (\S+) is mounted on (\S+) but it is not a shared or slave mount/,
    say: (found, { endpoint }) => ({
      message: `The mounts of ${endpoint.name} are not shared ones: what it mounts later cannot be followed in a container.`,
      next: [
        `Share them on that host, as systemd does: mount --make-rshared ${found[2]}`,
        'Or do without: monitoring.node_exporter.mounts: fixed in forge.yaml.',
      ],
    }),
  },
  {
    reason: 'port-taken',
    kind: 'refused',
    pattern:
      /Bind for (?:\S*:)?(\d+) failed: port is already allocated|listen \w+ \S*:(\d+): bind: address already in use|failed to bind host port (?:for )?\S*?:(\d+)(?:[:/]\S*)?: address already in use/,
    say: (found, { endpoint, docker }) => {
      const port = takenPort(found);
      return {
        message: `Port ${port} of ${endpoint.name} is in use.`,
        next: `See by whom: ${docker} ps --filter publish=${port}, or on the host: ss -ltnp 'sport = :${port}'`,
      };
    },
  },
  {
    reason: 'name-taken',
    kind: 'refused',
    pattern: /Conflict\. The container name "\/?([^"]+)" is already in use/,
    say: (found, { endpoint, docker }) => ({
      message: `${endpoint.name} has a container named ${found[1]} already.`,
      next: `Look whose it is: ${docker} inspect ${found[1]}; nothing of it was touched.`,
    }),
  },
  {
    reason: 'no-registry',
    kind: 'unreachable',
    // Of a request to a registry, `failed to resolve reference` says which; what follows says why.
    pattern:
      /(?:Get|Head|failed to do request: \w+) "?https?:\/\/([^/"\s]+)[^\n]*?(no such host|connection refused|no route to host|network is unreachable|i\/o timeout|TLS handshake timeout|Client\.Timeout exceeded|context deadline exceeded|server gave HTTP response to HTTPS client|x509: [^\n]*)/i,
    say: (found, { endpoint }) => ({
      message: `${endpoint.name} does not reach the image registry ${found[1]}: ${firstLine(found[2] ?? '')}.`,
      next: [
        'Look at the network, the name service and the proxy of that host.',
        'Or bring the image there without a registry: docker save and docker load.',
      ],
    }),
  },
  {
    reason: 'registry-login',
    kind: 'denied',
    pattern: /unauthorized: |no basic auth credentials|^(?!.*pull access denied).*denied: requested access/i,
    say: (_, { docker }) => ({
      message: 'The image registry asks for a login.',
      next: `Log in, as the user that runs forge: ${docker} login; then try again.`,
    }),
  },
  {
    reason: 'no-image',
    kind: 'missing',
    // A registry does not tell whether there is none, or none for this user.
    pattern: /pull access denied for ([^\s,]+)/i,
    say: (found, { endpoint, docker }) => ({
      message: `The registry has no image ${found[1]}, or does not show it to ${endpoint.name} without a login.`,
      next: [
        'Look at the name (redis.image) and the version; or build it on the host: --build.',
        `Or log in, as the user that runs forge: ${docker} login; then try again.`,
      ],
    }),
  },
  {
    reason: 'no-image',
    kind: 'missing',
    pattern:
      /No such image: (\S+)|manifest for ([^\s,]+)|failed to resolve reference "([^"]+)"|Unable to find image '([^']+)'/i,
    say: (found, { endpoint, docker }) => {
      const image = found.slice(1).find((part) => part !== undefined);
      return {
        message: `${endpoint.name} has no image ${image}.`,
        next: `Build it there (--build), or fetch it: ${docker} pull ${image}`,
      };
    },
  },
  {
    reason: 'no-program-in-image',
    kind: 'missing',
    pattern: /exec: "([^"]+)": (?:executable file not found|stat .*no such file|permission denied)/,
    say: (found) => ({
      message: `The image has no program ${found[1]} that could be run.`,
      next: 'Use an image that was built for this, or name its program.',
    }),
  },
  {
    reason: 'no-container',
    kind: 'missing',
    pattern: /No such container: (\S+)/i,
    say: (found, { endpoint, docker }) => ({
      message: `${endpoint.name} has no container ${found[1]}.`,
      next: `List them: ${docker} ps --all`,
    }),
  },
  {
    reason: 'no-file',
    kind: 'missing',
    pattern: /Could not find the file (\S+) in container (\S+)/i,
    say: (found, { endpoint, docker }) => ({
      message: `The container ${found[2]} of ${endpoint.name} has no file ${found[1]}.`,
      next: `Look at it: ${docker} inspect ${found[2]}`,
    }),
  },
  {
    reason: 'not-ending',
    kind: 'timeout',
    pattern: /did not receive an exit event|cannot (?:kill|stop) container/i,
    say: (_, { endpoint }) => ({
      message: `A container of ${endpoint.name} does not end, even killed.`,
      next: 'A process that survives SIGKILL waits for the kernel, mostly for a disk; look at the disk and try again.',
    }),
  },
  {
    reason: 'no-volume',
    kind: 'missing',
    pattern: /get (\S+): no such volume|no such volume:? (\S+)/i,
    say: (found, { endpoint, docker }) => ({
      message: `${endpoint.name} has no volume ${found[1] ?? found[2]}.`,
      next: `List them: ${docker} volume ls`,
    }),
  },
  {
    reason: 'no-network',
    kind: 'missing',
    pattern: /network (\S+) not found|No such network: (\S+)/i,
    say: (found, { endpoint, docker }) => ({
      message: `${endpoint.name} has no network ${found[1] ?? found[2]}.`,
      next: `Make it: ${docker} network create ${found[1] ?? found[2]}`,
    }),
  },
  {
    reason: 'being-removed',
    kind: 'locked',
    pattern: /removal of container (\S+) is already in progress/i,
    say: (found, { endpoint, docker }) => ({
      message: `Somebody else is removing container ${found[1]} of ${endpoint.name} at this moment.`,
      next: `Run the same command again when it is gone: ${docker} ps --all`,
    }),
  },
  {
    reason: 'in-use',
    kind: 'refused',
    pattern: /volume is in use|has active endpoints|image is being used|conflict: unable to (?:remove|delete)/i,
    say: (_, { endpoint, docker }) => ({
      message: `It is still used by a container of ${endpoint.name}.`,
      next: `See by which: ${docker} ps --all`,
    }),
  },
];

/** The error of a `docker` that ended with an error, or was ended. Its details hold `reason`, when the cause is known. */
export function explainFailure(failure: DockerFailure, endpoint: DockerEndpoint): ForgeError {
  const ssh = sshTarget(endpoint);
  const context: RuleContext = {
    endpoint,
    docker: dockerWords(endpoint),
    ssh: ssh === undefined ? endpoint.name : [...ssh.options, ssh.target].join(' '),
  };
  for (const rule of RULES) {
    const found = rule.pattern.exec(failure.stderr);
    if (found === null) continue;
    const { message, next } = rule.say(found, context);
    const port = rule.reason === 'port-taken' ? { port: takenPort(found) } : {};
    return new ForgeError(rule.kind, message, {
      host: endpoint.name,
      next,
      details: { reason: rule.reason, ...port },
      cause: new Error(failure.stderr.trim()),
    });
  }
  const said = lastError(failure.stderr) || `it ended with code ${failure.exitCode} and said nothing`;
  return new ForgeError('unexpected', `docker ${failure.args[0] ?? ''} failed on ${endpoint.name}: ${said}`, {
    host: endpoint.name,
    next: `Try it by hand: ${context.docker} ${failure.args[0] ?? ''} …; --dry-run shows the whole line of what would be changed.`,
    cause: new Error(failure.stderr.trim()),
  });
}

/** The cause that explainFailure found; undefined for any other error. */
export function failureReason(error: unknown): DockerReason | undefined {
  if (!(error instanceof ForgeError)) return undefined;
  const reason = error.details?.['reason'];
  return RULES.some((rule) => rule.reason === reason) || reason === 'no-program' ? (reason as DockerReason) : undefined;
}

function dockerWords({ host, context }: DockerEndpoint): string {
  if (host !== undefined) return `docker -H ${host}`;
  return context === undefined ? 'docker' : `docker --context ${context}`;
}

function takenPort(found: RegExpExecArray): number {
  return Number(found.slice(1).find((part) => part !== undefined));
}

function firstLine(text: string): string {
  return (text.split('\n')[0] ?? '').trim().slice(0, FIRST_LINE_MAX).replace(/\.$/, '');
}

/** What the engine said, without the name of the speaker and without hints on how to get help. */
function lastError(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.trim());
  const telling = lines.filter((line) => line !== '' && !/^(WARNING|Run 'docker|See 'docker|Usage:)/.test(line));
  const speaker = /^(?:docker: )?Error(?: response from daemon)?: /;
  const best = telling.find((line) => speaker.test(line)) ?? telling.at(-1) ?? '';
  return best.replace(speaker, '').slice(0, FIRST_LINE_MAX);
}
