/** The contract of a Host, on QuickJS: prints what it saw as one line of JSON. */
import { start } from '../../../../agent/quickjs/start.ts';
import { runHostContract } from '../../../contract/host.ts';

start(async (host, [folder, echoPort, closedPort]) => {
  const seen = await runHostContract(host, folder!, Number(echoPort), Number(closedPort));
  host.print(JSON.stringify(seen));
  host.exit(0);
});
