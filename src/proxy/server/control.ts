import { chmodSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';

/** Bytes of a Unix socket's path, at most. */
const PATH_BYTES_MAX = 100;
/** Of a question. */
const QUESTION_BYTES_MAX = 64 * 1024;
/** A proxy answers what its successor asks within this time. */
const ANSWER_MS = 10_000;

/** Serves one kind of question: what it returns is the answer. @throws whatever is told as an error */
export type ControlHandler = (question: Record<string, unknown>) => Promise<object> | object;

/** What has come of a question so far. */
interface Asker {
  text: string;
}

/**
 * The control socket: a Unix socket that only the proxy's own user may open. A question is one line of JSON
 * (`{"ask": "reload"}`), and so is its answer. Not the admin port: who may read statistics there may not start programs.
 */
export class ControlSocket {
  private constructor(
    private readonly listener: { stop(close?: boolean): void },
    private readonly path: string,
    private readonly inode: number,
  ) {}

  /** @throws when the path cannot be used; it takes the place of what another process has there */
  static open(path: string, handlers: Readonly<Record<string, ControlHandler>>): ControlSocket {
    if (Buffer.byteLength(path) > PATH_BYTES_MAX) throw new Error(`${path}: the path is too long for a Unix socket`);
    const beside = `${path}.${process.pid}`;
    rmSync(beside, { force: true });
    const umask = process.umask(0o177);
    let listener: { stop(close?: boolean): void };
    try {
      listener = Bun.listen<Asker>({
        unix: beside,
        socket: {
          open: (socket) => {
            socket.data = { text: '' };
          },
          data: (socket, bytes) => {
            socket.data.text += bytes.toString();
            if (socket.data.text.length > QUESTION_BYTES_MAX) socket.terminate();
            else if (socket.data.text.endsWith('\n')) {
              void answer(socket.data.text, handlers).then((text) => {
                // An answer is small: the socket takes it whole.
                socket.write(text);
                socket.end();
              });
            }
          },
          error: (socket) => socket.terminate(),
        },
      });
    } finally {
      process.umask(umask);
    }
    chmodSync(beside, 0o600);
    const { ino } = statSync(beside);
    renameSync(beside, path);
    return new ControlSocket(listener, path, ino);
  }

  /** Takes the path away, unless another proxy has it by now. */
  close(): void {
    if (statSync(this.path, { throwIfNoEntry: false })?.ino === this.inode) rmSync(this.path, { force: true });
    this.listener.stop(false);
  }
}

async function answer(text: string, handlers: Readonly<Record<string, ControlHandler>>): Promise<string> {
  let reply: object;
  try {
    const question = JSON.parse(text) as Record<string, unknown>;
    const handler = Object.hasOwn(handlers, String(question.ask)) ? handlers[String(question.ask)] : undefined;
    reply = handler === undefined ? { failed: 'this proxy knows no such question' } : await handler(question);
  } catch (error) {
    reply = { failed: (error as Error).message };
  }
  return `${JSON.stringify(reply)}\n`;
}

/** Asks another proxy. Null when nobody answers there. @throws what it says went wrong */
export async function askOther(path: string, question: object): Promise<Record<string, unknown> | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const timer = setTimeout(() => resolve(null), ANSWER_MS);
  let text = '';
  try {
    await Bun.connect({
      unix: path,
      socket: {
        open: (socket) => void socket.write(`${JSON.stringify(question)}\n`),
        data: (_, bytes) => {
          text += bytes.toString();
        },
        close: () => resolve(text.endsWith('\n') ? text : null),
        error: () => resolve(null),
      },
    });
  } catch {
    resolve(null);
  }
  const reply = await promise;
  clearTimeout(timer);
  if (reply === null) return null;
  const said = JSON.parse(reply) as Record<string, unknown>;
  if (said.failed !== undefined) throw new Error(String(said.failed));
  return said;
}

/** Takes a pid file away that is still this process's. */
export function removePidFile(pidFile: string): void {
  try {
    if (Number(readFileSync(pidFile, 'latin1')) === process.pid) rmSync(pidFile, { force: true });
  } catch {
    // There is none.
  }
}
