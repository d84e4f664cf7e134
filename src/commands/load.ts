import { randomBytes } from 'node:crypto';
import { Args, Flags } from '@oclif/core';
import { ForgeCommand, yesFlag } from '../base-command.js';
import { formatAddress, parseAddress } from '../cluster/address.js';
import { clusterFlags, readSettings } from '../config/cluster-flags.js';
import { parseDuration } from '../config/duration.js';
import { rawEndpoint } from '../drills/link/raw.js';
import { CLIENTS_MAX, type LoadFigures, LoadGenerator } from '../drills/load/generator.js';
import { parseRates, Traffic } from '../drills/load/traffic.js';
import { EXIT_CODES, ForgeError } from '../errors.js';
import { chooseTarget, DEFAULT_PORT } from '../smoke/default-target.js';
import { bytesText } from '../ui/cluster-status.js';
import { loadLine, loadTable } from '../ui/load.js';

const DURATION_MIN_MS = 1_000;
const DURATION_MAX_MS = 3_600_000;
const PIPELINE_MAX = 1_000;
const KEYS_MAX = 10_000_000;
const BYTES_MAX = 16 * 1024 * 1024;
/** Of one batch; and of all keys together. */
const BATCH_BYTES_MAX = 64 * 1024 * 1024;
const ALL_BYTES_MAX = 64 * 1024 * 1024 * 1024;
const PERCENT_MAX = 100;

/** Who is asked is an argument here. */
const { seed: _, ...settingFlags } = clusterFlags;

export interface LoadResult {
  readonly endpoint: string;
  readonly clients: number;
  readonly pipeline: number;
  readonly runs: readonly LoadFigures[];
}

