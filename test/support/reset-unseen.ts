/** Connections that are over before the server of this process has looked at them. */
import { execFileSync } from 'node:child_process';

/** Connects to `port` of loopback, sends `bytes` and resets the connection. Without the event loop: the server finds it after its end. */
export function resetUnseen(port: number, bytes: Uint8Array = Buffer.alloc(0)): void {
  const script = `import socket, struct, sys
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
s.sendall(bytes.fromhex(sys.argv[2]))
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
s.close()`;
  execFileSync('python3', ['-c', script, String(port), Buffer.from(bytes).toString('hex')]);
}
