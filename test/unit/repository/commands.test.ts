import { describe, expect, it } from 'vitest';
import { publicCommands, readText, repositoryFiles } from '../../support/repository.js';

const commands = publicCommands();
const docs = repositoryFiles()
  .filter((file) => file.startsWith('docs/') && file.endsWith('.md'))
  .map((file) => ({ file, text: readText(file) }));

describe.each(commands)('forge $id', ({ id, summary, description, examples, flags, args }) => {
  const typed = `forge ${id.replaceAll(':', ' ')}`;

  it('has a summary, a description and examples', () => {
    expect(summary, 'summary').toBeTruthy();
    expect(description, 'description').toBeTruthy();
    expect(examples?.length, 'examples').toBeGreaterThan(0);
  });

  it('describes every flag and argument', () => {
    const silent = [...Object.entries(flags), ...Object.entries(args)].filter(
      ([, entry]) => !(entry.description || ('summary' in entry && entry.summary)),
    );
    expect(silent.map(([name]) => name)).toEqual([]);
  });

  it('is documented on a page in docs, with every flag of its own', () => {
    const pages = docs.filter(({ text }) => new RegExp(`\\b${typed}\\b`).test(text));
    expect(pages, `pages that mention "${typed}"`).not.toEqual([]);
    const common = ['json', 'quiet', 'yes', 'dry-run'];
    const words = pages.map(({ text }) => text).join('\n');
    const missing = Object.keys(flags).filter(
      (flag) => !common.includes(flag) && !new RegExp(`--(\\[no-\\]|no-)?${flag}\\b`).test(words),
    );
    expect(missing).toEqual([]);
  });

  it('knows --json and --quiet', () => {
    expect(Object.keys(flags)).toEqual(expect.arrayContaining(['json', 'quiet']));
  });
});

describe('the pages in docs', () => {
  it('are all listed in docs/README.md', () => {
    const index = readText('docs/README.md');
    const pages = docs.map(({ file }) => file.slice('docs/'.length)).filter((page) => page !== 'README.md');
    expect(pages.filter((page) => !index.includes(`(${page})`))).toEqual([]);
  });

  it('link only to files that exist', () => {
    const files = new Set(repositoryFiles());
    const folders = new Set([...files].map((file) => file.replace(/\/[^/]*$/, '')));
    const pages = [...docs, ...['README.md', 'CONTRIBUTING.md'].map((file) => ({ file, text: readText(file) }))];
    const broken = pages.flatMap(({ file, text }) =>
      [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)]
        .map((match) => new URL(match[1] as string, `file:///${file}`).pathname.slice(1).replace(/\/$/, ''))
        .filter((target) => !files.has(target) && !folders.has(target))
        .map((target) => `${file} → ${target}`),
    );
    expect(broken).toEqual([]);
  });
});
