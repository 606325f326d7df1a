/** A transfer that began and does not come to its end. */
import { UNHEARD } from '../../tftp/transfer.ts';
import { lastTransfer, type Rule, serverWords, where } from '../finding.ts';
import type { Transfer } from '../observation.ts';
import type { Story } from '../story.ts';

/** Firmware sends again after a few seconds; so long a pause is a standstill. */
const STILL_MS = 10_000;

/** The first packet is an OACK, or a block of 512 bytes (RFC 2347, RFC 1350): no path is too narrow for it. */
const UNHEARD_ADVICE = [
  'the first answer got none back, and is too small to be dropped for its size: look for a firewall that drops UDP between the node and the port that answers, which is another one than 69',
  'was the node switched off? Its console tells, and a capture on its link (tcpdump -w boot.pcap, then imager pxe explain boot.pcap)',
];

export const stalled: Rule = (story) => {
  const last = lastTransfer(story);
  if (last === undefined || (last.end !== 'broken' && last.end !== 'open')) return undefined;
  // A journal has the end of every transfer, a capture may stop in the middle of a good one.
  const stands = story.over || (story.source === 'capture' && story.endAt - last.lastAt >= STILL_MS);
  if (last.end === 'open' && !stands) return undefined;
  const place =
    // The journal counts the bytes at the end of a transfer.
    story.source === 'journal' && last.bytes === 0
      ? 'began and did not come to its end'
      : `stopped at byte ${last.bytes} of ${last.size ?? 'an unknown size'}`;
  return {
    cause: `transfer stalled: ${last.file} from ${serverWords(last)} ${place}${last.reason ? ` (${last.reason})` : ''}`,
    evidence: [
      `began ${where(story, last)}, last heard of at +${((last.lastAt - story.startedAt) / 1000).toFixed(2)} s`,
    ],
    advice: isUnheard(story, last)
      ? UNHEARD_ADVICE
      : [
          'blocks that are too large for the path stop at the first one: compare blksize with the MTU, and look for firewalls that drop fragments',
          'stopped later: look for packet loss (duplex, cables, overloaded switch) and whether the node was switched off',
        ],
  };
};

/** The imager sent and heard nothing back. */
function isUnheard({ source }: Story, { protocol, reason = '' }: Transfer): boolean {
  return source === 'journal' && protocol === 'tftp' && reason.endsWith(UNHEARD);
}
