import { describe, expect, it } from 'vitest';
import type { ForgeError } from '../../../../src/errors.js';
import {
  fillRestartCommand,
  parseRestartCommand,
  restartCommandName,
  runRestartCommand,
} from '../../../../src/operations/steps/restart-command.js';

const node = { id: 'f'.repeat(40), address: '[2001:db8::1]:6379' };
const LIMIT_MS = 20_000;

async function failureOf(work: Promise<unknown>): Promise<ForgeError> {
  return work.then(
    () => {
      throw new Error('nothing was thrown');
    },
    (error: ForgeError) => error,
  );
}

describe('a restart command', () => {
  it('is named by its program, and forge by what it is told to do', () => {
    expect(restartCommandName(['ssh', '{host}', 'x'])).toBe('ssh');
    const forge = [process.execPath, '/usr/lib/forge/bin/run.js', 'deploy', 'redis'];
    expect(restartCommandName([...forge, '--node', '{address}'])).toBe('forge deploy redis');
    expect(restartCommandName(forge)).toBe('forge deploy redis');
    expect(restartCommandName([process.execPath, 'own.js'])).toBe(process.execPath);
  });

  it('is words, or a JSON list of them', () => {
    expect(parseRestartCommand(' ssh {host}  systemctl restart redis@{port} ')).toEqual([
      'ssh',
      '{host}',
      'systemctl',
      'restart',
      'redis@{port}',
    ]);
    expect(parseRestartCommand('["a b","{id}"]')).toEqual(['a b', '{id}']);
  });

  it.each([
    ['', 'is empty'],
    ['[]', 'is empty'],
    ['["a",1]', 'something else than strings'],
    ['["a"', 'no JSON list'],
    [`sh -c 'restart it'`, 'has quotes'],
    ['restart {ip}', 'has {ip}'],
    ['x '.repeat(65), 'too long'],
  ])('is refused when it is %s', (text, message) => {
    expect(() => parseRestartCommand(text)).toThrow(message);
  });

  it('is filled in for the node', () => {
    expect(fillRestartCommand(['{host}', '{port}', '{address}', 'x{id}x', '{}'], node)).toEqual([
      '2001:db8::1',
      '6379',
      '[2001:db8::1]:6379',
      `x${node.id}x`,
      '{}',
    ]);
  });

  it('is run without a shell, and its words are not read again', async () => {
    await runRestartCommand(['test', '$HOME {port}', '=', '$HOME 6379'], node, LIMIT_MS);
  });

  it('that fails shows its last words without control characters, and what to do', async () => {
    const script = 'for n in 1 2 3 4 5 6; do echo "line $n" >&2; done; printf "\\033[31mred\\n"; exit 3';
    const failure = await failureOf(runRestartCommand(['sh', '-c', script], node, LIMIT_MS));
    expect(failure).toMatchObject({ kind: 'partial', exitCode: 8, host: node.address });
    expect(failure.message).toContain('(sh) failed (exit code 3)');
    expect(failure.next.join('\n')).toContain('It said: line 6');
    for (const text of ['line 1', '\u001b']) expect(failure.next.join('\n')).not.toContain(text);
  });

  it('that is not there, that hangs, and that leaves something running are told apart', async () => {
    expect(await failureOf(runRestartCommand(['no-such-program-here'], node, LIMIT_MS))).toMatchObject({
      kind: 'missing',
      exitCode: 10,
    });
    const started = performance.now();
    // Its child would go on for a minute.
    const late = await failureOf(runRestartCommand(['sh', '-c', 'sleep 60 & wait'], node, 200));
    expect(late).toMatchObject({ kind: 'timeout', exitCode: 7 });
    await runRestartCommand(['sh', '-c', 'sleep 15 & exit 0'], node, LIMIT_MS);
    expect(performance.now() - started).toBeLessThan(12_000);
  });
});
