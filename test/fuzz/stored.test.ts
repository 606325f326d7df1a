/** What agents send, and what files hold. */
import { fuzz } from './million.ts';

fuzz(['frame', 'serial', 'nbi', 'capture', 'overlay', 'registry-log']);
