import { parseArgs } from 'node:util';
import { CONFIG_BYTES_MAX, ConfigError, parseConfig } from '../config/load.js';
import { type ProxyConfig, proxyConfig } from '../config/schema.js';
import { checkFaults } from './faults.js';
import { readText, reasonOf } from './read-file.js';
import { checkUsers } from './users.js';

/** What the command line asks for. */
export interface Options {
  readonly config: ProxyConfig;
  /** The configuration file, or `command line`. */
  readonly source: string;
  readonly pidFile: string;
  readonly check: boolean;
  /** Takes over from the proxy that answers beside the pid file, and stays when another one has taken over from it. */
  readonly takeOver: boolean;
  /** When it is told to end: seconds for clients to come to a pause; undefined: they are closed between two commands. */
  readonly drainS: number | undefined;
}

/** An hour: nobody waits longer for a program to end. */
const SECONDS_MAX = 3_600;

/** The command line itself is wrong. */
export class UsageError extends Error {}

export const USAGE = `usage: forge-proxy --config FILE
       forge-proxy --cluster HOST:PORT,... [--listen HOST:PORT] [--admin HOST:PORT] [--workers N]
  --config FILE         YAML configuration
  --cluster H:P,...     nodes of the Redis Cluster, without a configuration file
  --listen HOST:PORT    where clients connect (127.0.0.1:6379)
  --admin HOST:PORT     admin HTTP (127.0.0.1:9901)
  --tls-cert FILE       certificate chain (PEM): clients speak TLS at --listen
  --tls-key FILE        its private key
  --tls-client-ca FILE  clients need a certificate that one of these CAs has signed
  --workers N           threads (the number of cores)
  --pid-file FILE       written when the proxy listens, removed when it ends
  --take-over           take over from the proxy with the same --pid-file, if there is one, with its clients; and stay,
                        serving nobody, when another one has taken over: for the first process of a container
  --drain-time SECONDS  when told to end, wait so long for clients to come to a pause (end at the next command's end)
  --check               check the configuration and exit
  --health-check H:P    ask a proxy at this admin address: exit code 0 when it serves, else 1
  --reload H:P          have a proxy at this admin address read its configuration again: exit code 3 when it refuses it
                        for both, the path of a control socket asks the proxy there
  --version, --help
environment: REDIS_REQUIREPASS, REDIS_USERNAME (upstream login); PROXY_AUTH_PASSWORD, PROXY_AUTH_USERNAME (clients' login)
`;

/**
 * Reads the command line and the configuration that it names.
 * @throws UsageError, ConfigError
 */
export function readOptions(argv: readonly string[], environment: NodeJS.ProcessEnv): Options | 'help' | 'version' {
  let values: Record<string, string | boolean | undefined>;
  try {
    ({ values } = parseArgs({
      args: [...argv],
      options: {
        config: { type: 'string' },
        cluster: { type: 'string' },
        listen: { type: 'string' },
        admin: { type: 'string' },
        workers: { type: 'string' },
        'tls-cert': { type: 'string' },
        'tls-key': { type: 'string' },
        'tls-client-ca': { type: 'string' },
        'pid-file': { type: 'string' },
        'take-over': { type: 'boolean' },
        'drain-time': { type: 'string' },
        check: { type: 'boolean' },
        version: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    }));
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  if (values.help) return 'help';
  if (values.version) return 'version';
  const text = (name: string) => values[name] as string | undefined;
  const config = text('config');
  const common = {
    pidFile: text('pid-file') ?? '',
    check: values.check === true,
    takeOver: values['take-over'] === true,
    drainS: seconds(text('drain-time')),
  };
  if (common.takeOver && common.pidFile === '') throw new UsageError('--take-over needs --pid-file');
  if (config !== undefined) {
    for (const flag of ['cluster', 'listen', 'admin', 'workers', 'tls-cert', 'tls-key', 'tls-client-ca']) {
      if (values[flag] !== undefined) throw new UsageError(`--${flag} and --config exclude each other`);
    }
    return {
      config: parseConfig(readFile(config), config, (read) => [...checkUsers(read), ...checkFaults(read)]),
      source: config,
      ...common,
    };
  }
  if (text('cluster') === undefined) throw new UsageError('--config FILE or --cluster HOST:PORT,... is needed');
  const source = 'command line';
  const result = proxyConfig.safeParse({
    admin: { address: text('admin') ?? '127.0.0.1:9901' },
    listeners: [
      {
        address: text('listen') ?? '127.0.0.1:6379',
        cluster: 'main',
        ...tlsContext(text),
        ...(environment.PROXY_AUTH_PASSWORD
          ? {
              downstream_auth_passwords: [{ environment: 'PROXY_AUTH_PASSWORD' }],
              ...(environment.PROXY_AUTH_USERNAME ? { downstream_auth_username: environment.PROXY_AUTH_USERNAME } : {}),
            }
          : {}),
      },
    ],
    clusters: [
      {
        name: 'main',
        endpoints: (text('cluster') as string).split(',').filter((each) => each !== ''),
        ...(environment.REDIS_REQUIREPASS ? { auth_password: { environment: 'REDIS_REQUIREPASS' } } : {}),
        ...(environment.REDIS_USERNAME ? { auth_username: environment.REDIS_USERNAME } : {}),
      },
    ],
    ...(text('workers') === undefined ? {} : { workers: Number(text('workers')) }),
  });
  if (result.success) return { config: result.data, source, ...common };
  throw new UsageError(
    result.error.issues
      .map((issue) => `${FLAG_OF[String(issue.path[0])] ?? issue.path.join('.')}: ${issue.message}`)
      .join('\n'),
  );
}

/** @throws UsageError for what is no number of seconds */
function seconds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= SECONDS_MAX) return value;
  throw new UsageError(`--drain-time: ${text} is no whole number of seconds, ${SECONDS_MAX} at most`);
}

/** TLS as the flags say it. @throws UsageError when one of them is missing */
function tlsContext(text: (name: string) => string | undefined): object {
  const [chain, key, ca] = [text('tls-cert'), text('tls-key'), text('tls-client-ca')];
  if (chain === undefined && key === undefined && ca === undefined) return {};
  if (chain === undefined || key === undefined) {
    throw new UsageError(
      `--tls-cert and --tls-key belong together: --tls-${chain === undefined ? 'cert' : 'key'} is missing`,
    );
  }
  return {
    tls_context: {
      tls_certificates: [{ certificate_chain: { filename: chain }, private_key: { filename: key } }],
      ...(ca === undefined
        ? {}
        : { validation_context: { trusted_ca: { filename: ca } }, require_client_certificate: true }),
    },
  };
}

const FLAG_OF: Readonly<Record<string, string>> = {
  admin: '--admin',
  listeners: '--listen',
  clusters: '--cluster',
  workers: '--workers',
};

function readFile(file: string): string {
  const wrong = (message: string) => new ConfigError(file, [{ path: '', message, line: 0, column: 0 }]);
  try {
    const text = readText(file, CONFIG_BYTES_MAX);
    if (text === null) throw wrong('the file is too large for a configuration');
    return text;
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw wrong(`cannot read the file: ${reasonOf(error)}`);
  }
}
