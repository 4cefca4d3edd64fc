/** What one program may do: a row of the table of walls. Plain data: `local` is given the row of `deliver` as JSON. */
export interface Wall {
  /** Who it becomes; absent in embedded mode, where all are one user. No supplementary groups either way. */
  readonly user?: { readonly uid: number; readonly gid: number };
  /** Folders and files it may read, beside Node, system libraries and its own code. */
  readonly read: readonly string[];
  /** Folders it may read and change. */
  readonly write: readonly string[];
  /** "accept": on listeners it was given. "connect": TCP out and UDP, for remote and its DNS. */
  readonly network: "none" | "accept" | "connect";
  /** May call libc through node:ffi. */
  readonly ffi: boolean;
  /**
   * "confined": Landlock, seccomp, no_new_privs. "open": none of these, because what it starts would inherit them and
   * must not (`local`, which starts users' own programs).
   */
  readonly kernel: "confined" | "open";
  readonly limits: {
    readonly descriptors: number;
    /** Of V8's old space. */
    readonly heapMiB: number;
    /** Largest file it may write; absent for no bound. */
    readonly fileOctets?: number;
  };
}

/** All it takes to start a program inside its walls. */
export interface LaunchPlan {
  /** Node's executable. */
  readonly node: string;
  /** The folder with protocol/, services/ and programs/. */
  readonly code: string;
  readonly program: string;
  readonly wall: Wall;
}
