/**
 * Which of a machine's apt sources are Debian's own. Pure. Formats: sources.list(5), one-line and deb822.
 * Sources of others are left out: they lack foreign architectures, or are broken, and nothing here needs them.
 */

interface Source {
  types: string[];
  uris: string[];
  suites: string[];
  components: string[];
  /** Value of Signed-By as written, with its continuation lines; '' where there is none. */
  signedBy: string;
}

/**
 * The text of a deb822 file with Debian's entries among `files` (name and text of each), for the release `codename`,
 * main alone, for every architecture. Throws where there are none.
 */
export function debianSources(files: readonly { name: string; text: string }[], codename: string): string {
  const suites = new Set(['', '-updates', '-security', '/updates'].map((suffix) => codename + suffix));
  const stanzas = files
    .flatMap(({ name, text }) => (name.endsWith('.sources') ? parseDeb822(text) : parseOneLine(text)))
    .filter((source) => source.types.includes('deb') && source.components.includes('main'))
    .filter((source) => source.signedBy === '' || /debian-archive|BEGIN PGP/.test(source.signedBy))
    .map((source) => ({
      ...source,
      suites: source.suites.filter((suite) => suites.has(suite)),
      uris: source.uris.filter((uri) => /debian/i.test(uri) && !uri.startsWith('cdrom:')),
    }))
    .filter((source) => source.suites.length > 0 && source.uris.length > 0)
    .map(toStanza);
  if (stanzas.length === 0)
    throw new Error(
      `none of this machine's apt sources is Debian's own for ${codename} with component main ` +
        `(looked at ${files.map((file) => file.name).join(', ') || 'nothing'})`,
    );
  return stanzas.join('\n');
}

function toStanza(source: Source): string {
  return [
    'Types: deb',
    `URIs: ${source.uris.join(' ')}`,
    `Suites: ${source.suites.join(' ')}`,
    'Components: main',
    ...(source.signedBy === '' ? [] : [`Signed-By:${source.signedBy}`]),
    '',
  ].join('\n');
}

function parseDeb822(text: string): Source[] {
  return text
    .split(/\n[ \t]*\n/)
    .map((stanza) => fieldsOf(stanza))
    .filter((fields) => fields.size > 0 && !/^\s*(no|false|off|0)\s*$/i.test(fields.get('enabled') ?? ''))
    .map((fields) => ({
      types: words(fields.get('types')),
      uris: words(fields.get('uris')),
      suites: words(fields.get('suites')),
      components: words(fields.get('components')),
      signedBy: fields.get('signed-by') ?? '',
    }));
}

/** Fields by lower-case name: a line that starts with a blank goes on with the field before it, '#' starts a comment line. */
export function fieldsOf(stanza: string): Map<string, string> {
  const fields = new Map<string, string>();
  let last = '';
  for (const line of stanza.split('\n')) {
    if (line.startsWith('#')) continue;
    const colon = line.indexOf(':');
    if (/^[ \t]/.test(line)) fields.set(last, `${fields.get(last) ?? ''}\n${line}`);
    else if (colon > 0) {
      last = line.slice(0, colon).toLowerCase();
      fields.set(last, line.slice(colon + 1));
    }
  }
  fields.delete('');
  return fields;
}

/** `deb [option=value ...] URI SUITE COMPONENT...` */
function parseOneLine(text: string): Source[] {
  const sources: Source[] = [];
  for (const line of text.split('\n')) {
    const match = /^\s*(deb)\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s+([^#]+)/.exec(line);
    if (match === null) continue;
    const [, type = '', options = '', uri = '', suite = '', components] = match;
    const signedBy = /(?:^|\s)signed-by=(\S+)/i.exec(options)?.[1];
    sources.push({
      types: [type],
      uris: [uri],
      suites: [suite],
      components: words(components),
      signedBy: signedBy === undefined ? '' : ` ${signedBy}`,
    });
  }
  return sources;
}

function words(text: string | undefined): string[] {
  return (text ?? '').split(/\s+/).filter((word) => word !== '');
}
