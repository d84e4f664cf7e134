import { chmodSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';

/** Bytes of a Unix socket's path, at most. */
const PATH_BYTES_MAX = 100;
/** Of a question. */
const QUESTION_BYTES_MAX = 64 * 1024;
/** A proxy answers what its successor asks within this time. */
const ANSWER_MS = 10_000;

/** Serves one kind of question: what it returns is the answer. @throws whatever is told as an error */
export type ControlHandler = (question: Record<string, unknown>) => Promise<object> | object;

/**
 * Told of a process that keeps its connection open as long as it lives. @returns called when it is gone
 * @throws whatever is told as an error; the connection is closed then
 */
export type CompanyHandler = (question: Record<string, unknown>) => () => void;

/** The question of a process that keeps its connection. */
const COMPANY = 'company';

/** What has come of a question so far. */
interface Asker {
  text: string;
  left?: () => void;
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
  static open(
    path: string,
    handlers: Readonly<Record<string, ControlHandler>>,
    onCompany: CompanyHandler,
  ): ControlSocket {
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
            if (socket.data.left !== undefined) return;
            socket.data.text += bytes.toString();
            if (socket.data.text.length > QUESTION_BYTES_MAX) socket.terminate();
            else if (socket.data.text.endsWith('\n')) {
              const { text } = socket.data;
              const keep: CompanyHandler = (question) => {
                socket.data.left = onCompany(question);
                return socket.data.left;
              };
              void answer(text, handlers, keep).then((reply) => {
                // An answer is small: the socket takes it whole.
                socket.write(reply);
                if (socket.data.left === undefined) socket.end();
              });
            }
          },
          close: (socket) => socket.data.left?.(),
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

async function answer(
  text: string,
  handlers: Readonly<Record<string, ControlHandler>>,
  keep: CompanyHandler,
): Promise<string> {
  let reply: object;
  try {
    const question = JSON.parse(text) as Record<string, unknown>;
    const asked = String(question.ask);
    const handler = Object.hasOwn(handlers, asked) ? handlers[asked] : undefined;
    if (asked === COMPANY) {
      keep(question);
      reply = {};
    } else {
      reply = handler === undefined ? { failed: 'this proxy knows no such question' } : await handler(question);
    }
  } catch (error) {
    reply = { failed: (error as Error).message };
  }
  return `${JSON.stringify(reply)}\n`;
}

/** Another proxy, whose end is seen at once. */
export interface Company {
  readonly there: boolean;
  leave(): void;
}

/**
 * Keeps a connection to another proxy, so that each sees the end of the other, wherever it runs. Null when nobody answers
 * there, or it does not know how.
 * @param self what this process says of itself
 */
export async function keepCompany(path: string, self: object): Promise<Company | null> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), ANSWER_MS);
  let text = '';
  let there = false;
  const over = () => {
    there = false;
    resolve(false);
  };
  try {
    const socket = await Bun.connect({
      unix: path,
      socket: {
        open: (opened) => void opened.write(`${JSON.stringify({ ask: COMPANY, ...self })}\n`),
        data: (_, bytes) => {
          text += bytes.toString();
          there = text === '{}\n';
          if (text.endsWith('\n')) resolve(there);
        },
        close: over,
        error: over,
      },
    });
    const leave = () => void socket.terminate();
    if (await promise)
      return {
        leave,
        get there() {
          return there;
        },
      };
    leave();
  } catch {
    // Nobody listens there.
  } finally {
    clearTimeout(timer);
  }
  return null;
}

/** Asks another proxy. Null when nobody answers there. @throws what it says went wrong */
export async function askOther(
  path: string,
  question: object,
  timeoutMs = ANSWER_MS,
): Promise<Record<string, unknown> | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const timer = setTimeout(() => resolve(null), timeoutMs);
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
