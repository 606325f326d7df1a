/** The whole imager as a proxy, without DHCP, and with HTTPS. */
import { execFileSync } from 'node:child_process';
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Authority } from '../nbd/certificates.ts';
import { CONFIG, ServiceLab } from './lab.ts';

let lab: ServiceLab;
beforeEach(async () => {
  lab = await ServiceLab.open();
});
afterEach(() => lab?.close());

const ports = async () =>
  (JSON.parse(await lab.space.check(['curl', '-fsS', 'http://10.77.0.1/health'])) as { ports: object }).ports;
const write = (name: string, text: string) => {
  writeFileSync(join(lab.dir, name), text);
  return join(lab.dir, name);
};
const udp = (port: number) => lab.space.check(['ss', '-Hlun', `sport = :${port}`]);

test('a proxy listens on the boot server port too, and says at the start what will not boot', async () => {
  const files = 'dhcp: { mode: proxy }\nboot: { image: base, files: { efi-arm64: ipxe/snponly.efi } }';
  await lab.serve(write('proxy.yaml', CONFIG.replace('boot: { image: base }', files)));
  expect(await ports()).toMatchObject({ dhcp: 67 });
  expect(await udp(4011)).toContain('10.77.0.1:4011');
  expect(lab.log()).toContain('network.pool is not used: dhcp.mode is proxy');
  expect(lab.log()).toMatch(
    /boot\.files\.efi-arm64 names ipxe\/snponly\.efi: it is a UEFI program for amd64/,
  );
});

test('a boot server port that somebody has is told by its number, and nothing stays behind', async () => {
  const proxy = write('proxy.yaml', CONFIG.replace('boot:', 'dhcp: { mode: proxy }\nboot:'));
  const bind = "require('node:dgram').createSocket('udp4').bind(4011, '10.77.0.1')";
  const holder = lab.space.spawn([process.execPath, '-e', bind]);
  while ((await udp(4011)) === '');
  await expect(lab.serve(proxy)).rejects.toThrow(
    /cannot start dhcp on UDP port 4011 of 10\.77\.0\.1: the port is in use[\s\S]*stop that/,
  );
  holder.kill();
  expect(await udp(67)).toBe('');
});

test('off: no DHCP port, everything else', async () => {
  await lab.serve(write('off.yaml', CONFIG.replace('boot:', 'dhcp: { mode: off }\nboot:')));
  expect(await ports()).toEqual({ tftp: 69, http: 80, nbd: 10809, agent: 4747 });
  expect(await udp(67)).toBe('');
});

test('HTTPS with a certificate of one s own', async () => {
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  const subject = ['-subj', '/CN=imager', '-addext', 'subjectAltName=IP:10.77.0.1'];
  const [key, cert] = [join(lab.dir, 'key.pem'), join(lab.dir, 'cert.pem')];
  execFileSync('openssl', ['req', ...kind, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  const https = 'https: { port: 443, cert: cert.pem, key: key.pem }\nboot:';
  const ready = await lab.serve(write('https.yaml', CONFIG.replace('boot:', https)));
  expect(ready).toContain(' http=10.77.0.1:80 https=10.77.0.1:443 tftp=');
  expect(await ports()).toMatchObject({ http: 80, https: 443 });
  const curl = ['curl', '-fsS', '--cacert', cert];
  expect(await lab.space.check([...curl, 'https://10.77.0.1/health'])).toContain('"ok"');
  const size = ['-o', '/dev/null', '-w', '%{size_download}'];
  const loaded = await lab.space.check([...curl, ...size, 'https://10.77.0.1/ipxe/snponly.efi']);
  expect(Number(loaded)).toBeGreaterThan(100_000);
});

test('NBD over TLS alone, with certificates; where it is not, the log says so', async () => {
  await lab.serve();
  expect(lab.log()).toContain('NBD is not over TLS alone (nbd.tls)');
  await lab.stop('TERM');
  const ours = new Authority(join(lab.dir, 'ca'));
  cpSync(ours.issue('server', '/CN=imager'), join(lab.dir, 'server'), { recursive: true });
  const files = '{ cert: server/server-cert.pem, key: server/server-key.pem, ca: server/ca-cert.pem }';
  await lab.serve(write('tls.yaml', CONFIG.replace('boot:', `nbd: { tls: ${files} }\nboot:`)));
  expect(lab.log()).not.toContain('nbd.tls');
  await lab.imager('base', 'add', 'b', join(lab.dir, 'root.img'));
  await lab.imager('disk', 'create', 'd1', '--base', 'b');
  const own = `nbds://10.77.0.1/d1?tls-certificates=${ours.issue('client', '/CN=node1')}`;
  expect((await lab.space.check(['nbdinfo', '--size', own])).trim()).toBe(String(4 * 2 ** 20));
  expect((await lab.space.run(['nbdinfo', '--size', 'nbd://10.77.0.1/d1'])).code).not.toBe(0);
});
