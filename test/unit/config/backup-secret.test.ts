import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { backupSecret, commandWords } from '../../../src/config/backup-secret.js';
import { loadSettings, type Settings } from '../../../src/config/resolve.js';
import { poll } from '../../support/redis.js';

const KEY = 'k9'.repeat(20);
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-backup-secret-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const plain = (environment: NodeJS.ProcessEnv = {}): Settings => ({ environment, named: false });
const own = async (place: string, environment: NodeJS.ProcessEnv = {}, name?: string) => {
  await writeFile(path.join(directory, 'forge.yaml'), `cluster: orders\nbackup: { encryption_key: ${place} }\n`);
  return loadSettings({ directory, environment, name });
};
async function file(name: string, content: string | Buffer, mode = 0o600): Promise<string> {
  const at = path.join(directory, name);
  await writeFile(at, content);
  await chmod(at, mode);
  return at;
}
const command = (text: string, options = {}, environment: NodeJS.ProcessEnv = process.env) =>
  backupSecret({ 'encryption-key-command': text }, plain(environment), options);

describe('the key', () => {
  it('is none where nothing names one', async () => {
    expect(await backupSecret(undefined, plain())).toBeUndefined();
  });

  it('is the same from a file, a variable and a command, with a line end or without', async () => {
    const places = [
      backupSecret(await file('a', KEY), plain()),
      backupSecret({ 'encryption-key-file': await file('b', `${KEY}\n`) }, plain()),
      backupSecret({}, plain({ BACKUP_ENCRYPTION_KEY_FILE: await file('c', `${KEY}\r\n`) })),
      backupSecret({}, await own('{ environment: THE_KEY }', { THE_KEY: KEY })),
      backupSecret({}, await own('{ filename: a }')),
      backupSecret({}, await own(`{ command: [printf, '%s\\n', ${KEY}] }`, process.env)),
      command(`echo ${KEY}`),
      backupSecret({}, plain({ ...process.env, BACKUP_ENCRYPTION_KEY_COMMAND: `sh -c 'printf ${KEY}'` })),
    ];
    for (const place of places) expect(String(await place)).toBe(KEY);
  });

  it('is bytes of any kind, of which none is lost below what is needed', async () => {
    const bytes = randomBytes(32);
    bytes[31] = 0x0a;
    expect(await backupSecret(await file('raw', bytes), plain())).toEqual(bytes);
    expect(await backupSecret(await file('raw', Buffer.alloc(64 * 1024, 'ab')), plain())).toHaveLength(64 * 1024);
  });

  it('is by flag, by environment, by forge.yaml, in this order; forge.yaml goes first where the cluster was named', async () => {
    const [flag, variable, yaml] = [await file('flag', `flag${KEY}`), await file('env', `env${KEY}`), `yaml${KEY}`];
    const environment = { BACKUP_ENCRYPTION_KEY_FILE: variable, THE_KEY: yaml };
    const place = '{ environment: THE_KEY }';
    expect(String(await backupSecret(flag, await own(place, environment, 'orders')))).toBe(`flag${KEY}`);
    expect(String(await backupSecret({}, await own(place, environment)))).toBe(`env${KEY}`);
    expect(String(await backupSecret({}, await own(place, environment, 'orders')))).toBe(yaml);
  });

  it('that others may read is warned of', async () => {
    const warnings: string[] = [];
    await backupSecret(await file('open', KEY, 0o640), plain(), { onWarning: (text) => warnings.push(text) });
    await backupSecret(await file('closed', KEY, 0o400), plain(), { onWarning: (text) => warnings.push(text) });
    expect(warnings).toEqual([expect.stringMatching(/open; chmod 600/)]);
    expect(warnings.join()).not.toContain(KEY);
  });

  it.each([
    ['short', /5 bytes; at least 32/],
    ['', /0 bytes/],
    [`CHANGE_ME${KEY}`, /example/],
    ['x'.repeat(64 * 1024 + 1), /more than 65536/],
  ])('is refused: %.10s', async (content, words) => {
    const refused = backupSecret(await file('bad', content), plain());
    await expect(refused).rejects.toMatchObject({ kind: 'configuration', message: expect.stringMatching(words) });
  });

  it('that is not there is told', async () => {
    await expect(backupSecret('/no/such/key', plain())).rejects.toMatchObject({
      message: expect.stringContaining('/no/such/key does not exist'),
    });
    await expect(backupSecret(directory, plain())).rejects.toMatchObject({ kind: 'configuration' });
    await expect(backupSecret({}, await own('{ environment: THE_KEY }'))).rejects.toThrow('THE_KEY, which is not set');
  });
});

describe('a command that prints it', () => {
  it.each([
    ["sh -c 'echo no >&2; exit 3'", 'configuration', /exit code 3: no/],
    ['no-such-program key', 'missing', /cannot be started/],
    ["sh -c 'kill -9 $$'", 'configuration', /SIGKILL/],
    ['true', 'configuration', /0 bytes/],
    ['head -c 100000 /dev/zero', 'configuration', /prints more than a key/],
  ])('fails: %s', async (text, kind, words) => {
    await expect(command(text)).rejects.toMatchObject({ kind, message: expect.stringMatching(words) });
  });

  it('is not run from a file that anybody may write to', async () => {
    const settings = await own(`{ command: [echo, ${KEY}] }`, process.env);
    expect(String(await backupSecret({}, settings))).toBe(KEY);
    await chmod(path.join(directory, 'forge.yaml'), 0o646);
    await expect(backupSecret({}, settings)).rejects.toMatchObject({
      message: expect.stringContaining('anybody may write'),
    });
    await file('.env', `BACKUP_ENCRYPTION_KEY_COMMAND='echo ${KEY}'\n`, 0o666);
    await rm(path.join(directory, 'forge.yaml'));
    const ofEnvFile = await loadSettings({ directory, environment: { PATH: process.env['PATH'] } });
    await expect(backupSecret({}, ofEnvFile)).rejects.toMatchObject({ next: [expect.stringContaining('.env')] });
  });

  it('is ended by the signal, with what it has started', async () => {
    const control = new AbortController();
    const note = path.join(directory, 'pid');
    const asked = command(`sh -c 'sleep 60 & echo $! > ${note}; wait'`, { signal: control.signal });
    const pid = await poll('it has started something', 20_000, async () =>
      Number(await readFile(note, 'utf8').catch(() => '')),
    );
    control.abort(new Error('enough'));
    await expect(asked).rejects.toThrow('enough');
    await poll('that is gone', 20_000, async () => {
      const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z');
      return state.includes(') Z');
    });
  });

  it.each([
    ['pass show redis/backup', ['pass', 'show', 'redis/backup']],
    ["  a  'b c'd \"e \\\" 'f'\" g\\ h '' ", ['a', 'b cd', "e \" 'f'", 'g h', '']],
    ['vault kv get -field=key secret/redis', ['vault', 'kv', 'get', '-field=key', 'secret/redis']],
  ])('has words: %s', (text, words) => {
    expect(commandWords(text, '--x')).toEqual(words);
  });

  it.each(['', '  ', "''", 'a | b', 'a > b', 'a $HOME', 'a `b`', '"a $b"', 'a; b', 'a &', "a 'b", 'a "b', 'a *'])(
    'is no command: %j',
    (text) => {
      expect(() => commandWords(text, '--x')).toThrow(expect.objectContaining({ kind: 'configuration' }));
    },
  );
});
