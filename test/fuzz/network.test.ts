/** What comes from the network before anything is known of who sent it. */
import { fuzz } from './million.ts';

fuzz(['dhcp', 'tftp', 'http-range', 'path', 'nbd']);
// Conversations of about ten messages: as many of those.
fuzz(['nbd-talk'], 10);
