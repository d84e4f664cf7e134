/** YAML that the same input always gives the same text of, with a line that says who wrote it. Pure. */
import { stringify } from 'yaml';

/** How a file of ours is known: by its first line. */
export const WRITTEN_BY = '# Written by forge monitoring generate. What is changed here is lost when it is run again.';

/** The document as text, long lines left whole. */
export function yamlText(document: unknown): string {
  return `${WRITTEN_BY}\n${stringify(document, { lineWidth: 0, aliasDuplicateObjects: false })}`;
}
