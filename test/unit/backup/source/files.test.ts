import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { Header } from 'tar';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { uncountedBytes } from '../../../../src/backup/source/files/append-only.js';
import { ownIdOf } from '../../../../src/backup/source/files/choose.js';
import { parseAppendManifest, plainNameOf, writeAppendManifest } from '../../../../src/backup/source/files/manifest.js';
import { parseFileState } from '../../../../src/backup/source/files/server.js';
import { readTar, tarBytes, writeTar } from '../../../../src/backup/source/files/tar.js';
import { unpackFiles } from '../../../../src/backup/source/files/unpack.js';
import { ForgeError } from '../../../../src/errors.js';

const BASE = 'file appendonly.aof.3.base.rdb seq 3 type b\n';
const INCREMENT = 'file appendonly.aof.7.incr.aof seq 7 type i startoffset 215\n';

describe('the manifest of an append-only file', () => {
  it('gives the files in their order, without history', () => {
    const text = `# made by hand\n${BASE}file appendonly.aof.2.base.rdb seq 2 type h\nfile x.6.incr.aof seq 6 type i\n${INCREMENT}`;
    const files = parseAppendManifest(text);
    expect(files.map(({ name, type }) => [name, type])).toEqual([
      ['appendonly.aof.3.base.rdb', 'base'],
      ['x.6.incr.aof', 'incremental'],
      ['appendonly.aof.7.incr.aof', 'incremental'],
    ]);
    expect(files.map(plainNameOf)).toEqual([
      'appendonly.aof.3.base.rdb',
      'appendonly.aof.6.incr.aof',
      'appendonly.aof.7.incr.aof',
    ]);
    expect(plainNameOf({ name: 'appendonly.aof', sequence: 1, type: 'base', more: [] })).toBe(
      'appendonly.aof.1.base.aof',
    );
    expect(parseAppendManifest(writeAppendManifest(files))).toEqual(files);
  });

  it.each([
    ['nothing', '', 'no file'],
    ['history alone', 'file a seq 1 type h\n', 'no file'],
    ['another line', 'rename a b\n', 'malformed'],
    ['a path', 'file ../a seq 1 type b\n', 'cannot be named'],
    ['a hidden name', 'file .a seq 1 type b\n', 'cannot be named'],
    ['a name in quotes', 'file "a b" seq 1 type b\n', 'malformed'],
    ['no number', 'file a seq x type b\n', 'no number'],
    ['another type', 'file a seq 1 type q\n', 'unknown type'],
    ['half a pair', 'file a seq 1 type i startoffset\n', 'malformed'],
    ['two bases', `${BASE}file b seq 4 type b\n`, 'several bases'],
    ['one file twice', `${BASE}file appendonly.aof.3.base.rdb seq 4 type i\n`, 'twice'],
    ['another order', `${INCREMENT}file x seq 6 type i\n`, 'no order'],
    ['too many', Array.from({ length: 1_001 }, (_, n) => `file f${n} seq ${n + 1} type i\n`).join(''), 'more than'],
  ])('refuses %s', (_, text, why) => {
    expect(() => parseAppendManifest(text)).toThrow(why);
  });
});

describe('what a server says of its files', () => {
  const info = (more: string) =>
    parseFileState(`# Replication\r\nrole:master\r\nmaster_replid:abc\r\nmaster_repl_offset:42\r\n${more}`);

  it('is read from one answer', () => {
    const state = info(
      'aof_enabled:1\r\naof_current_size:10\r\naof_buffer_length:3\r\naof_base_size:4\r\nloading:0\r\n',
    );
    expect(state).toMatchObject({ replicationId: 'abc', offset: 42, appending: true, rewriting: false, linked: true });
    expect(state).toMatchObject({ bytes: 10, waitingBytes: 3, baseBytes: 4, loading: false, failing: false });
    expect(info('aof_rewrite_scheduled:1\r\n').rewriting).toBe(true);
    expect(info('aof_last_write_status:err\r\n').failing).toBe(true);
    expect(parseFileState('role:slave\r\nmaster_link_status:down\r\n').linked).toBe(false);
    expect(parseFileState('role:slave\r\nmaster_link_status:up\r\n').linked).toBe(true);
  });

  it('fits the lengths of its files, or they are not its own', () => {
    const files = parseAppendManifest(BASE + INCREMENT);
    const state = (bytes: number, baseBytes: number) =>
      info(`aof_current_size:${bytes}\r\naof_base_size:${baseBytes}\r\n`);
    const uncounted = (lengths: number[], before: number, after: number, base: number) =>
      uncountedBytes({ label: 'a:1', files, lengths, before: state(before, base), state: state(after, base) });
    expect(uncounted([100, 50], 150, 150, 100)).toBe(0);
    expect(uncounted([100, 50], 120, 170, 100)).toBe(0);
    // It began with nothing, and made a base which it does not count.
    expect(uncounted([89, 50], 50, 60, 0)).toBe(89);
    expect(() => uncounted([100, 50], 151, 160, 100)).toThrow('by its own account');
    expect(() => uncounted([100, 50], 140, 149, 100)).toThrow('by its own account');
    expect(() => uncounted([89, 50], 139, 139, 0)).toThrow('by its own account');
  });

  it('names the node of a nodes.conf', () => {
    const text =
      'aaa 1.2.3.4:1@2 master - 0 0 1 connected\nbbb 1.2.3.5:1@2 myself,slave aaa 0 0 1 connected\nvars x 1\n';
    expect(ownIdOf(text)).toBe('bbb');
    expect(ownIdOf('')).toBeUndefined();
  });
});

