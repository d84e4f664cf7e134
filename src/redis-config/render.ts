/** redis.conf of one node, of the template and of what is set over it: the same for processes and containers. Pure. */
import { redisConfQuote, renderTemplate } from '../runtime/template.js';
import { findSetting, isKnownEverywhere, settingKey } from './settings.js';
import type { ServerVersion } from './version.js';

export interface RedisConfOptions {
  /** What the template has and this version does not know is left out; undefined: what not every version knows. */
  readonly version?: ServerVersion;
  /** Addresses to listen on, in Redis's own words. */
  readonly bind: string;
  /** For clients; with TLS the port that speaks it. */
  readonly port: number;
  readonly busPort: number;
  /** Absolute paths as the node sees them. */
  readonly files: {
    readonly directory: string;
    readonly auth: string;
    readonly acl: string;
    /** Empty: the log goes to the standard output. */
    readonly log: string;
    readonly pid?: string;
    readonly unixSocket?: string;
  };
  readonly tls?: {
    readonly certificate: string;
    readonly key: string;
    readonly authority: string;
    readonly authClients: 'yes' | 'no' | 'optional';
  };
  readonly announce: {
    readonly ip?: string;
    readonly hostname?: string;
    /** Only where they are not the node's own. */
    readonly port?: number;
    readonly busPort?: number;
  };
  /** `ip` when not given, as Redis has it. */
  readonly preferredEndpoint?: 'ip' | 'hostname' | 'unknown-endpoint';
  readonly nodeTimeoutMs: number;
  /** Under redis.conf's own names, checked already. */
  readonly settings?: Readonly<Record<string, readonly string[]>>;
}

/** The text of redis.conf. */
export function renderRedisConf(template: string, options: RedisConfOptions): string {
  const { files, tls, announce, port } = options;
  const otherPort = announce.port === undefined || announce.port === port ? undefined : announce.port;
  const otherBusPort =
    announce.busPort === undefined || announce.busPort === options.busPort ? undefined : announce.busPort;
  const always = {
    authFile: redisConfQuote(files.auth),
    bind: options.bind,
    port,
    busPort: options.busPort,
    logFile: redisConfQuote(files.log),
    directory: redisConfQuote(files.directory),
    nodeTimeoutMs: options.nodeTimeoutMs,
    aclFile: redisConfQuote(files.acl),
  };
  const sometimes = {
    pidFile: quoted(files.pid),
    unixSocket: quoted(files.unixSocket),
    tlsCertificate: quoted(tls?.certificate),
    tlsKey: quoted(tls?.key),
    tlsAuthority: quoted(tls?.authority),
    tlsAuthClients: tls?.authClients,
    announceIp: announce.ip,
    announceHostname: announce.hostname,
    announcePlainPort: tls === undefined ? otherPort : undefined,
    announceTlsPort: tls === undefined ? undefined : otherPort,
    announceBusPort: otherBusPort,
    preferredEndpoint: options.preferredEndpoint === 'ip' ? undefined : options.preferredEndpoint,
  };
  const values = Object.fromEntries(Object.entries(sometimes).filter(([, value]) => value !== undefined));
  const parts = new Set([...Object.keys(values), tls === undefined ? 'plain' : 'tls']);
  const text = renderTemplate(chooseParts(template, parts), { ...always, ...values } as Record<
    string,
    string | number
  >);
  return overlay(text, options.settings ?? {}, options.version);
}

function quoted(file: string | undefined): string | undefined {
  return file === undefined ? undefined : redisConfQuote(file);
}

/** Keeps what stands between `{{#if NAME}}` and `{{/if}}`, each on a line of its own, where the part is wanted. */
export function chooseParts(template: string, parts: ReadonlySet<string>): string {
  const kept: string[] = [];
  let inside: string | undefined;
  for (const line of template.split('\n')) {
    const opened = /^\{\{#if (\w+)\}\}$/.exec(line)?.[1];
    if (opened !== undefined) {
      if (inside !== undefined) throw new Error(`template: {{#if ${opened}}} inside {{#if ${inside}}}`);
      inside = opened;
    } else if (line === '{{/if}}') {
      if (inside === undefined) throw new Error('template: {{/if}} without {{#if}}');
      inside = undefined;
    } else if (inside === undefined || parts.has(inside)) kept.push(line);
  }
  if (inside !== undefined) throw new Error(`template: {{#if ${inside}}} is not closed`);
  return kept.join('\n');
}

/** Settings take the place of the template's lines; what the template does not have comes at the end. */
function overlay(
  text: string,
  settings: Readonly<Record<string, readonly string[]>>,
  version: ServerVersion | undefined,
): string {
  const waiting = new Map(Object.entries(settings).map(([name, values]) => [settingKey(name), { name, values }]));
  const lines = text.split('\n').flatMap((line) => {
    const name = /^([a-z][a-z0-9-]*)\s/.exec(line)?.[1];
    if (name === undefined || name === 'include') return [line];
    const known = version === undefined ? isKnownEverywhere(name) : findSetting(name, version) !== undefined;
    if (!known) return [];
    const said = settings[name] ?? waiting.get(settingKey(name))?.values;
    // Of this one, a line is about one class of clients: the template's hold for those that are not named.
    if (said === undefined || name === 'client-output-buffer-limit') return [line];
    return waiting.delete(settingKey(name)) ? settingLines(name, said, version) : [];
  });
  if (waiting.size === 0) return lines.join('\n');
  const further = [...waiting.values()].flatMap(({ name, values }) => settingLines(name, values, version));
  return `${lines.join('\n')}\n# --- set in forge.yaml, the environment or by --set\n${further.join('\n')}\n`;
}

/** Values of several words stay as they are; a text is one word, whatever it holds. */
function settingLines(name: string, values: readonly string[], version: ServerVersion | undefined): string[] {
  const row = version === undefined ? undefined : findSetting(name, version);
  return values.map((value) => {
    const word = value.trim() === '' || value === '""' ? '""' : row?.kind === 'text' ? redisConfQuote(value) : value;
    return `${row?.name ?? name} ${word}`;
  });
}
