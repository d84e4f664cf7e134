/** Single values: written, read back, gone when their time is over, and a large one byte for byte. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ForgeError } from '../../errors.js';
import type { SmokeClient } from '../client.js';
import { expectReply } from '../expect.js';
import { type SmokeKey, spreadSlots } from '../keys.js';
import type { SmokeContext, StepFinding } from '../types.js';

type Context = SmokeContext & { client: SmokeClient };

/** As many keys as there are places to look at: more than most clusters have shards. */
const KEYS = 64;
const SHORT_TTL_MS = 100;
/** A replica-less master expires at once; this is for a machine that stands still for a moment. */
const EXPIRY_WAIT_MS = 5_000;
const EXPIRY_POLL_MS = 25;
const BIG_VALUE_BYTES = 1_048_576;

/** SET with a TTL, GET and PTTL on keys all over the slots, and a key that must go away. */
export async function values(context: Context): Promise<StepFinding> {
  const { client, keys } = context;
  const ttlMs = keys.ttlS * 1_000;
  const chosen = spreadSlots(KEYS).map((slot) => keys.key(slot, 'value'));
  const wait = (key: SmokeKey, command: string, ...args: (string | number)[]) =>
    client.send(key.slot, command, key.name, ...args);
  await Promise.all(
    chosen.map(async (key, index) => {
      expectReply(await wait(key, 'SET', `value ${index}`, 'PX', ttlMs), 'OK', 'SET', key);
      expectReply(await wait(key, 'GET'), `value ${index}`, 'GET', key);
      const left = Number(await wait(key, 'PTTL'));
      if (!(left > 0 && left <= ttlMs)) expectReply(left, `1 to ${ttlMs}`, 'PTTL', key);
    }),
  );
  const short = keys.key(spreadSlots(KEYS)[1] as number, 'short');
  expectReply(await wait(short, 'SET', 'x', 'PX', SHORT_TTL_MS), 'OK', 'SET', short);
  const deadline = performance.now() + EXPIRY_WAIT_MS;
  while ((await wait(short, 'GET')) !== null) {
    if (performance.now() > deadline) {
      throw new ForgeError(
        'verification',
        `A key with a TTL of ${SHORT_TTL_MS} ms is still there after ${EXPIRY_WAIT_MS} ms.`,
      );
    }
    await sleep(EXPIRY_POLL_MS, undefined, { signal: context.signal });
  }
  return {
    summary: `${KEYS} keys all over the slots; one with a TTL of ${SHORT_TTL_MS} ms went away`,
    data: { keys: KEYS },
  };
}

/** One value of 1 MB (1,048,576 random bytes). */
export async function bigValue({ client, keys }: Context): Promise<StepFinding> {
  const key = keys.key(spreadSlots(KEYS)[2] as number, 'big');
  const value = randomBytes(BIG_VALUE_BYTES);
  const started = performance.now();
  expectReply(await client.send(key.slot, 'SET', key.name, value, 'EX', keys.ttlS), 'OK', 'SET', key);
  const back = await client.sendBinary(key.slot, 'GET', key.name);
  const tookMs = Math.round(performance.now() - started);
  if (!Buffer.isBuffer(back) || !back.equals(value)) {
    const got = Buffer.isBuffer(back) ? `${back.length} bytes, not the same` : String(back);
    throw new ForgeError('verification', `A value of ${BIG_VALUE_BYTES} bytes did not come back as it went: ${got}.`);
  }
  return {
    summary: `${BIG_VALUE_BYTES} bytes there and back in ${tookMs} ms`,
    data: { bytes: BIG_VALUE_BYTES, tookMs },
  };
}
