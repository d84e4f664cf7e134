/**
 * The proxy from its sources, with workers that can be made to fail: run by Bun with the executable's arguments. SIGUSR2
 * ends worker 0 in the middle of whatever it does.
 */
import { AT_ONCE } from '../../../src/proxy/server/draining.js';
import { Logger } from '../../../src/proxy/server/logger.js';
import { type Options, readOptions } from '../../../src/proxy/server/options.js';
import { ProxyServer } from '../../../src/proxy/server/proxy.js';
import { resolveSecrets } from '../../../src/proxy/server/secrets.js';

const options = readOptions(process.argv.slice(2), process.env) as Options;
const secrets = resolveSecrets(options.config, options.source);
const server = new ProxyServer(
  { ...options, reread: () => options.config, takeOver: null, stays: false, endTimes: AT_ONCE },
  secrets,
);
const { workers } = server.workers as unknown as { workers: { terminate(): void }[] };
process.on('SIGUSR2', () => workers[0]?.terminate());
new Logger('info').info('can be made to fail');
try {
  await server.run();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exit(1);
}
process.exit(0);
