/** The proxy's configuration file, as far as the command line needs it. */
import { readFile } from 'node:fs/promises';
import { ForgeError } from '../../errors.js';
import type { ProxyConfig } from '../config/schema.js';

/**
 * Reads and validates a configuration; the schema is loaded only here.
 * @throws ForgeError `configuration` with every fault, its line and key
 */
export async function readProxyConfig(file: string): Promise<ProxyConfig> {
  const text = await readFile(file, 'utf8').catch((cause) => {
    throw new ForgeError('configuration', `The configuration ${file} cannot be read.`, { cause });
  });
  const { ConfigError, parseConfig } = await import('../config/load.js');
  try {
    return parseConfig(text, file);
  } catch (error) {
    if (error instanceof ConfigError) throw new ForgeError('configuration', error.message, { cause: error });
    throw error;
  }
}
