/** What the hostile code is told: where things are that it should not reach. */
export interface Targets {
  readonly folders: Readonly<Record<string, string>>;
  readonly code: string;
  readonly outside: string;
  readonly tcpPort: number;
  readonly udpPort: number;
  readonly unixPath: string;
  readonly abstractName: string;
  readonly otherPid: number;
}

/** Throws, or rejects, when it is refused. */
export type Attempt = () => unknown;
/** Attempt by what it is called in the matrix. */
export type Attempts = Map<string, Attempt>;
