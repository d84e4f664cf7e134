/** The settings of the proxy, as the schema has them. */
import { proxyConfig } from '../../src/proxy/config/schema.js';

interface SchemaNode {
  _zod: {
    def: {
      type: string;
      innerType?: SchemaNode;
      shape?: Record<string, SchemaNode>;
      element?: SchemaNode;
      defaultValue?: unknown;
    };
  };
}

export interface Setting {
  /** `clusters[].settings.op_timeout` */
  readonly path: string;
  /** What holds when it is not given, as the schema has it: durations in milliseconds. Undefined: nothing. */
  readonly fallback: unknown;
}

/** Every setting that can be given; a secret is one setting. */
export function allSettings(): Setting[] {
  return settings(proxyConfig as unknown as SchemaNode, '', undefined);
}

function settings(schema: SchemaNode, at: string, fallback: unknown): Setting[] {
  const { type, innerType, shape, element, defaultValue } = schema._zod.def;
  // What is as in another place is said there.
  if (/(additional_addresses\[\]|sentinel)\.tls_context$/.test(at)) return [{ path: at, fallback }];
  if (innerType !== undefined) return settings(innerType, at, type === 'default' ? defaultValue : fallback);
  if (element !== undefined) return settings(element, `${at}[]`, undefined);
  if (shape === undefined || 'inline' in shape) return [{ path: at, fallback }];
  return Object.entries(shape).flatMap(([key, inner]) => settings(inner, at === '' ? key : `${at}.${key}`, undefined));
}
