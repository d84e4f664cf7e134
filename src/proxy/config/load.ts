import { type ProxyConfig, proxyConfig } from './schema.js';
import { type FurtherProblem, parseYaml } from './yaml.js';

export { CONFIG_BYTES_MAX, ConfigError, type ConfigProblem } from './problems.js';
export type { FurtherProblem } from './yaml.js';

/**
 * Reads a configuration of the proxy.
 * @param source the file's name, for messages
 * @param further finds what the settings alone do not tell to be wrong
 * @throws ConfigError naming line, key and, for an unknown key, the nearest right one
 */
export function parseConfig(
  text: string,
  source: string,
  further?: (config: ProxyConfig) => readonly FurtherProblem[],
): ProxyConfig {
  return parseYaml(text, source, proxyConfig, further);
}
