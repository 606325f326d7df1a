/**
 * HTTP between a simulated node and the imager: boot images, whole, for nodes that verify one before they flash it. A stand-in: a
 * line of text is the content of each file, and of a request only the path is read.
 */
import { createHash } from 'node:crypto';
import { generatedFile } from '../../../imager/images/generated.ts';
import type { ImageFile, LinuxImage } from '../../../imager/images/image.ts';
import type { StreamEnd } from './network.ts';

/** The boot table's entry for the image of that name. */
export function bootImage(name: string): LinuxImage {
  const files = { kernel: fileOf(contentOf(name, 'kernel')), initrd: fileOf(contentOf(name, 'initrd')) };
  return { ...{ name, kind: 'linux', arch: 'arm64', args: '', files }, added: new Date(0).toISOString() };
}

/** What is served under `path`; undefined where there is no such file, of whatever image. */
export function servedUnder(path: string): Uint8Array | undefined {
  const [, name, file] = /^\/images\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
  if (name === undefined || file === undefined) return undefined;
  const image = bootImage(name);
  return file in image.files ? contentOf(name, file) : generatedFile(image, file);
}

/** Answers one request with what `find` gives, and closes the connection. */
export async function answerHttp(
  end: StreamEnd,
  find: (path: string) => Uint8Array | undefined,
): Promise<void> {
  const [, path = ''] = new TextDecoder().decode(await end.read()).split(' ');
  const body = find(path);
  const status = body === undefined ? '404 Not Found' : '200 OK';
  const head = `HTTP/1.1 ${status}\r\ncontent-length: ${body?.length ?? 0}\r\n\r\n`;
  end.write(new TextEncoder().encode(head));
  if (body !== undefined) end.write(body);
  end.close();
}

function contentOf(image: string, file: string): Uint8Array {
  return new TextEncoder().encode(`${file} of ${image}\n`);
}

function fileOf(content: Uint8Array): ImageFile {
  return { bytes: content.length, sha256: createHash('sha256').update(content).digest('hex') };
}
