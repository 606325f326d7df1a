/** A local store's folder on QuickJS: does what it is told, and prints as JSON what it reads then. STATE [ACT CLUSTER VERSION [DISK]] */
import { openLocalFolder } from '../../agent/linux/local-folder.ts';
import { lockState } from '../../agent/linux/state-lock.ts';
import { start } from '../../agent/quickjs/start.ts';
import { definitionOf, uuid } from './definitions.ts';

start(async (host, [state = '', act, cluster = '0', version = '0', disk]) => {
  lockState(host, state);
  const store = openLocalFolder(host, state, disk);
  if (act === 'define') store.define(definitionOf(Number(cluster), Number(version)));
  if (act === 'erase') store.erase(uuid(Number(cluster)));
  if (act === 'point') store.point({ current: uuid(Number(cluster)), target: null });
  const { definitions, ...pointers } = store.read();
  host.print(JSON.stringify({ ...pointers, definitions: definitions.map(({ id }) => id) }));
  host.exit(0);
});
