import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canHaveNewerServers, newerServers } from '../../../scripts/newer-servers.js';
import { RawClient } from '../../support/raw-client.js';
import { encode } from '../../support/resp.js';
import { FULL } from '../../support/servers.js';
import { ALLOWED } from './allowed.js';
import { FAMILIES, SESSIONS } from './cases/index.js';
import {
  arityCases,
  commandsWithoutCase,
  crossSlotCases,
  excludedCalls,
  oddKeyCases,
  wrongTypeCases,
} from './generated.js';
import { Pair } from './pair.js';
import { Runner } from './runner.js';
import type { Script } from './script.js';

const FETCH_TIMEOUT_MS = 10 * 60_000;
const REPORTS = fileURLToPath(new URL('../../../.cache/conformance/', import.meta.url));

const INSTALLED_AND_NEWER = [
  ['the installed redis-server', 'installed'],
  ['Redis 8', 'redis8'],
  ['Valkey 9', 'valkey9'],
] as const;

// Away from Debian only the installed server can be asked. In CI a missing one is a failure.
const wanted = process.env['CI'] || canHaveNewerServers() ? INSTALLED_AND_NEWER : INSTALLED_AND_NEWER.slice(0, 1);

/** Both with the installed one; what is new in the others does not go by the protocol. */
const PROTOCOLS: Record<(typeof wanted)[number][1], readonly (2 | 3)[]> = {
  installed: [2, 3],
  redis8: FULL ? [2, 3] : [3],
  valkey9: FULL ? [2, 3] : [2],
};

let executables: Record<string, string> = { installed: 'redis-server' };
beforeAll(() => {
  if (wanted.length > 1) executables = { ...executables, ...newerServers() };
}, FETCH_TIMEOUT_MS);

describe('the cases', () => {
  it('are at least one for every command of the table that is not refused by design', () => {
    expect(commandsWithoutCase()).toEqual([]);
  });
});

const met = new Set<string>();
const reports: string[] = [];

describe.each(wanted)('through the proxy and directly, %s', (_, name) => {
  let pair: Pair;

  beforeAll(async () => {
    pair = await Pair.start(executables[name]!);
  });

  afterAll(async () => {
    await pair?.stop();
  });

  describe.each(PROTOCOLS[name])('answers the same bytes in RESP%i to', (proto) => {
    /** Runs scripts, each from an empty state, and fails with all their differences. */
    async function same(scripts: readonly Script[], how: (runner: Runner, script: Script) => Promise<void>) {
      const runner = new Runner(pair, proto);
      for (const script of scripts) {
        await pair.empty();
        await how(runner, script);
      }
      for (const allowed of runner.met) met.add(allowed);
      const report = runner.report();
      if (report !== '') reports.push(`=== ${name}, RESP${proto}\n${report}`);
      expect(report).toBe('');
    }
    const byStep = (runner: Runner, script: Script) => runner.run(script);

    it.each(FAMILIES.map((family) => [family.title, family] as const))('%s', (_title, family) =>
      same([family], byStep),
    );

    it.each(FAMILIES.map((family) => [family.title, family] as const))('%s in one pipeline', (_title, family) =>
      same([family], (runner, script) => runner.pipeline(script)),
    );

    it.each(SESSIONS.map((session) => [session.title, session] as const))('the session: %s', (_title, session) =>
      same([session], (runner, script) => runner.run(script, { stopWhenLost: true })),
    );

    it('every command with a wrong number of arguments', () => same([arityCases()], byStep));

    it('every command upon keys of every type', () => same(wrongTypeCases(), byStep));

    it('every command upon keys of odd forms', () => same(oddKeyCases(), byStep));

    it('every command over several keys in several slots', () => same([crossSlotCases()], byStep));
  });

  it('refuses by design what administers a node, and says so', async () => {
    const client = await RawClient.connect({ port: pair.proxy.port });
    const wrong: string[] = [];
    for (const { name: command, words } of excludedCalls()) {
      client.send(encode(words));
      const [reply] = await client.raw(1);
      const text = reply!.toString('latin1');
      const named = [command, command.split('|', 1)[0]].some((word) =>
        text.startsWith(`-ERR unsupported command '${word}': `),
      );
      if (!named) wrong.push(`${command}: ${text}`);
    }
    client.close();
    expect(wrong).toEqual([]);
  });
});

describe('the allowed differences', () => {
  // Some are met on newer servers only.
  it.runIf(wanted.length > 1)('all exist', () => {
    expect(Object.keys(ALLOWED).filter((name) => !met.has(name))).toEqual([]);
  });
});

afterAll(() => {
  mkdirSync(REPORTS, { recursive: true });
  writeFileSync(`${REPORTS}differences.txt`, `${reports.join('\n')}\n`);
});
