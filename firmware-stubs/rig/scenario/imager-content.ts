/** The content of an imager's configuration file as it may be written elsewhere: its paths absolute, its state left to others. */
import { resolve } from 'node:path';

type Content = Readonly<Record<string, unknown>>;

/** `content`, which has been checked, with paths relative to `folder` made absolute, and without `state`. */
export function absolutePaths(content: Content, folder: string): Content {
  const { state: _, ...others } = content;
  const at = (section: unknown, keys: readonly string[]): unknown =>
    isSection(section)
      ? Object.fromEntries(
          Object.entries(section).map(([key, value]) => [
            key,
            keys.includes(key) && typeof value === 'string' ? resolve(folder, value) : value,
          ]),
        )
      : section;
  const userConfig = (section: unknown): unknown =>
    isSection(section) && Array.isArray(section.scripts)
      ? { ...section, scripts: section.scripts.map((script) => at(script, ['file'])) }
      : section;
  const { https, nbd, userConfigs } = others;
  return {
    ...(at(others, ['templates']) as Content),
    ...(https === undefined ? {} : { https: at(https, ['cert', 'key']) }),
    ...(isSection(nbd) ? { nbd: { ...nbd, tls: at(nbd.tls, ['cert', 'key', 'ca', 'psk']) } } : {}),
    ...(isSection(userConfigs)
      ? {
          userConfigs: Object.fromEntries(
            Object.entries(userConfigs).map(([name, each]) => [name, userConfig(each)]),
          ),
        }
      : {}),
  };
}

function isSection(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
