/** Envoy's small messages: addresses, sources of secrets, typed configurations. */
import { formatAddress, readAddress } from '../../config/values.js';
import { Fields, isObject } from './fields.js';

/** A secret that our configuration takes from the environment because it must not be copied. */
export interface NeededVariable {
  readonly name: string;
  /** What it is: `password of clients`. */
  readonly purpose: string;
}

/** `host:port` of an Envoy Address; undefined, with a note, where it is something else. */
export function address(of: Fields, name: string): string | undefined {
  const outer = of.message(name);
  if (outer === undefined) return undefined;
  return socketAddress(outer);
}

/** The same for a message that is itself an Address. */
export function socketAddress(outer: Fields): string | undefined {
  outer.lose(
    'pipe',
    'not carried over: clients may connect over Unix sockets, see docs/tls.md; nodes are reached by TCP only',
  );
  outer.lose('envoy_internal_address', 'not carried over: internal listeners are not supported');
  const socket = outer.message('socket_address');
  outer.rest();
  if (socket === undefined) return undefined;
  const protocol = socket.word('protocol', ['TCP', 'UDP']);
  if (protocol !== undefined && protocol !== 'TCP') socket.note('protocol', 'TCP is used');
  const host = socket.text('address') ?? '';
  const port = socket.number('port_value');
  socket.lose('named_port', 'not carried over: a port needs its number');
  socket.rest();
  if (host === '' || port === undefined || !Number.isInteger(port) || port < 0) return undefined;
  const text = formatAddress({ host, port });
  if (readAddress(text) !== null) return text;
  socket.note('address', 'not an address with a port');
  return undefined;
}

/** Names of environment variables that are given out; each once. */
export class Variables {
  readonly #needed: NeededVariable[] = [];
  readonly #names = new Set<string>();

  /** A name of its own, made of `base`. */
  need(base: string, purpose: string): string {
    const clean = base
      .toUpperCase()
      .replace(/[^A-Z0-9]+/g, '_')
      .replace(/^_|_$/g, '');
    let name = clean;
    for (let i = 2; this.#names.has(name); i++) name = `${clean}_${i}`;
    this.#names.add(name);
    this.#needed.push({ name, purpose });
    return name;
  }

  /** A name that the file itself uses. */
  reserve(name: string): void {
    this.#names.add(name);
  }

  list(): NeededVariable[] {
    return [...this.#needed];
  }
}

export type SecretText = { filename: string } | { environment: string };

/**
 * A DataSource that holds a password. One that stands in the file itself is not copied: it is to come from the
 * environment.
 */
export function secret(source: Fields, base: string, purpose: string, variables: Variables): SecretText {
  const filename = source.text('filename');
  const environment = source.text('environment_variable');
  source.ignore('inline_string', 'inline_bytes');
  source.lose('watched_directory', 'not carried over: the file is read at the start');
  source.rest();
  if (filename) return { filename };
  if (environment) {
    variables.reserve(environment);
    return { environment };
  }
  const name = variables.need(base, purpose);
  source.notes.add(source.path, `the password is not copied: set ${name} in the environment of the proxy`);
  return { environment: name };
}

/** A DataSource that holds a user's name, which our configuration has as text. */
export function userName(of: Fields, field: string): string | undefined {
  const source = of.message(field);
  if (source === undefined) return undefined;
  const inline = source.text('inline_string');
  for (const kind of ['filename', 'environment_variable', 'inline_bytes'])
    source.lose(kind, `not carried over: write the user's name into the configuration yourself`);
  source.rest();
  return inline || undefined;
}

/**
 * The configuration of an extension: `typed_config` (also wrapped in a Struct or TypedStruct), or `config` as Envoy had
 * it before version 1.18.
 * @returns undefined without one; `type` is the last part of its type's name, such as `RedisProxy`, or empty
 */
export function typedConfig(of: Fields): { fields: Fields; type: string } | undefined {
  const name = ['typed_config', 'config'].find((each) => of.has(each));
  return name === undefined ? undefined : unwrapTyped(of.take(name), of.at(name), of);
}

export function unwrapTyped(value: unknown, path: string, of: Fields): { fields: Fields; type: string } {
  const wrapped = isObject(value) && isObject(value['value']);
  const url = isObject(value) ? (value['type_url'] ?? value['typeUrl'] ?? value['@type']) : undefined;
  const inner = wrapped ? (value as Record<string, unknown>)['value'] : value;
  const type = typeof url === 'string' ? (/[^./]*$/.exec(url)?.[0] ?? '') : '';
  return { fields: new Fields(inner, wrapped ? `${path}.value` : path, of.notes), type };
}
