import type { Redis } from 'ioredis';

export function withServer<T>(server: string, ask: (redis: Redis) => Promise<T>, args?: string[]): Promise<T>;
export function parseInfo(text: string): Record<string, string>;
