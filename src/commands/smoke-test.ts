import { writeFile } from 'node:fs/promises';
import { Args, Flags } from '@oclif/core';
import { ForgeCommand } from '../base-command.js';
import { formatAddress, parseAddress } from '../cluster/address.js';
import { type ClusterFlagValues, clusterFlags, readSettings } from '../config/cluster-flags.js';
import { formatDuration, parseDuration } from '../config/duration.js';
import { ForgeError } from '../errors.js';
import { chooseTarget, DEFAULT_PORT } from '../smoke/default-target.js';
import { renderJunit } from '../smoke/junit.js';
import { SmokeRun, smokeFailure } from '../smoke/run.js';
import { DEFAULT_TIMEOUT_MS, type SmokeOptions, type SmokeReport } from '../smoke/types.js';
import { renderTable } from '../ui/table.js';
import { runTasks } from '../ui/tasks.js';

const TIMEOUT_MIN_MS = 100;
const TIMEOUT_MAX_MS = 3_600_000;

interface SmokeFlags extends ClusterFlagValues {
  admin?: string;
  timeout: string;
}

/** Who is asked is an argument here. */
const { seed: _, ...settingFlags } = clusterFlags;

export default class SmokeTest extends ForgeCommand {
  static override summary =
    'Check that an endpoint or a cluster works: values, TTLs, cross-slot commands, slots, latency.';
  static override description =
    `Works against the proxy and against any node of a cluster. The password comes from REDIS_REQUIREPASS or REDISCLI_AUTH,
the user from REDIS_USERNAME. Without a host: the endpoint in forge.yaml, else a node that is listed there; the local
cluster's endpoint (see "forge up"), else 127.0.0.1:${DEFAULT_PORT}.
Keys of its own only, each with a TTL; they are deleted at the end.
Exit codes: 0 all is well, 4 unreachable, 7 timed out, 9 something is not as it should be, 11 access denied.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> 10.0.0.1 6379 --junit smoke.xml',
    '<%= config.bin %> <%= command.id %> proxy.internal:6379 --admin proxy.internal:9901 --timeout 10s --json',
  ];

  static override args = {
    host: Args.string({ description: 'Host name or IP address, or host:port.' }),
    port: Args.string({ description: `Port; ${DEFAULT_PORT} when not given.` }),
  };

  static override flags = {
    timeout: Flags.string({
      description: 'Bound of the whole run, for example 500ms, 30s or 2m.',
      default: formatDuration(DEFAULT_TIMEOUT_MS),
      helpValue: 'DURATION',
    }),
    admin: Flags.string({
      description: "The proxy's admin address; its readiness is then checked too.",
      helpValue: 'HOST:PORT',
    }),
    ...settingFlags,
    tls: Flags.boolean({ description: 'Speak TLS to the address that is tested.' }),
    cacert: Flags.string({ description: 'Authority of its certificate; means --tls.', helpValue: 'FILE' }),
    cert: Flags.string({ description: 'Client certificate.', helpValue: 'FILE' }),
    key: Flags.string({ description: 'Key of the client certificate.', helpValue: 'FILE' }),
    sni: Flags.string({ description: 'Name that its certificate is for.', helpValue: 'NAME' }),
    junit: Flags.string({ description: 'Write the result to this file as JUnit XML.', helpValue: 'FILE' }),
  };

  async run(): Promise<SmokeReport> {
    const { args, flags } = await this.parse(SmokeTest);
    const { words, ...options } = await optionsFrom(args, flags);
    if (words !== undefined) this.output.message(`Testing ${words}, ${formatAddress(options)}.`);
    const report = await this.#test({ ...options, signal: this.signal });
    if (flags.junit !== undefined) await writeJunit(flags.junit, report);
    this.output.data(renderReport(report));
    const failure = smokeFailure(report);
    if (failure !== undefined) throw failure;
    this.output.message('Smoke test passed.');
    return report;
  }

  async #test(options: SmokeOptions): Promise<SmokeReport> {
    const run = new SmokeRun(options);
    try {
      const tasks = run.steps.map((step) => ({
        title: step.title,
        skip: step.skip,
        keepGoing: true,
        run: async () => void (await step.run()),
      }));
      // The run itself hears the signal, and then still cleans up: the list must not stop before that.
      await runTasks(tasks, { output: this.output, context: {} });
    } finally {
      run.finish();
    }
    return run.finish();
  }
}

async function optionsFrom(
  args: { host?: string; port?: string },
  flags: SmokeFlags,
): Promise<SmokeOptions & { words?: string }> {
  const timeoutMs = parseDuration(flags.timeout, { minMs: TIMEOUT_MIN_MS, maxMs: TIMEOUT_MAX_MS });
  const admin = flags.admin === undefined ? {} : { admin: parseAddress(flags.admin) };
  const given = args.host === undefined ? undefined : addressFrom(args.host, args.port);
  // An address says which cluster is meant; whose credentials forge.yaml has for it, only a name can say.
  const unchosen = given !== undefined && flags.name === undefined;
  const settings = await readSettings(flags, process.env, { unchosen });
  return { ...(await chooseTarget(given, flags, settings)), ...admin, timeoutMs };
}

/** `host`, `host:port` or `host port`; an IPv6 address with a port of its own argument may go without brackets. */
function addressFrom(host: string, port: string | undefined): { host: string; port: number } {
  if (port === undefined) return parseAddress(host, { defaultPort: DEFAULT_PORT });
  const bare = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  return parseAddress(`${bare}:${port}`);
}

async function writeJunit(file: string, report: SmokeReport): Promise<void> {
  try {
    await writeFile(file, renderJunit(report));
  } catch (cause) {
    throw new ForgeError('configuration', `The JUnit file ${file} cannot be written.`, {
      next: 'Check that its folder exists and may be written.',
      cause,
    });
  }
}

function renderReport(report: SmokeReport): string {
  const rows = report.steps.map(({ title, status, durationMs, summary }) => [
    status,
    title,
    status === 'skipped' ? '' : `${durationMs} ms`,
    summary,
  ]);
  return renderTable(['RESULT', 'CHECK', { title: 'TIME', align: 'right' }, 'FOUND'], rows);
}
