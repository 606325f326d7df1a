/** Takes every file descriptor there is, then runs a power command; prints what that says. */
import { openSync } from 'node:fs';
import { runPowerCommand } from '../../imager/service/power-command.ts';

try {
  for (;;) openSync('/dev/null', 'r');
} catch {
  const words = await runPowerCommand(['true'], '/').then(
    () => 'ran',
    (error: Error) => error.message,
  );
  console.log(words);
}
