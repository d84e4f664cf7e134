/**
 * A scripted upstream: what no real server does. It speaks enough RESP to be taken for the only node of a Redis Cluster,
 * and answers each command as it is told.
 */
import net from 'node:net';
import { freePort } from './ports.js';
import { RequestCutter } from './request-cutter.js';

/** What becomes of one command: the script writes what it likes. */
export type Script = (args: string[], connection: BadConnection) => void;

export interface BadConnection {
  readonly socket: net.Socket;
  /** The right answer. */
  answer(): void;
  write(bytes: string | Buffer): void;
}

/** Commands of clients; all others are the proxy's own. */
const CLIENTS = new Set(['GET', 'SET', 'MGET', 'DEL']);

export class BadUpstream {
  /** Connections that clients' commands came over, in order. */
  connections = 0;
  /** How often each command came, by its text. */
  readonly seen = new Map<string, number>();
  /** What it answers to CLUSTER SLOTS: itself for all slots when not told. */
  topology: Buffer | undefined;
  private readonly sockets = new Set<net.Socket>();
  private readonly server: net.Server;

  private constructor(
    readonly port: number,
    public script: Script,
  ) {
    this.server = net.createServer((socket) => this.serve(socket));
  }

  static async start(script: Script): Promise<BadUpstream> {
    const upstream = new BadUpstream(await freePort(), script);
    await new Promise<void>((resolve, reject) => {
      upstream.server.once('error', reject);
      upstream.server.listen(upstream.port, '127.0.0.1', resolve);
    });
    return upstream;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  private serve(socket: net.Socket): void {
    this.sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('error', () => {});
    const cutter = new RequestCutter();
    let counted = false;
    socket.on('data', (chunk) => {
      for (const args of cutter.push(chunk)) {
        if (!CLIENTS.has((args[0] ?? '').toUpperCase())) {
          this.own(args, socket);
          continue;
        }
        if (!counted) this.connections++;
        counted = true;
        const text = args.join(' ');
        this.seen.set(text, (this.seen.get(text) ?? 0) + 1);
        this.script(args, {
          socket,
          answer: () => void socket.write(rightAnswer(args)),
          write: (bytes) => void socket.write(bytes),
        });
      }
    });
  }

  /** What the proxy asks for itself. */
  private own([name = '', sub = '']: string[], socket: net.Socket): void {
    switch (`${name} ${sub}`.toUpperCase()) {
      case 'CLUSTER SLOTS':
        socket.write(this.topology ?? slotsReply(this.port));
        break;
      case 'INFO SERVER':
        socket.write(bulk('redis_version:7.0.0\r\n'));
        break;
      default:
        socket.write('-ERR unknown command\r\n');
    }
  }
}

/** All slots are those of a node on this port. */
export const slotsReply = (port: number) =>
  `*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:${port}\r\n$4\r\nnode\r\n`;

export const bulk = (text: string) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;

/** The value of every key is its name. */
export function rightAnswer([name = '', ...args]: string[]): string {
  switch (name.toUpperCase()) {
    case 'GET':
      return bulk(`value of ${args[0]}`);
    case 'MGET':
      return `*${args.length}\r\n${args.map((key) => bulk(`value of ${key}`)).join('')}`;
    case 'SET':
      return '+OK\r\n';
    case 'DEL':
      return `:${args.length}\r\n`;
    default:
      return bulk(args.at(-1) ?? '');
  }
}
