import type { OutputStream } from '../../../src/ui/output.js';

/** A stream that keeps what is written to it. */
export function capture(isTTY = false): OutputStream & { text: string } {
  return {
    isTTY,
    text: '',
    write(text: string) {
      this.text += text;
      return true;
    },
  };
}