const FACTS = { mode: 0o640, uid: 1, gid: 2, modified: new Date(0) };
async function* pieces(content: string, size = 7): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += size) yield Buffer.from(content.slice(at, at + size));
}
const archiveOf = (files: Record<string, string>) =>
  Readable.from(
    writeTar(
      Object.entries(files).map(([name, text]) => ({
        file: { path: name, bytes: text.length, ...FACTS },
        content: pieces(text),
      })),
    ),
    { objectMode: false },
  );
const bytesOf = async (stream: Readable) => Buffer.concat(await stream.toArray());

describe('an archive', () => {
  it('gives back what was put into it, however its pieces come', async () => {
    const files = { a: 'x'.repeat(513), 'folder/b': '', c: 'y'.repeat(1024) };
    const whole = await bytesOf(archiveOf(files));
    expect(whole.length).toBe(tarBytes(Object.values(files).map(({ length }) => length)));
    for (const size of [1, 511, 512, 513, 100_000]) {
      const found: Record<string, string> = {};
      for await (const entry of readTar(pieces(whole.toString('latin1'), size))) {
        let text = '';
        for await (const piece of entry.content) text += piece.toString('latin1');
        found[entry.path] = text;
      }
      expect(found).toEqual(files);
    }
  });

  it('tells lengths above eight gibibytes', async () => {
    const file = { path: 'large', bytes: 9 * 2 ** 30, ...FACTS };
    const { value } = await writeTar([{ file, content: pieces('') }]).next();
    const entry = await readTar(Readable.from([value, Buffer.alloc(512)])).next();
    expect(entry.value).toMatchObject({ path: 'large', bytes: 9 * 2 ** 30 });
  });

  it('fails when a file is shorter or longer than was told', async () => {
    const of = (bytes: number) =>
      bytesOf(Readable.from(writeTar([{ file: { path: 'a', bytes, ...FACTS }, content: pieces('abc') }])));
    await expect(of(4)).rejects.toThrow('a has 3 bytes, not 4');
    await expect(of(2)).rejects.toThrow('a has 3 bytes, not 2');
    await expect(of(3)).resolves.toHaveLength(2048);
  });
});

