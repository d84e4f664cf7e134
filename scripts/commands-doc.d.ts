import type { CommandTable } from '../src/proxy/engine/broadcast/described.js';

export const BEGIN: string;
export const END: string;
export function renderTable(table: CommandTable): string;
export function replaceTable(page: string, table: string): string;
