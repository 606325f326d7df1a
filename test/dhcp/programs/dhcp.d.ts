/** What the tests use of npm `dhcp`, which brings no types. */
declare module 'dhcp' {
  interface Client {
    on(event: 'message' | 'bound', listener: (value: unknown) => void): void;
    listen(port: number | undefined, host: string | undefined, listening: () => void): void;
    sendDiscover(): void;
    close(): void;
  }
  const dhcp: { createClient(config: { mac: string }): Client };
  export default dhcp;
}