describe('a shard that is unpacked', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'forge-unpack-'));
  });
  afterEach(async () => {
    await rm(directory, { recursive: true });
  });
  const unpack = (source: Readable, maxBytes = 1_000_000) =>
    unpackFiles(source, { directory, maxBytes, place: 'place/shard', signal: new AbortController().signal });
  const failureOf = async (source: Readable, maxBytes?: number) => {
    const error = await unpack(source, maxBytes).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ForgeError);
    return error as ForgeError;
  };
  const PARTS = {
    'appendonlydir/appendonly.aof.manifest': BASE + INCREMENT,
    'appendonlydir/appendonly.aof.3.base.rdb': 'REDIS',
    'appendonlydir/appendonly.aof.7.incr.aof': '*1',
  };

  it('is there with its names, for this user alone', async () => {
    const shard = await unpack(archiveOf({ 'nodes.conf': 'vars', ...PARTS }));
    expect(shard).toMatchObject({ appendOnly: { directory: 'appendonlydir', file: 'appendonly.aof' }, nodes: true });
    expect(shard.bytes).toBe(4 + BASE.length + INCREMENT.length + 5 + 2);
    expect(await readFile(path.join(directory, 'appendonlydir/appendonly.aof.3.base.rdb'), 'utf8')).toBe('REDIS');
    expect(await readdir(directory)).toEqual(['appendonlydir', 'nodes.conf']);
  });

  it('may be a snapshot', async () => {
    expect(await unpack(archiveOf({ 'dump.rdb': 'REDIS' }))).toEqual({ nodes: false, bytes: 5 });
  });

  it.each<[string, Record<string, string>, string]>([
    ['nothing', {}, 'no whole shard'],
    ['no data', { 'nodes.conf': 'x' }, 'no whole shard'],
    ['a path that leads out', { '../dump.rdb': 'x' }, 'none of a shard'],
    ['an absolute path', { '/etc/passwd': 'x' }, 'none of a shard'],
    ['another file', { 'dump.rdb': 'x', 'redis.conf': 'x' }, 'none of a shard'],
    ['a path around', { 'appendonlydir/../dump.rdb': 'x' }, 'none of a shard'],
    ['both kinds', { ...PARTS, 'dump.rdb': 'x' }, 'twice'],
    ['parts without a manifest', { 'appendonlydir/appendonly.aof.1.incr.aof': 'x', 'dump.rdb': 'x' }, 'no whole shard'],
    ['a part too many', { ...PARTS, 'appendonlydir/appendonly.aof.8.incr.aof': 'x' }, 'those of its manifest'],
    ['a part too few', { 'appendonlydir/appendonly.aof.manifest': BASE }, 'those of its manifest'],
    [
      'a manifest of a path',
      { 'appendonlydir/appendonly.aof.manifest': 'file ../x seq 1 type b\n' },
      'cannot be named',
    ],
    ['too much', { 'dump.rdb': 'x'.repeat(2_000_000) }, 'more than 1000000 bytes'],
  ])('is refused with %s', async (_, files, why) => {
    const { kind, message } = await failureOf(archiveOf(files));
    expect([kind, message]).toEqual(['verification', expect.stringContaining(why)]);
    expect(message).toContain('place/shard');
    expect(await readdir(path.dirname(directory))).not.toContain('dump.rdb');
  });

  it('is refused when a name comes twice', async () => {
    const one = (await bytesOf(archiveOf({ 'dump.rdb': 'x' }))).subarray(0, 1024);
    const end = Buffer.alloc(1024);
    expect((await failureOf(Readable.from([one, one, end]))).message).toContain('twice');
  });

  it('is refused when a length is no number', async () => {
    const block = (await bytesOf(archiveOf({ 'dump.rdb': 'x' }))).subarray(0, 512);
    // The first byte of the length: binary, and neither of the two signs that there are.
    block[124] = 0x90;
    const { kind, message } = await failureOf(Readable.from([block, Buffer.alloc(1024)]));
    expect([kind, message]).toEqual(['verification', expect.stringContaining('damaged, or no archive')]);
  });

  it.each([
    'SymbolicLink',
    'Link',
    'Directory',
    'CharacterDevice',
    'FIFO',
    'ExtendedHeader',
    'NextFileHasLongPath',
  ] as const)('is refused with a %s', async (type) => {
    const block = Buffer.alloc(512);
    new Header({ path: 'dump.rdb', type, size: 0, mode: 0o644, linkpath: '/etc/passwd', mtime: new Date(0) }).encode(
      block,
      0,
    );
    const { kind, message } = await failureOf(Readable.from([block, Buffer.alloc(1024)]));
    expect([kind, message]).toEqual(['verification', expect.stringContaining('no regular file')]);
    expect(await readdir(directory)).toEqual([]);
  });

  it('is refused when it is cut off anywhere, or changed', async () => {
    const whole = await bytesOf(archiveOf({ 'nodes.conf': 'vars', ...PARTS }));
    for (const length of [0, 1, 511, 512, 513, 1024, 1536, whole.length - 1024]) {
      const failure = await failureOf(Readable.from([whole.subarray(0, length)]));
      expect([length, failure.kind]).toEqual([length, 'verification']);
      await rm(directory, { recursive: true });
      directory = await mkdtemp(path.join(os.tmpdir(), 'forge-unpack-'));
    }
    const changed = Buffer.from(whole);
    changed[3] = 0x40;
    expect((await failureOf(Readable.from([changed]))).message).toContain('damaged, or no archive');
    expect((await failureOf(Readable.from([whole, Buffer.from('more')]))).message).toContain('after its end');
  });

  it('fails with what the stream fails with', async () => {
    const stream = new Readable({ read() {} });
    stream.push((await bytesOf(archiveOf({ 'dump.rdb': 'x' }))).subarray(0, 600));
    setImmediate(() => stream.destroy(new ForgeError('unreachable', 'the store is gone')));
    expect((await failureOf(stream)).kind).toBe('unreachable');
    expect(stream.destroyed).toBe(true);
  });
});
