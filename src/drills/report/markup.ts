/** Text that is put into a page. Pure. */

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
/** XML has no place for them, and a page shows none of them. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const UNWANTED = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\ufffe\uffff]/g;

/** The text as it is to be read, whatever is in it: in the text of an element, or a value in quotes. */
export function escaped(text: string): string {
  return text.replace(UNWANTED, '\ufffd').replace(/[&<>"']/g, (character) => ESCAPES[character] ?? character);
}

const WHOLE = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 0 });

/** A number as people read it: `1,234`, `3.12`, `0.4`. */
export function figure(value: number): string {
  if (value >= 100 || Number.isInteger(value)) return WHOLE.format(Math.round(value));
  return value.toFixed(value >= 10 ? 1 : 2);
}

/** Seconds with one digit of what was milliseconds. */
export const inSeconds = (ms: number): string => (ms / 1_000).toFixed(1);
