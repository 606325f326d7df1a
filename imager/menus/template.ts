/**
 * Templates in Liquid. Each value goes through the escaping of the format it is put into (format.ts), so that none can
 * add a line, a command or an expansion. Templates reach no files but each other, and run no code; time, memory and
 * size of what they give are bounded.
 */
import { Liquid, type LiquidError, type Template as Parsed, type VariableLocation } from 'liquidjs';
import { escaped, type Format, quoted, quotedWords } from './format.ts';
import { type Scope, unknownVariable } from './scope.ts';

/** One file's text, under the place messages name it by. */
export interface TemplateSource {
  place: string;
  text: string;
}

/** What is wrong with a template, and where. */
export class TemplateError extends Error {
  constructor(place: string, line: number, column: number, what: string) {
    super(`${place}:${line}:${column}: ${what}`);
  }
}

export const MAX_TEMPLATE = 256 * 1024;
const MAX_OUTPUT = 1024 * 1024;
/** Generous: a template takes a fraction of a millisecond, but the machine may be busy. */
const RENDER_MS = 1000;
/** In Liquid's own measure: characters and list items made. */
const MAX_MEMORY = 4 * 1024 * 1024;
/** They write markup around values, or join templates in ways nobody needs for menus. */
const TAGS_LEFT_OUT = ['layout', 'block', 'tablerow'];

export class Templates {
  /** All files, by path without `.liquid`; those whose name starts with _ are only for other templates to include. */
  readonly #sources: ReadonlyMap<string, TemplateSource>;
  readonly #engines = new Map<Format, Liquid>();
  /** By format and path. */
  readonly #parsed = new Map<string, Parsed[]>();

  constructor(sources: ReadonlyMap<string, TemplateSource>) {
    this.#sources = sources;
  }

  /** What is wrong with `path` before any node is known: syntax, unknown filters, variables that do not exist. */
  faults(path: string, format: Format): TemplateError[] {
    const engine = this.#engine(format);
    try {
      const parsed = this.#parse(format, path);
      if (isPartial(path)) return [];
      return Object.values(engine.analyzeSync(parsed).globals)
        .flat()
        .flatMap((variable) => {
          const what = unknownVariable(variable.segments);
          return what === undefined ? [] : [this.#located(path, variable.location, what)];
        });
    } catch (error) {
      return [this.#error(path, error)];
    }
  }

  /** The file for one node. Throws TemplateError. */
  render(path: string, format: Format, scope: Scope): string {
    const engine = this.#engine(format);
    try {
      const own: object = Object.create(null);
      const text = String(engine.renderSync(this.#parse(format, path), own, { globals: scope }));
      if (text.length <= MAX_OUTPUT) return text;
      throw new Error(`it gives ${text.length} characters, at most ${MAX_OUTPUT}`);
    } catch (error) {
      throw this.#error(path, error);
    }
  }

  #parse(format: Format, path: string): Parsed[] {
    const key = `${format} ${path}`;
    const known = this.#parsed.get(key);
    if (known !== undefined) return known;
    const source = this.#sources.get(path);
    if (source === undefined) throw new Error('there is no such template');
    const parsed = this.#engine(format).parse(source.text, `${path}.liquid`);
    this.#parsed.set(key, parsed);
    return parsed;
  }

  #engine(format: Format): Liquid {
    const known = this.#engines.get(format);
    if (known !== undefined) return known;
    // Without a prototype: `constructor` is no template.
    const texts: Record<string, string> = Object.create(null);
    for (const [path, { text }] of this.#sources) texts[`${path}.liquid`] = text;
    const engine = new Liquid({
      templates: texts,
      extname: '.liquid',
      cache: true,
      strictVariables: true,
      strictFilters: true,
      // A variable a node may have or not is asked for with if; what cannot exist at all faults() finds.
      lenientIf: true,
      ownPropertyOnly: true,
      parseLimit: MAX_TEMPLATE,
      renderLimit: RENDER_MS,
      memoryLimit: MAX_MEMORY,
      outputEscape: (value: unknown) => escaped(value, format),
    });
    for (const tag of TAGS_LEFT_OUT) delete engine.tags[tag];
    delete engine.filters.raw;
    engine.registerFilter('quote', { raw: true, handler: quoted });
    engine.registerFilter('words', { raw: true, handler: quotedWords });
    this.#engines.set(format, engine);
    return engine;
  }

  #error(path: string, error: unknown): TemplateError {
    if (error instanceof TemplateError) return error;
    const { message, token, originalError } = error as Partial<LiquidError> & { originalError?: Error };
    const what =
      originalError?.message ?? message?.replace(/(?:, file:[^,]*)?, line:\d+, col:\d+$/, '') ?? '';
    const [row, col] = token?.getPosition() ?? [1, 1];
    const file = token?.file ?? this.#fileOf(token?.input);
    return this.#located(path, { row: row ?? 1, col: col ?? 1, ...(file && { file }) }, what);
  }

  #located(path: string, { row, col, file }: VariableLocation, what: string): TemplateError {
    const name = file?.replace(/\.liquid$/, '') ?? path;
    return new TemplateError(this.#sources.get(name)?.place ?? name, row, col, what);
  }

  /** Liquid forgets the file of an undefined variable, but not the text. */
  #fileOf(input: string | undefined): string | undefined {
    return [...this.#sources].find(([, { text }]) => text === input)?.[0];
  }
}

/** True for templates that are only there to be included: `_menu`, `pxelinux.cfg/_label`. */
export function isPartial(path: string): boolean {
  return path.split('/').some((part) => part.startsWith('_'));
}
