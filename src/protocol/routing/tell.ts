/** One rule that was tried for an address. */
export interface Tried {
  /** The control file it stands in, or what else it goes by. */
  readonly source: string;
  /** The entry that matched, as the file has it but for capitals; absent when none did. */
  readonly entry?: string;
  /** What follows, in words. */
  readonly says: string;
}

/** Is told of each rule in the order they are tried. Decisions do not depend on it. */
export type Tell = (tried: Tried) => void;

export const untold: Tell = () => {};
