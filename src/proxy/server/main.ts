import packageJson from '../../../package.json' with { type: 'json' };
import { controlPath } from '../config/control-path.js';
import { ConfigError } from '../config/load.js';
import type { ProxyConfig } from '../config/schema.js';
import { AT_ONCE, atPauses } from './draining.js';
import { healthCheck, reload } from './health-check.js';
import { Logger } from './logger.js';
import { type Options, readOptions, USAGE, UsageError } from './options.js';
import { ProxyServer } from './proxy.js';
import { resolveSecrets } from './secrets.js';
import { TakeOver } from './upgrade.js';
import { ListenError } from './workers.js';

/** Exit codes, those of the whole program (docs/exit-codes.md). */
const EXIT = { done: 0, unexpected: 1, usage: 2, configuration: 3, refused: 5 } as const;

async function main(): Promise<number> {
  const [first, address = ''] = process.argv.slice(2);
  if (first === '--health-check') return await healthCheck(address);
  if (first === '--reload') return await reload(address);
  let options: ReturnType<typeof readOptions>;
  try {
    options = readOptions(process.argv.slice(2), process.env);
  } catch (error) {
    return complain(error);
  }
  if (options === 'help') {
    process.stdout.write(USAGE);
    return EXIT.done;
  }
  if (options === 'version') {
    process.stdout.write(`forge-proxy/${packageJson.version} bun/${Bun.version} ${process.platform}-${process.arch}\n`);
    return EXIT.done;
  }
  try {
    return await run(options);
  } catch (error) {
    return complain(error);
  }
}

function complain(error: unknown): number {
  if (error instanceof UsageError) {
    process.stderr.write(`${error.message}\n\n${USAGE}`);
    return EXIT.usage;
  }
  if (error instanceof ConfigError) {
    process.stderr.write(`${error.message}\n`);
    return EXIT.configuration;
  }
  if (error instanceof ListenError) {
    process.stderr.write(`${error.message}\n`);
    return error.inUse ? EXIT.refused : EXIT.configuration;
  }
  process.stderr.write(`${(error as Error)?.stack ?? error}\n`);
  return EXIT.unexpected;
}

async function run(options: Options): Promise<number> {
  // What runs from here on may run for long; before, the executable compiles less (scripts/build/proxy.js).
  Bun.unsafe.setJITPolicy(1);
  const { config, source, check } = options;
  const secrets = resolveSecrets(config, source);
  if (check) {
    process.stdout.write(`${source}: the configuration is valid\n`);
    return EXIT.done;
  }
  const place = options.takeOver ? controlPath(options.pidFile) : '';
  const takeOver = await TakeOver.find(process.env, place, new Logger(config.log_level, config.log_format));
  const endTimes = options.drainS === undefined ? AT_ONCE : atPauses(options.drainS * 1000);
  await new ProxyServer({ ...options, reread, takeOver, stays: options.takeOver, endTimes }, secrets).run();
  return EXIT.done;
}

/** The configuration as it is now, where this process was told to find it. */
function reread(): ProxyConfig {
  return (readOptions(process.argv.slice(2), process.env) as Options).config;
}

process.exit(await main());
