/** The contract of a Host's TLS, on QuickJS: prints what it saw as one line of JSON. */
import { start } from '../../../../agent/quickjs/start.ts';
import { runSecureContract, type SecurePeers, type Signed } from '../../../contract/secure.ts';

start(async (host, [given]) => {
  const { peers, signed } = JSON.parse(given!) as { peers: SecurePeers; signed: Signed };
  host.print(JSON.stringify(await runSecureContract(host, peers, signed)));
  host.exit(0);
});
