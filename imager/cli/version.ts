/** The version of this imager: that of package.json, which a bundle of the program does not have. */
export const VERSION = '0.1.0';
