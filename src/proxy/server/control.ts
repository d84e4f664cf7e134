import { chmodSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';

/** Bytes of a Unix socket's path, at most. */
const PATH_BYTES_MAX = 100;
/** Of a request's body. */
const BODY_BYTES_MAX = 64 * 1024;

/** Serves one request: what it returns is answered as JSON. @throws whatever is told as an error */
export type ControlHandler = (body: Record<string, unknown>) => Promise<object> | object;

/**
 * The control socket: HTTP over a Unix socket that only the proxy's own user may open (`forge proxy reload` and
 * `upgrade` use it). Not the admin port: who may read statistics there may not start programs.
 */
export class ControlSocket {
  private constructor(
    private readonly server: { stop(close: boolean): unknown },
    private readonly path: string,
    private readonly inode: number,
  ) {}

  /** @throws when the path cannot be used; it takes the place of what another process has there */
  static open(path: string, handlers: Readonly<Record<string, ControlHandler>>): ControlSocket {
    if (Buffer.byteLength(path) > PATH_BYTES_MAX) throw new Error(`${path}: the path is too long for a Unix socket`);
    const beside = `${path}.${process.pid}`;
    rmSync(beside, { force: true });
    const umask = process.umask(0o177);
    let server: ReturnType<typeof Bun.serve>;
    try {
      server = Bun.serve({
        unix: beside,
        idleTimeout: 0,
        maxRequestBodySize: BODY_BYTES_MAX,
        fetch: (request: Request) => answer(request, handlers),
      } as unknown as Parameters<typeof Bun.serve>[0]);
    } finally {
      process.umask(umask);
    }
    chmodSync(beside, 0o600);
    const { ino } = statSync(beside);
    renameSync(beside, path);
    return new ControlSocket(server, path, ino);
  }

  /** Takes the path away, unless another proxy has it by now. */
  close(): void {
    if (statSync(this.path, { throwIfNoEntry: false })?.ino === this.inode) rmSync(this.path, { force: true });
    // What is being answered is answered.
    this.server.stop(false);
  }
}

async function answer(request: Request, handlers: Readonly<Record<string, ControlHandler>>): Promise<Response> {
  const handler = handlers[new URL(request.url).pathname];
  if (handler === undefined || request.method !== 'POST')
    return Response.json({ error: 'no such request' }, { status: 404 });
  try {
    const text = await request.text();
    return Response.json(await handler(text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)));
  } catch (error) {
    return Response.json({ error: (error as Error).message }, { status: 500 });
  }
}

/** Asks a proxy. Null when nobody answers there. @throws what it answers as an error */
export async function tellProxy(
  path: string,
  what: string,
  body: object = {},
): Promise<Record<string, unknown> | null> {
  let response: Response;
  try {
    response = await fetch(`http://proxy${what}`, {
      unix: path,
      method: 'POST',
      body: JSON.stringify(body),
    } as RequestInit);
  } catch {
    return null;
  }
  const reply = (await response.json()) as Record<string, unknown>;
  if (!response.ok) throw new Error(String(reply.error));
  return reply;
}

/** Takes a pid file away that is still this process's. */
export function removePidFile(pidFile: string): void {
  try {
    if (Number(readFileSync(pidFile, 'latin1')) === process.pid) rmSync(pidFile, { force: true });
  } catch {
    // There is none.
  }
}
