/** The client of npm `dhcp`, for the MAC in the first argument; prints its state as JSON once bound. */
import dhcp from 'dhcp';

const client = dhcp.createClient({ mac: process.argv[2]! });
let rounds = 1;
client.on('message', () => {
  // It answers the OFFER when this returns; the REQUEST of the first round is in vain.
  if (rounds++ === 1) setImmediate(() => client.sendDiscover());
});
client.on('bound', (state) => {
  console.log(JSON.stringify(state));
  client.close();
});
client.listen(undefined, undefined, () => client.sendDiscover());
