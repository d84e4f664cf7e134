/** Cuts a stream of RESP commands (arrays of bulk strings) into lists of words. */
export class RequestCutter {
  private rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): string[][] {
    this.rest = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    const commands: string[][] = [];
    for (;;) {
      const cut = this.cut();
      if (cut === null) return commands;
      commands.push(cut);
    }
  }

  private cut(): string[] | null {
    const head = this.line(0);
    if (head === null) return null;
    if (head.text[0] !== '*') throw new Error(`not a command: ${head.text}`);
    const words: string[] = [];
    let at = head.next;
    for (let count = Number(head.text.slice(1)); count > 0; count--) {
      const length = this.line(at);
      if (length === null) return null;
      const end = length.next + Number(length.text.slice(1));
      if (end + 2 > this.rest.length) return null;
      words.push(this.rest.toString('utf8', length.next, end));
      at = end + 2;
    }
    this.rest = this.rest.subarray(at);
    return words;
  }

  private line(at: number): { text: string; next: number } | null {
    const end = this.rest.indexOf('\r\n', at);
    return end < 0 ? null : { text: this.rest.toString('latin1', at, end), next: end + 2 };
  }
}
