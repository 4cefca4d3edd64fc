/** Who we are to a server that asks. Octets, one a character. */
export interface Login {
  readonly user: string;
  readonly password: string;
}

/**
 * What to send, line after line, to log in by PLAIN (RFC 4616) or else by LOGIN; nothing when the server offers neither.
 * Both give the password away: the caller sees to whom.
 */
export function loginSteps({ user, password }: Login, mechanisms: readonly string[]): readonly string[] {
  if (mechanisms.includes("PLAIN")) return [`AUTH PLAIN ${base64(`\0${user}\0${password}`)}`];
  if (mechanisms.includes("LOGIN")) return ["AUTH LOGIN", base64(user), base64(password)];
  return [];
}

const base64 = (octets: string): string => Buffer.from(octets, "latin1").toString("base64");
