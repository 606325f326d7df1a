/**
 * "Option haggling" as decisions: an option a client sent, and what was found out about the export it names, give
 * the bytes to send and what comes next. Pure; session.ts asks the catalog and owns the socket.
 */
import {
  decodeInfoRequest,
  decodeName,
  encodeExportNameAnswer,
  encodeInfoBlockSize,
  encodeInfoExport,
  encodeInfoName,
  encodeOptionReply,
  encodeServer,
  FLAG,
  INFO,
  MAX_PAYLOAD,
  OPT,
  REP,
  REP_ERR,
} from './codec.ts';

export interface Option {
  option: number;
  data: Buffer;
  /** Data was longer than any option of ours and is not here. */
  tooBig: boolean;
}

/** What an option asks for. */
export type Wish =
  | { kind: 'list' }
  | { kind: 'describe'; name: string; wanted: number[] }
  | { kind: 'go'; name: string; wanted: number[] }
  | { kind: 'export-name'; name: string }
  | { kind: 'abort' }
  | { kind: 'refuse'; error: number; why: string };

export interface ExportFacts {
  size: number;
  readOnly: boolean;
  blockSize: number;
}

export type Refused = { refused: 'unknown' | 'busy' | 'policy' | 'failed' | 'shutdown'; why: string };

/** The bytes to send, and whether to go on haggling, to serve requests, or to hang up. */
export interface Answer {
  bytes: Buffer;
  next: 'options' | 'transmission' | 'close';
}

/** Understands an option. Never throws: what cannot be understood is a wish to be refused. */
export function wishOf({ option, data, tooBig }: Option): Wish {
  if (tooBig) return { kind: 'refuse', error: REP_ERR.tooBig, why: 'option data is too long' };
  switch (option) {
    case OPT.exportName: {
      const name = decodeName(data);
      if (name === undefined)
        return { kind: 'refuse', error: REP_ERR.invalid, why: 'export name is too long or not UTF-8' };
      return { kind: 'export-name', name };
    }
    case OPT.abort:
      return { kind: 'abort' };
    case OPT.list:
      if (data.length === 0) return { kind: 'list' };
      return { kind: 'refuse', error: REP_ERR.invalid, why: 'NBD_OPT_LIST carries no data' };
    case OPT.info:
    case OPT.go: {
      const request = decodeInfoRequest(data);
      if (request === undefined)
        return { kind: 'refuse', error: REP_ERR.invalid, why: 'malformed NBD_OPT_INFO or NBD_OPT_GO' };
      return { kind: option === OPT.info ? 'describe' : 'go', ...request };
    }
    default:
      return { kind: 'refuse', error: REP_ERR.unsupported, why: `option ${option} is not supported` };
  }
}

/** The transmission flags of an export. Only what nobody writes may be read over several connections. */
export function transmissionFlags(facts: ExportFacts): number {
  const common = FLAG.hasFlags | FLAG.sendFlush | FLAG.sendFua;
  if (facts.readOnly) return common | FLAG.readOnly | FLAG.canMultiConn;
  return common | FLAG.sendTrim | FLAG.sendWriteZeroes;
}

/** NBD_OPT_LIST: one NBD_REP_SERVER an export, then the acknowledgement. */
export function answerList(names: readonly string[]): Answer {
  const servers = names.map((name) => encodeOptionReply(OPT.list, REP.server, encodeServer(name)));
  return { bytes: Buffer.concat([...servers, encodeOptionReply(OPT.list, REP.ack)]), next: 'options' };
}

/** NBD_OPT_INFO and NBD_OPT_GO: information, then the acknowledgement, or one error with its reason. */
export function answerInfo(
  wish: Extract<Wish, { kind: 'describe' | 'go' }>,
  found: ExportFacts | Refused,
): Answer {
  const option = wish.kind === 'go' ? OPT.go : OPT.info;
  if ('refused' in found) return answerRefusal(option, REFUSALS[found.refused], found.why);
  const information = [
    encodeInfoExport(found.size, transmissionFlags(found)),
    encodeInfoBlockSize(1, found.blockSize, MAX_PAYLOAD),
    ...(wish.wanted.includes(INFO.name) ? [encodeInfoName(wish.name)] : []),
  ];
  const replies = information.map((data) => encodeOptionReply(option, REP.info, data));
  return {
    bytes: Buffer.concat([...replies, encodeOptionReply(option, REP.ack)]),
    next: wish.kind === 'go' ? 'transmission' : 'options',
  };
}

const REFUSALS: Record<Refused['refused'], number> = {
  unknown: REP_ERR.unknown,
  busy: REP_ERR.policy,
  policy: REP_ERR.policy,
  failed: REP_ERR.platform,
  shutdown: REP_ERR.shutdown,
};

/** NBD_OPT_EXPORT_NAME has no way to tell an error: a refusal is the end of the connection. */
export function answerExportName(found: ExportFacts | Refused, noZeroes: boolean): Answer {
  if ('refused' in found) return { bytes: Buffer.alloc(0), next: 'close' };
  return {
    bytes: encodeExportNameAnswer(found.size, transmissionFlags(found), noZeroes),
    next: 'transmission',
  };
}

export function answerAbort(): Answer {
  return { bytes: encodeOptionReply(OPT.abort, REP.ack), next: 'close' };
}

/** An error reply. An NBD_OPT_EXPORT_NAME that cannot be understood ends the connection, as above. */
export function answerRefusal(option: number, error: number, why: string): Answer {
  if (option === OPT.exportName) return { bytes: Buffer.alloc(0), next: 'close' };
  return { bytes: encodeOptionReply(option, error, Buffer.from(why)), next: 'options' };
}
