/** Option codes by the names of the documents that define them (RFC 2132 unless said otherwise). */
export const OPTION = {
  pad: 0,
  subnetMask: 1,
  router: 3,
  domainNameServer: 6,
  hostName: 12,
  domainName: 15,
  broadcastAddress: 28,
  vendorSpecific: 43,
  requestedAddress: 50,
  leaseTime: 51,
  overload: 52,
  messageType: 53,
  serverIdentifier: 54,
  parameterRequestList: 55,
  message: 56,
  maximumMessageSize: 57,
  renewalTime: 58,
  rebindingTime: 59,
  vendorClass: 60,
  clientIdentifier: 61,
  tftpServerName: 66,
  bootFileName: 67,
  /** RFC 3004; iPXE and gPXE send a bare string. */
  userClass: 77,
  /** RFC 3046. */
  relayAgentInformation: 82,
  /** RFC 4578 section 2.1. */
  clientArchitecture: 93,
  /** RFC 4578 section 2.3. */
  clientMachineIdentifier: 97,
  /** RFC 3011. */
  subnetSelection: 118,
  /** RFC 5859. */
  tftpServerAddress: 150,
  /** Etherboot encapsulated options, as iPXE uses them: kept raw. */
  etherboot: 175,
  end: 255,
} as const;

/** DHCP message types (RFC 2132 section 9.6). */
export const MESSAGE_TYPE = {
  discover: 1,
  offer: 2,
  request: 3,
  decline: 4,
  ack: 5,
  nak: 6,
  release: 7,
  inform: 8,
} as const;

export type MessageType = keyof typeof MESSAGE_TYPE;
