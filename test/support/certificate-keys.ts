/** RSA keys that tests share: making them is most of what a certificate takes. They are made once, and kept beside the build. */
import { createPrivateKey, type KeyObject, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type KeyMaker, keyPem, makeKeys } from '../../src/certs/keys.js';
import { ROOT } from './repository.js';

const FOLDER = path.join(ROOT, '.cache', 'test-keys');
/** Of each size: whoever is given new keys has not had them among the last so many. */
const KEYS = 8;
/** Keys of a CA are large, and a test has two CAs at most. */
const CA_KEYS = 3;
const CA_BITS_MIN = 3072;

const drawn = new Map<number, number>();

/** Real keys, the next of their size each time. Not for tests of what makes keys. */
export const sharedKeys: KeyMaker = async (sizes, signal) => {
  signal?.throwIfAborted();
  return Promise.all(
    sizes.map((bits) => {
      const number = drawn.get(bits) ?? 0;
      drawn.set(bits, number + 1);
      return sharedKey(bits, number % (bits >= CA_BITS_MIN ? CA_KEYS : KEYS));
    }),
  );
};

async function sharedKey(bits: number, number: number): Promise<KeyObject> {
  const file = path.join(FOLDER, `rsa-${bits}-${number}.pem`);
  const kept = await readFile(file, 'utf8').catch(() => undefined);
  if (kept !== undefined) return createPrivateKey(kept);
  const [key] = await makeKeys([bits]);
  if (key === undefined) throw new Error('no key was made');
  await mkdir(FOLDER, { recursive: true });
  // Another test file may make the same one at the same moment: each file is whole, and the last one stays.
  const whole = `${file}.${randomUUID()}`;
  await writeFile(whole, keyPem(key), { mode: 0o600 });
  await rename(whole, file);
  return key;
}
