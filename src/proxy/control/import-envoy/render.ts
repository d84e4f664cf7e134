/** Our configuration as YAML, with what was not carried over as comments. */
import { Document, isMap, isSeq, visit } from 'yaml';
import type { ImportNote } from './fields.js';
import type { NeededVariable } from './values.js';

/** @param notes of one line each, without control characters */
export function render(config: object, notes: readonly ImportNote[], environment: readonly NeededVariable[]): string {
  const document = new Document(config, { aliasDuplicateObjects: false });
  visit(document, {
    Seq(_key, node) {
      // Short lists of plain words on one line, as people write them.
      if (node.items.length <= 4 && node.items.every((each) => !isMap(each) && !isSeq(each))) node.flow = true;
    },
  });
  const lines = ['Imported from an Envoy configuration by forge proxy import-envoy.'];
  if (environment.length > 0) {
    lines.push('', 'Set before the proxy starts:');
    for (const { name, purpose } of environment) lines.push(`  ${name}: ${purpose}`);
  }
  if (notes.length > 0) {
    lines.push('', 'Not as it was in Envoy:');
    for (const { path, message } of notes) lines.push(path === '' ? `- ${message}` : `- ${path}: ${message}`);
  }
  // A comment line of the document begins with what follows the #.
  const comment = lines.map((line) => (line === '' ? '#' : `# ${line}`)).join('\n');
  return `${comment}\n\n${document.toString({ lineWidth: 0, flowCollectionPadding: false })}`;
}
