import { describe, expect, it } from 'vitest';
import { renderTable, replaceTable } from '../../../scripts/commands-doc.js';
import { commandTable } from '../../../src/proxy/engine/broadcast/described.js';
import { readText } from '../../support/repository.js';

describe('docs/commands.md', () => {
  const page = readText('docs/commands.md');
  const table = commandTable();
  const text = renderTable(table);

  it('is current: `node scripts/generate-commands-doc.js` would change nothing', () => {
    expect(replaceTable(page, text)).toBe(page);
  });

  it('has a line for every command of the table, and says how each is served', () => {
    const lines = text.split('\n').slice(2);
    const names = lines.map((line) => /^\| `([^`]+)` \|/.exec(line)?.[1]);
    for (const { name, spec } of table.entries) {
      if (!spec.container) expect(names, name).toContain(name.toUpperCase().replace('|', ' '));
    }
    for (const line of lines) {
      const [, , , served] = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
      expect(served, line).toMatch(/^(routed|split per shard|any master|all |local|dedicated|refused|one |shared )/);
      expect(line).not.toContain('undefined');
    }
  });

  it('gives a reason for every command that is refused', () => {
    for (const line of text.split('\n').filter((each) => each.includes('| refused'))) {
      const [, , , , , reason] = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
      expect(reason, line).not.toBe('');
    }
  });
});
