const firstPreference = 12_800;
const lastPreference = 13_055;
const profiles = 16;
const qmtpProfile = 1;

/** Whether an MX preference says that the host speaks QMTP (MXPS: 12801, 12817, ... 13041). */
export const prefersQmtp = (preference: number): boolean =>
  preference >= firstPreference &&
  preference <= lastPreference &&
  (preference - firstPreference) % profiles === qmtpProfile;
