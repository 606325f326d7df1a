/** What agents send, and what files hold. */
import { fuzz } from './million.ts';

fuzz(['frame', 'nbi', 'capture', 'overlay']);
