import { MemoryRegistry } from '../../imager/registry/memory.ts';
import { registryContract } from '../contract/registry.ts';

registryContract('MemoryRegistry', async () => new MemoryRegistry());
