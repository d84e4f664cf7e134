/** Flags that the commands for the proxy share. */
import path from 'node:path';
import { Flags } from '@oclif/core';

/** Where a proxy of this host is found again when nothing else is said. */
export function defaultPidFile(home: string): string {
  return path.join(home, 'proxy.pid');
}

/** Envoy's own admin port, on loopback. */
export const DEFAULT_ADMIN = '127.0.0.1:9901';

/** A file name made absolute. */
export const fileFlag = Flags.custom<string>({ helpValue: 'FILE', parse: async (text) => path.resolve(text) });

export const pidFileFlag = {
  'pid-file': fileFlag({ description: 'File with the process number of the proxy.', env: 'FORGE_PROXY_PID_FILE' }),
};
