/**
 * The proxy with a fault built in: a copy of its sources, in which one reply in so many goes wrong on its way to a client.
 * What looks for such faults in the real proxy must find them here.
 */
import { appendFile, chmod, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '../..');

export type Fault = 'crosses' | 'drops' | 'doubles';

/** One in so many replies. */
const EVERY = 200;

const FAULTS: Record<Fault, string> = {
  crosses: `
    if (waiting === null) {
      if (++count % ${EVERY} !== 0) return real.call(this, request, bytes, start, end, isError);
      waiting = { self: this, request, bytes: bytes.slice(start, end) };
      return;
    }
    if (waiting.request.client === request.client) return real.call(this, request, bytes, start, end, isError);
    const held = waiting;
    waiting = null;
    const mine = bytes.slice(start, end);
    real.call(held.self, held.request, mine, 0, mine.length, false);
    real.call(this, request, held.bytes, 0, held.bytes.length, false);`,
  drops: `
    if (++count % ${EVERY} === 0) request.silent = true;
    real.call(this, request, bytes, start, end, isError);`,
  doubles: `
    const twice = ++count % ${EVERY} === 0 && request.client.head === request;
    if (twice) request.client.output.append(bytes.slice(start, end), 0, end - start);
    real.call(this, request, bytes, start, end, isError);`,
};

/** @returns the program, and how to take it away again */
export async function brokenProxy(fault: Fault): Promise<{ program: string; remove(): Promise<void> }> {
  // Below the project: packages are found from there.
  await mkdir(path.join(root, '.cache'), { recursive: true });
  const directory = await mkdtemp(path.join(root, '.cache', 'broken-proxy-'));
  await cp(path.join(root, 'src', 'proxy'), path.join(directory, 'src', 'proxy'), { recursive: true });
  await cp(path.join(root, 'package.json'), path.join(directory, 'package.json'));
  await appendFile(
    path.join(directory, 'src', 'proxy', 'engine', 'core', 'replies.ts'),
    `
const real = Replies.prototype.deliver;
let count = 0;
let waiting: any = null;
Replies.prototype.deliver = function (request: any, bytes, start, end, isError) {
  if (request.client === null || isError || request.silent) return real.call(this, request, bytes, start, end, isError);
  ${FAULTS[fault]}
};
`,
  );
  const program = path.join(directory, 'forge-proxy');
  const words = [path.join(root, 'node_modules/.bin/bun'), path.join(directory, 'src/proxy/server/main.ts')];
  await writeFile(program, `#!/bin/sh\nexec ${words.join(' ')} "$@"\n`);
  await chmod(program, 0o755);
  return { program, remove: () => rm(directory, { recursive: true, force: true }) };
}
