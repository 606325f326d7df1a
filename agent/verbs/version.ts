/** The version of this agent: that of package.json, which the static program does not have. */
export const VERSION = '0.1.0';
