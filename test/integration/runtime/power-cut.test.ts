/** What a power cut leaves at the end of an append-only file keeps no server from starting; data is never cut off. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { templatePath } from '../../../src/runtime/template.js';
import { startRedis } from '../../support/redis.js';
import { executableOf, FETCH_TIMEOUT_MS, SOME_SERVERS } from '../../support/servers.js';

const MIB = 1024 * 1024;
/** Ends in a value of zeros, as a command that was cut off inside of it does. */
const SET = (value: Buffer | string) => {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from(`*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')]);
};
const WHOLE = Buffer.concat([Buffer.from('*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n'), SET('1')]);

let root: string;
let folder: string;
let last: string;
let number = 0;
beforeAll(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'forge-power-cut-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));
beforeEach(async () => {
  folder = path.join(root, String(number++), 'appendonlydir');
  await mkdir(folder, { recursive: true });
  last = path.join(folder, 'appendonly.aof.2.incr.aof');
  const manifest = [1, 2].map((each) => `file appendonly.aof.${each}.incr.aof seq ${each} type i\n`).join('');
  await writeFile(path.join(folder, 'appendonly.aof.manifest'), manifest);
  await writeFile(path.join(folder, 'appendonly.aof.1.incr.aof'), WHOLE);
});

const supervise = (program: string, manifest = path.join(folder, 'appendonly.aof.manifest')) =>
  promisify(execFile)(
    '/bin/sh',
    [templatePath('supervise.sh'), path.join(root, 'record'), '1', '1', '1', '1', program],
    {
      env: { ...process.env, SUPERVISE_MANIFEST: manifest },
    },
  );

describe('the supervisor', () => {
  it.each([0, 1, 2, 3, 67, 4_095, 4_096, 5_001, 300_000])('cuts off %i zeros, and nothing else', async (zeros) => {
    await writeFile(last, Buffer.concat([WHOLE, Buffer.alloc(zeros)]));
    const { stderr } = await supervise('/bin/true');
    expect(await readFile(last)).toEqual(WHOLE);
    if (zeros === 0) expect(stderr).toBe('');
    else expect(stderr).toContain(`${zeros} zeros`);
    expect(await readFile(path.join(folder, 'appendonly.aof.1.incr.aof'))).toEqual(WHOLE);
  });

  it('leaves alone what is no such tail', async () => {
    const inside = Buffer.concat([WHOLE, SET(Buffer.alloc(50)), Buffer.alloc(50), SET('2')]);
    for (const content of [Buffer.alloc(0), inside, Buffer.concat([WHOLE, Buffer.alloc(2 * MIB)])]) {
      await writeFile(last, content);
      await supervise('/bin/true');
      expect((await readFile(last)).equals(content)).toBe(true);
    }
    await supervise('/bin/true', path.join(root, 'none'));
  });

  it('leaves an empty file of one that was all zeros', async () => {
    await writeFile(last, Buffer.alloc(1_000));
    await supervise('/bin/true');
    expect(await readFile(last)).toHaveLength(0);
  });
});

describe.each(SOME_SERVERS)('%s', (_, kind) => {
  let executable = '';
  beforeAll(() => {
    executable = executableOf(kind);
  }, FETCH_TIMEOUT_MS);

  it('starts with what was flushed before zeros, and before half a command', async () => {
    const half = SET(Buffer.alloc(500)).subarray(0, 300);
    await writeFile(last, Buffer.concat([WHOLE, half, Buffer.alloc(67)]));
    await supervise('/bin/true');
    const args = ['--dir', path.dirname(folder), '--appendonly', 'yes', '--aof-load-truncated', 'yes'];
    const server = await startRedis({ executable, args });
    try {
      expect(await server.call('GET', 'k')).toBe('1');
    } finally {
      await server.stop();
    }
  });
});
