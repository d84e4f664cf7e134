import { ForgeError } from '../../../errors.js';

/** The nodes have the commands, and cannot use them as they are set up: another way of moving may do. */
export class CannotMoveAtomically extends ForgeError {
  constructor({ kind, message, host, next, details, cause }: ForgeError) {
    super(kind, message, { host, next, details, cause });
  }
}
