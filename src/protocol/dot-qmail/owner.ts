/** Which of the two owner files of an address exist. */
export interface OwnerFiles {
  readonly owner: boolean;
  readonly verp: boolean;
}

/** Whether an owner may stand in for this reverse-path at all: bounces and double bounces keep theirs. */
export const mayHaveOwner = (reversePath: string): boolean => reversePath !== "" && reversePath !== "#@[]";

/**
 * The reverse-path of forwards: the owner of the address if it has one, so that failures reach who can mend them;
 * with `-owner-default` too, one address for each recipient (VERP, expanded when it is delivered).
 */
export function forwardReversePath(address: { local: string; domain: string }, reversePath: string, has: OwnerFiles) {
  if (!has.owner || !mayHaveOwner(reversePath)) return reversePath;
  const owner = `${address.local}-owner`;
  return has.verp ? `${owner}-@${address.domain}-@[]` : `${owner}@${address.domain}`;
}
