import type { Client } from '../core/client.js';

/** Pieces of text that are kept to be used again; when there are so many, they are made anew. */
const KEPT_MAX = 4096;
/** Text that JSON shows as it is. */
const BARE = /^[\w.:@/|[\]+ -]*$/;

/** Text in JSON. */
export const quoted = (text: string): string => (BARE.test(text) ? `"${text}"` : JSON.stringify(text));

/** Makes a text for each key once. */
class Kept {
  private readonly texts = new Map<string, string>();

  constructor(private readonly make: (key: string) => string) {}

  of(key: string): string {
    let text = this.texts.get(key);
    if (text === undefined) {
      if (this.texts.size >= KEPT_MAX) this.texts.clear();
      text = this.make(key);
      this.texts.set(key, text);
    }
    return text;
  }
}

const hosts = new Kept(quoted);
/** A node's address in JSON. */
export const quotedHost = (host: string): string => hosts.of(host);

type Value = string | number;

/** One attribute of OTLP's; whole numbers are decimal strings there. */
export function attribute(key: string, value: Value): string {
  const text = typeof value === 'number' ? `"intValue":"${value}"` : `"stringValue":${quoted(value)}`;
  return `{"key":${quoted(key)},"value":{${text}}}`;
}

export function attributes(all: Readonly<Record<string, Value>>): string {
  return Object.entries(all)
    .map(([key, value]) => attribute(key, value))
    .join(',');
}

/** `host:port` as `<side>.address` and `<side>.port`. */
function place(side: string, address: string): Record<string, Value> {
  const colon = address.lastIndexOf(':');
  if (address === '') return {};
  const port = Number(address.slice(colon + 1));
  if (colon < 0 || !Number.isInteger(port)) return { [`${side}.address`]: address };
  return { [`${side}.address`]: address.slice(0, colon).replace(/^\[|\]$/g, ''), [`${side}.port`]: port };
}

const nodes = new Kept((host) => attributes({ ...place('server', host), ...place('network.peer', host) }));
/** A node, as attributes of a client span. */
export const nodeAttributes = (host: string): string => nodes.of(host);

const operations = new Kept((command) => {
  const name = command.toUpperCase().replace('|', ' ');
  return `"name":${quoted(name)},"attributes":[${attributes({ 'db.system.name': 'redis', 'db.operation.name': name })}`;
});
/** A command's name and the first of its attributes, whose list goes on. */
export const operationAttributes = (command: string): string => operations.of(command);

/** Who gave a command, ready to be written. */
export class Who {
  readonly user: string;
  readonly address: string;
  readonly id: number;
  /** Fields of a line in JSON. */
  readonly json: string;
  /** Attributes of a server span. */
  readonly attributes: string;

  constructor({ address, details, id, user }: Client) {
    this.user = user;
    this.address = address;
    this.id = id;
    this.json = `"client":${quoted(address)},"client_id":${id},"user":${quoted(user)}`;
    this.attributes = attributes({
      ...place('client', address),
      ...place('network.peer', address),
      ...place('server', details.localAddress),
      'enduser.id': user,
      'redisforge.client.id': id,
    });
  }
}

/** Clients whose commands were recorded lately. */
export class Whos {
  private readonly known = new Map<number, Who>();

  of(client: Client): Who {
    let who = this.known.get(client.id);
    if (who === undefined || who.user !== client.user) {
      if (this.known.size >= KEPT_MAX) this.known.clear();
      who = new Who(client);
      this.known.set(client.id, who);
    }
    return who;
  }
}
