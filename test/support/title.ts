/** A test's title: the numbers of the statements it proves, if it names any, go first. */
export const title = (subject: string, name: string): string => name.replace(/^((?:§17\.\d+ )*)/, `$1${subject} `);
