/** Uses something of a library that the static program does not have of it. */
import * as z from 'zod/mini';
import { start } from '../../../../agent/quickjs/start.ts';

start(async (host) => host.print(String(z.date().type)));
