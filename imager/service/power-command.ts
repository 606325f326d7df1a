/** Runs the configured power commands of nodes. */
import { execFile } from 'node:child_process';

const TIMEOUT_MS = 60_000;

/** Runs `argv` in `directory`, without a shell. Rejects with what it printed where it fails or takes longer than a minute. */
export function runPowerCommand(argv: readonly string[], directory: string): Promise<void> {
  const [program = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      args,
      { timeout: TIMEOUT_MS, cwd: directory },
      (error, stdout, stderr) => {
        if (error === null) return resolve();
        const output = `${stderr}${stdout}`.trim().slice(-1000);
        const how = error.killed
          ? `took longer than ${TIMEOUT_MS / 1000} s`
          : typeof error.code === 'number'
            ? `exit ${error.code}`
            : error.message;
        return reject(
          new Error(`power command ${argv.join(' ')}: ${how}${output === '' ? '' : `: ${output}`}`),
        );
      },
    );
    child.stdin?.end();
  });
}
