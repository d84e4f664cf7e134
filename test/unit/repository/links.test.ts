import { posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readText, repositoryFiles } from '../../support/repository.js';

const files = new Set(repositoryFiles());
const pages = [...files].filter((file) => file.endsWith('.md'));

/** The page without what stands in blocks of code. */
const prose = (page: string) => readText(page).replaceAll(/^ *```[\s\S]*?^ *```$/gm, '');

/** The anchors of a page's headings, as GitHub makes them. */
function anchors(page: string): Set<string> {
  const headings = prose(page).matchAll(/^#+ (.+)$/gm);
  return new Set(
    [...headings].map(([, heading = '']) =>
      heading
        .trim()
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

interface Link {
  readonly page: string;
  readonly target: string;
}

const links: Link[] = pages.flatMap((page) =>
  [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => ({ page, target }))
    .filter(({ target }) => !/^[a-z]+:/.test(target)),
);

const fileOf = ({ page, target }: Link) => {
  const [file = ''] = target.split('#');
  return file === '' ? page : posix.join(posix.dirname(page), file);
};

describe('links of the pages', () => {
  it('lead to files that there are', () => {
    expect(links.length).toBeGreaterThan(100);
    expect(links.filter((link) => !files.has(fileOf(link)))).toEqual([]);
  });

  it('lead to headings that there are', () => {
    const wrong = links.filter((link) => {
      const anchor = link.target.split('#')[1];
      return anchor !== undefined && fileOf(link).endsWith('.md') && !anchors(fileOf(link)).has(anchor);
    });
    expect(wrong).toEqual([]);
  });

  it('of the list of pages lead to every page', () => {
    const listed = new Set(links.filter(({ page }) => page === 'docs/README.md').map(fileOf));
    expect(pages.filter((page) => page.startsWith('docs/') && page !== 'docs/README.md' && !listed.has(page))).toEqual(
      [],
    );
  });
});
