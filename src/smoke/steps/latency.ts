/** How long one command takes while nothing else is on the way from here. */

import type { SmokeClient } from '../client.js';
import { spreadSlots } from '../keys.js';
import { percentile } from '../percentile.js';
import type { SmokeContext, StepFinding } from '../types.js';

const SAMPLES = 1_000;
const KEYS = 50;
/** On a slow line fewer samples must do; the number taken is told. */
const TIME_MAX_MS = 3_000;

export async function latency(context: SmokeContext & { client: SmokeClient }): Promise<StepFinding> {
  const { client, keys, signal } = context;
  const chosen = spreadSlots(KEYS).map((slot) => keys.key(slot, 'latency'));
  // The first round connects to each shard; it is not measured.
  await Promise.all(chosen.map(({ slot, name }) => client.send(slot, 'SET', name, 'x'.repeat(64), 'EX', keys.ttlS)));
  const samples: number[] = [];
  const end = performance.now() + TIME_MAX_MS;
  for (let index = 0; index < SAMPLES; index++) {
    const key = chosen[index % KEYS] as (typeof chosen)[number];
    const started = performance.now();
    if (index % 2 === 0) await client.send(key.slot, 'GET', key.name);
    else await client.send(key.slot, 'SET', key.name, 'x'.repeat(64), 'EX', keys.ttlS);
    const now = performance.now();
    samples.push(now - started);
    signal.throwIfAborted();
    if (now > end) break;
  }
  samples.sort((left, right) => left - right);
  const ms = (fraction: number) => Math.round(percentile(samples, fraction) * 1_000) / 1_000;
  const data = { samples: samples.length, p50Ms: ms(0.5), p99Ms: ms(0.99), maxMs: ms(1) };
  return {
    summary: `p50 ${data.p50Ms} ms, p99 ${data.p99Ms} ms, max ${data.maxMs} ms (${data.samples} GET and SET, one at a time)`,
    data,
  };
}
