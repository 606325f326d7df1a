/** The version of agent and imager: that of package.json, which neither the static program nor a bundle has. */
export const VERSION = '0.1.0';