export default class Load extends ForgeCommand {
  static override summary = 'Load an endpoint or a node, and measure what clients notice.';
  static override description =
    `Clients set and get keys of their own, as much as goes, or as many a second as --rate says; with --targets, one run
for each of several rates. With a rate, commands go out when they are due, whatever has become of those before. The target
is found as for "forge smoke-test". Keys are taken away at the end; those of a run that is killed expire within an hour.
Exit codes: 0 done, 4 unreachable, 5 not confirmed or keys refused, 9 errors or wrong replies were seen, 11 access denied.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> --duration 30s',
    '<%= config.bin %> <%= command.id %> proxy.internal:6379 --targets 10k,20k,50k --yes',
    '<%= config.bin %> <%= command.id %> 10.0.0.1 6379 --clients 200 --pipeline 16 --size 1024 --reads 50 --json --yes',
  ];

  static override args = {
    host: Args.string({ description: 'Host name or IP address, or host:port.' }),
    port: Args.string({ description: `Port; ${DEFAULT_PORT} when not given.` }),
  };

  static override flags = {
    ...yesFlag,
    clients: Flags.integer({ description: 'Connections.', default: 50, min: 1, max: CLIENTS_MAX, helpValue: 'N' }),
    pipeline: Flags.integer({
      description: 'Commands that a client sends at once.',
      default: 1,
      min: 1,
      max: PIPELINE_MAX,
      helpValue: 'N',
    }),
    reads: Flags.integer({
      description: 'Of 100 commands, so many are GET, the others SET.',
      default: 80,
      min: 0,
      max: PERCENT_MAX,
      helpValue: 'PERCENT',
    }),
    size: Flags.integer({ description: 'Bytes of a value.', default: 64, min: 1, max: BYTES_MAX, helpValue: 'BYTES' }),
    keys: Flags.integer({ description: 'Different keys.', default: 10_000, min: 1, max: KEYS_MAX, helpValue: 'N' }),
    duration: Flags.string({
      description: 'Of each run, for example 10s or 5m.',
      default: '10s',
      helpValue: 'DURATION',
    }),
    rate: Flags.string({ description: 'Operations a second, for example 5000 or 20k.', helpValue: 'RATE' }),
    targets: Flags.string({
      description: 'Several rates, separated by commas: one run for each.',
      helpValue: 'RATE,RATE',
      exclusive: ['rate'],
    }),
    ...settingFlags,
    tls: Flags.boolean({ description: 'Speak TLS to the address that is loaded.' }),
    cacert: Flags.string({ description: 'Authority of its certificate; means --tls.', helpValue: 'FILE' }),
    cert: Flags.string({ description: 'Client certificate.', helpValue: 'FILE' }),
    key: Flags.string({ description: 'Key of the client certificate.', helpValue: 'FILE' }),
    sni: Flags.string({ description: 'Name that its certificate is for.', helpValue: 'NAME' }),
  };

  async run(): Promise<LoadResult> {
    const { args, flags } = await this.parse(Load);
    const durationMs = parseDuration(flags.duration, { minMs: DURATION_MIN_MS, maxMs: DURATION_MAX_MS });
    const rates = ratesOf(flags);
    refuseTooMuch(flags);
    const given = args.host === undefined ? undefined : addressOf(args.host, args.port);
    const settings = await readSettings(flags, process.env, {
      unchosen: given !== undefined && flags.name === undefined,
    });
    const { words, ...target } = await chooseTarget(given, flags, settings);
    const address = formatAddress(target);
    const { keys, clients, pipeline } = flags;
    const memory = bytesText(keys * flags.size);
    await this.confirm(
      `Load ${words ?? address} (${address}) with ${clients} clients, and ${keys} keys of ${memory} in all?`,
    );
    const prefix = `forge-load:${randomBytes(4).toString('hex')}:`;
    const traffic = new Traffic({ reads: flags.reads / PERCENT_MAX, bytes: flags.size, keys, prefix });
    const generator = await LoadGenerator.open(rawEndpoint(target), { clients, pipeline, traffic });
    const runs: LoadFigures[] = [];
    try {
      this.output.message(`Loading ${address} for ${flags.duration}${rates.length > 1 ? ' at each rate' : ''}.`);
      await generator.fill(keys, this.signal);
      for (const rate of rates) {
        const onSecond = (second: LoadFigures['seconds'][number]) => this.output.message(loadLine(second, rate));
        const options = { durationMs, onSecond, signal: this.signal, ...(rate === undefined ? {} : { rate }) };
        runs.push(await generator.run(options));
        this.signal.throwIfAborted();
      }
    } finally {
      // What cannot be taken away now expires.
      await generator.clean(keys, AbortSignal.timeout(CLEAN_UP_MS)).catch(() => undefined);
      generator.close();
    }
    this.output.data(loadTable(runs));
    const faults = runs.some(({ errors, wrong }) => wrong > 0 || Object.keys(errors).length > 0);
    if (faults) process.exitCode = EXIT_CODES.verification;
    return { endpoint: address, clients, pipeline, runs };
  }
}

const CLEAN_UP_MS = 5_000;

function refuseTooMuch({ size, keys, pipeline }: { size: number; keys: number; pipeline: number }): void {
  const batch = size * pipeline;
  if (batch > BATCH_BYTES_MAX) {
    throw new ForgeError(
      'usage',
      `--pipeline ${pipeline} of ${bytesText(size)} each are ${bytesText(batch)} at once.`,
      {
        next: `Take less than ${bytesText(BATCH_BYTES_MAX)}.`,
      },
    );
  }
  if (size * keys <= ALL_BYTES_MAX) return;
  throw new ForgeError('usage', `--keys ${keys} of ${bytesText(size)} each are ${bytesText(size * keys)}.`, {
    next: `Take less than ${bytesText(ALL_BYTES_MAX)}, and no more than the servers have memory for.`,
  });
}

function ratesOf({ rate, targets }: { rate?: string; targets?: string }): (number | undefined)[] {
  if (targets !== undefined) return parseRates(targets, '--targets');
  if (rate === undefined) return [undefined];
  const rates = parseRates(rate, '--rate');
  if (rates.length === 1) return rates;
  throw new ForgeError('usage', `--rate ${rate}: this is more than one.`, { next: 'Use --targets for several.' });
}

/** `host`, `host:port` or `host port`. */
function addressOf(host: string, port: string | undefined): { host: string; port: number } {
  if (port === undefined) return parseAddress(host, { defaultPort: DEFAULT_PORT });
  const bare = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  return parseAddress(`${bare}:${port}`);
}
