/**
 * "Option haggling" as decisions: an option a client sent, and what was found out about the export it names, give
 * the bytes to send and what comes next. Pure; session.ts asks the catalog and owns the socket.
 */
import {
  decodeInfoRequest,
  decodeMetaContextRequest,
  decodeName,
  encodeExportNameAnswer,
  encodeInfoBlockSize,
  encodeInfoExport,
  encodeInfoName,
  encodeMetaContext,
  encodeOptionReply,
  encodeServer,
  FLAG,
  INFO,
  MAX_PAYLOAD,
  OPT,
  REP,
  REP_ERR,
} from './codec.ts';
import { type Context, contextsOf, listed, selected } from './contexts.ts';

/** "TLS support": NOTLS; SELECTIVETLS, where no export is TLS-only; FORCEDTLS. */
export type TlsMode = 'off' | 'allowed' | 'required';

/** How far a client has come. */
export interface Situation {
  tls: TlsMode;
  /** TLS is on. */
  secure: boolean;
  /** Structured replies are agreed on. */
  structured: boolean;
}

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
  | { kind: 'start-tls' }
  | { kind: 'structured' }
  | { kind: 'list-contexts' | 'set-contexts'; name: string; queries: string[] }
  | { kind: 'abort' }
  | { kind: 'refuse'; error: number; why: string };

export interface ExportFacts {
  size: number;
  readOnly: boolean;
  blockSize: number;
}

export type Refused = { refused: 'unknown' | 'busy' | 'policy' | 'failed' | 'shutdown'; why: string };

/** The bytes to send, and whether to go on haggling, with TLS or as before, to serve requests, or to hang up. */
export interface Answer {
  bytes: Buffer;
  next: 'options' | 'tls' | 'transmission' | 'close';
}

/** Understands an option. Never throws: what cannot be understood is a wish to be refused. */
export function wishOf({ option, data, tooBig }: Option, { tls, secure, structured }: Situation): Wish {
  const invalid = (why: string): Wish => ({ kind: 'refuse', error: REP_ERR.invalid, why });
  if (tls === 'required' && !secure && option !== OPT.startTls && option !== OPT.abort)
    return {
      kind: 'refuse',
      error: REP_ERR.tlsRequired,
      why: 'TLS is required here: NBD_OPT_STARTTLS first',
    };
  if (tooBig) return { kind: 'refuse', error: REP_ERR.tooBig, why: 'option data is too long' };
  switch (option) {
    case OPT.exportName: {
      const name = decodeName(data);
      return name === undefined
        ? invalid('export name is too long or not UTF-8')
        : { kind: 'export-name', name };
    }
    case OPT.abort:
      return { kind: 'abort' };
    case OPT.list:
      return data.length === 0 ? { kind: 'list' } : invalid('NBD_OPT_LIST carries no data');
    case OPT.startTls:
      if (tls === 'off')
        return { kind: 'refuse', error: REP_ERR.policy, why: 'this server is not configured for TLS' };
      if (secure) return invalid('TLS is on already');
      return data.length === 0 ? { kind: 'start-tls' } : invalid('NBD_OPT_STARTTLS carries no data');
    case OPT.info:
    case OPT.go: {
      const request = decodeInfoRequest(data);
      if (request === undefined) return invalid('malformed NBD_OPT_INFO or NBD_OPT_GO');
      return { kind: option === OPT.info ? 'describe' : 'go', ...request };
    }
    case OPT.structuredReply:
      return data.length === 0 ? { kind: 'structured' } : invalid('NBD_OPT_STRUCTURED_REPLY carries no data');
    case OPT.listMetaContext:
    case OPT.setMetaContext: {
      if (!structured) return invalid('metadata contexts need structured replies first');
      const request = decodeMetaContextRequest(data);
      if (request === undefined) return invalid('malformed list of metadata contexts');
      return { kind: option === OPT.setMetaContext ? 'set-contexts' : 'list-contexts', ...request };
    }
    default:
      return { kind: 'refuse', error: REP_ERR.unsupported, why: `option ${option} is not supported` };
  }
}

/**
 * The transmission flags of an export. Several connections may share any: those of a disk that is written to are one
 * client's, and have one overlay, whose flush covers what all of them wrote (attachments.ts).
 */
export function transmissionFlags(facts: ExportFacts, structured: boolean): number {
  const { hasFlags, sendFlush, sendFua, canMultiConn, sendCache } = FLAG;
  const common = hasFlags | sendFlush | sendFua | canMultiConn | sendCache | (structured ? FLAG.sendDf : 0);
  if (facts.readOnly) return common | FLAG.readOnly;
  return common | FLAG.sendTrim | FLAG.sendWriteZeroes | FLAG.sendFastZero;
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
  structured: boolean,
): Answer {
  const option = wish.kind === 'go' ? OPT.go : OPT.info;
  if ('refused' in found) return answerRefusal(option, REFUSALS[found.refused], found.why);
  const information = [
    encodeInfoExport(found.size, transmissionFlags(found, structured)),
    // What the protocol says of servers that name none: clients that did not ask may do as they please.
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
export function answerExportName(
  found: ExportFacts | Refused,
  structured: boolean,
  noZeroes: boolean,
): Answer {
  if ('refused' in found) return { bytes: Buffer.alloc(0), next: 'close' };
  return {
    bytes: encodeExportNameAnswer(found.size, transmissionFlags(found, structured), noZeroes),
    next: 'transmission',
  };
}

/** Contexts of an export, listed or chosen; the chosen ones are those of the next NBD_OPT_GO for that name. */
export function answerContexts(
  wish: Extract<Wish, { kind: 'list-contexts' | 'set-contexts' }>,
  found: ExportFacts | Refused,
): { answer: Answer; chosen: Context[] } {
  const setting = wish.kind === 'set-contexts';
  const option = setting ? OPT.setMetaContext : OPT.listMetaContext;
  if ('refused' in found)
    return { answer: answerRefusal(option, REFUSALS[found.refused], found.why), chosen: [] };
  const contexts = (setting ? selected : listed)(contextsOf(found), wish.queries);
  // In a list the number has no meaning and is 0.
  const replies = contexts.map(({ id, name }) =>
    encodeOptionReply(option, REP.metaContext, encodeMetaContext(setting ? id : 0, name)),
  );
  const bytes = Buffer.concat([...replies, encodeOptionReply(option, REP.ack)]);
  return { answer: { bytes, next: 'options' }, chosen: setting ? contexts : [] };
}

/** An option that is granted without more to say. */
export function answerGranted(option: number): Answer {
  return { bytes: encodeOptionReply(option, REP.ack), next: 'options' };
}

export function answerAbort(): Answer {
  return { bytes: encodeOptionReply(OPT.abort, REP.ack), next: 'close' };
}

/** An error reply. An NBD_OPT_EXPORT_NAME that cannot be understood ends the connection, as above. */
export function answerRefusal(option: number, error: number, why: string): Answer {
  if (option === OPT.exportName) return { bytes: Buffer.alloc(0), next: 'close' };
  return { bytes: encodeOptionReply(option, error, Buffer.from(why)), next: 'options' };
}
