// @ts-check
// What is bundled is passed on: with the words under which its authors allow that.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const LICENCE = /^(licen[cs]e|copying)(\.(md|txt))?$/i;

/**
 * The licences of the packages that a bundle holds.
 * @param {string[]} inputs files in it, relative to `base`
 * @param {string} base
 */
export function licencesOf(inputs, base) {
  const folders = new Set();
  for (const input of inputs) {
    const file = path.resolve(base, input);
    const match = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file.replaceAll('\\', '/'));
    if (match?.[1] !== undefined) folders.add(match[1]);
  }
  return [...folders]
    .map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
      const file = readdirSync(folder).find((each) => LICENCE.test(each));
      const text = file === undefined ? `Licence: ${license}` : readFileSync(path.join(folder, file), 'utf8').trim();
      return { name: `${name} ${version}`, text };
    })
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .map(({ name, text }) => `${name}\n\n${text}\n`)
    .join(`\n${'-'.repeat(80)}\n\n`);
}
