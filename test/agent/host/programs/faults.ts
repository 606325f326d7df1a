/** Ends the way its first argument says. */
import { Decoder } from 'cbor-x';
import type { Host } from '../../../../agent/linux/host.ts';
import { start } from '../../../../agent/quickjs/start.ts';

start(async (host: Host, [how]) => {
  if (how === 'throw') explode();
  if (how === 'forget') void Promise.resolve().then(explode);
  if (how === 'later') setTimeout(explode, 1);
  if (how === 'caught') await Promise.reject(new Error('caught')).catch(() => host.print('caught'));
  if (how === 'exit') host.exit(3);
  if (how === 'source') new Function('return 1')();
  if (how === 'read-late') {
    atTheEdge();
    host.print('read');
    setTimeout(() => host.exit(0), 1);
  }
});

/** Has a library read where the stack has no room for it, and again with a little more room, until it has. */
function atTheEdge(): Decoder {
  try {
    return atTheEdge();
  } catch {
    return new Decoder();
  }
}

function explode(): never {
  throw new Error('on purpose');
}
