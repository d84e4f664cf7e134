import type { Redis } from 'ioredis';

export interface ServerSetting {
  name: string;
  live: boolean;
  kind: string;
}

export function settingKey(name: string): string;
export function readSettings(redis: Redis, executable: string): Promise<ServerSetting[]>;
export function renderSettings(servers: Record<string, string>, tables: Record<string, ServerSetting[]>): string;
