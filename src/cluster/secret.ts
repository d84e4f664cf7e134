import { inspect } from 'node:util';

const SHOWN = '<secret>';

/**
 * A secret as a command argument. Its bytes go over the wire, but a log line, an inspected error or JSON shows
 * `<secret>`: client libraries attach a command's arguments to errors and debug output.
 */
export function secretArgument(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  return Object.defineProperties(bytes, {
    [inspect.custom]: { value: () => SHOWN },
    toJSON: { value: () => SHOWN },
    toString: { value: () => SHOWN },
  });
}
