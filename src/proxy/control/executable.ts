/** The proxy's executable, and how its words become ours. */
import { accessSync, constants } from 'node:fs';
import { type ErrorKind, ForgeError } from '../../errors.js';
import { packageFile } from '../../package-root.js';

/**
 * The executable: FORGE_PROXY_BIN, else `bin/forge-proxy` of this package.
 * @throws ForgeError `missing`
 */
export function findProxyExecutable(environment: NodeJS.ProcessEnv = process.env): string {
  const given = environment['FORGE_PROXY_BIN'];
  const suffix = process.platform === 'win32' ? '.exe' : '';
  const program = given || packageFile('bin', `forge-proxy${suffix}`);
  try {
    accessSync(program, constants.X_OK);
    return program;
  } catch (cause) {
    throw new ForgeError('missing', `The proxy's executable ${program} is not there or may not be executed.`, {
      next: given ? 'Set FORGE_PROXY_BIN to the executable, or unset it.' : 'Build it: npm run build',
      cause,
    });
  }
}

/** How a proxy is told what to do. The same words as the executable's own flags. */
export interface ProxyOptions {
  /** A YAML configuration; absolute. */
  config?: string;
  /** Nodes to learn the cluster from, `host:port` each. */
  cluster?: readonly string[];
  /** `host:port` for clients. */
  listen?: string;
  /** Certificate chain and key, both absolute: clients speak TLS. */
  tlsCert?: string;
  tlsKey?: string;
  /** Whose signature clients' certificates need; absolute. */
  tlsClientCa?: string;
  /** `host:port` for the admin pages. */
  admin?: string;
  /** Threads that serve clients. */
  workers?: number;
  /** Where the proxy writes its process number; absolute. */
  pidFile?: string;
}

/** More threads than any machine has cores are a typing error. */
export const WORKERS_MAX = 256;

/**
 * The executable's arguments. Passwords are not among them: they come in the environment or from files.
 * @throws ForgeError `usage` when it would not know its cluster, or be told twice
 */
export function proxyArguments(options: ProxyOptions): string[] {
  const { config, cluster, listen, tlsCert, tlsKey, tlsClientCa, admin, workers, pidFile } = options;
  const hasCluster = cluster !== undefined && cluster.length > 0;
  if (config === undefined && !hasCluster) {
    throw new ForgeError('usage', 'The proxy has to know its cluster.', {
      next: 'Give --cluster HOST:PORT,... or a configuration with --config FILE.',
    });
  }
  if (config !== undefined && (hasCluster || listen !== undefined)) {
    throw new ForgeError('usage', '--config already says what --cluster and --listen would say.', {
      next: 'Leave them out, or leave --config out.',
    });
  }
  const tls = [tlsCert, tlsKey, tlsClientCa].some((file) => file !== undefined);
  if (config !== undefined && tls) {
    throw new ForgeError('usage', '--tls-cert, --tls-key and --tls-client-ca are not for a proxy with --config.', {
      next: 'Say it in the configuration: listeners[].tls_context (docs/tls.md).',
    });
  }
  if (tls && (tlsCert === undefined || tlsKey === undefined)) {
    throw new ForgeError('usage', 'TLS needs a certificate and its key.', {
      next: `Give ${tlsCert === undefined ? '--tls-cert FILE' : '--tls-key FILE'}, too.`,
    });
  }
  if (workers !== undefined && (!Number.isInteger(workers) || workers < 1 || workers > WORKERS_MAX)) {
    throw new ForgeError('usage', `--workers ${workers}: give a number from 1 to ${WORKERS_MAX}.`);
  }
  return [
    ...(config === undefined ? [] : ['--config', config]),
    ...(hasCluster ? ['--cluster', cluster.join(',')] : []),
    ...(listen === undefined ? [] : ['--listen', listen]),
    ...(tlsCert === undefined ? [] : ['--tls-cert', tlsCert]),
    ...(tlsKey === undefined ? [] : ['--tls-key', tlsKey]),
    ...(tlsClientCa === undefined ? [] : ['--tls-client-ca', tlsClientCa]),
    ...(admin === undefined ? [] : ['--admin', admin]),
    ...(workers === undefined ? [] : ['--workers', String(workers)]),
    ...(pidFile === undefined ? [] : ['--pid-file', pidFile]),
  ];
}

/** What an exit code of the executable means in forge's words; undefined for a good end. */
export function exitKind(code: number): ErrorKind | undefined {
  if (code === 0) return undefined;
  if (code === 2) return 'usage';
  if (code === 3) return 'configuration';
  if (code === 5) return 'refused';
  return 'unexpected';
}

/** What happened, for a message. */
export function exitWords(code: number): string {
  if (code === 2) return 'its arguments are wrong';
  if (code === 3) return 'its configuration is wrong';
  if (code === 5) return 'its port is in use';
  if (code > 128) return `it was ended by signal ${code - 128}`;
  return `it ended with code ${code}`;
}
