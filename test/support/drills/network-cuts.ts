/**
 * Cuts between hosts of a test's network: silent, as when a switch fails, and refused, as when a firewall turns away what
 * it no longer lets through. All commands of one cut run side by side, and this process goes on meanwhile.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Host, OneWay } from '../../integration/torture/partition-network.js';

/** A card that nobody has. */
const NOBODY = '02:00:00:00:00:01';
const COMMAND_MS = 10_000;

/** Silent: packets are lost. Refused: connections are reset, and new ones get "no route to host" at once. */
export type CutKind = 'silent' | 'refused';

interface Cut {
  readonly kind: CutKind;
  readonly way: OneWay;
}

/** Every one of the first loses every one of the second, and the other way round. */
export function between(ones: readonly Host[], others: readonly Host[]): OneWay[] {
  return ones.flatMap((one) =>
    others.flatMap((other): OneWay[] => [
      [one, other],
      [other, one],
    ]),
  );
}

export class Cuts {
  #made: Cut[] = [];

  /** Resolves once nothing comes through any more. @throws Error when one of the commands fails */
  async cut(kind: CutKind, ways: readonly OneWay[]): Promise<void> {
    const cuts = ways.map((way): Cut => ({ kind, way }));
    this.#made.push(...cuts);
    await sideBySide(cuts.map(cutting));
  }

  /** Everybody reaches everybody again. */
  async heal(): Promise<void> {
    // What was to be cut, and was not, is no failure.
    await sideBySide(this.#made.splice(0).map((cut) => `${healing(cut)} || true`));
  }
}

const within = ({ enter }: Host, command: string) => [...enter, command].join(' ');

function cutting({ kind, way: [from, to] }: Cut): string {
  if (kind === 'silent') {
    return within(from, `ip neigh replace ${to.ip} lladdr ${NOBODY} dev ${from.device} nud permanent`);
  }
  const reset = within(from, `ss -HK dst ${to.ip}`);
  // First, so that the other side hears of it; again, because somebody may have connected in between.
  return `${reset} && ${within(from, `ip route replace unreachable ${to.ip}/32`)} && ${reset}`;
}

function healing({ kind, way: [from, to] }: Cut): string {
  if (kind === 'silent') return within(from, `ip neigh del ${to.ip} dev ${from.device}`);
  return within(from, `ip route del unreachable ${to.ip}/32`);
}

async function sideBySide(commands: readonly string[]): Promise<void> {
  if (commands.length === 0) return;
  const begin = commands.map((command) => `{ ${command}; } & all="$all $!"`);
  const script = [...begin, 'for each in $all; do wait $each || exit 1; done'].join('\n');
  const child = spawn('sh', ['-c', script], { stdio: ['ignore', 'ignore', 'pipe'], timeout: COMMAND_MS });
  let said = '';
  child.stderr.on('data', (text) => {
    said += text;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${script}: ${said || `code ${code}`}`);
}
