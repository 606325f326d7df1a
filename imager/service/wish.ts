/** What the stores say no with, as the control API's errors. */
import { SourceError, StoreError, UnknownNameError } from '../disks/store-error.ts';
import { ApiError } from '../http/errors.ts';
import { ImageError } from '../images/image.ts';

/** The stores' own complaints about a wish are the asker's to read; what the system says to them is the imager's own failure. */
export async function wish<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof UnknownNameError) throw new ApiError(404, error.message, error.known);
    if (error instanceof SourceError) throw new ApiError(400, error.message);
    if (error instanceof StoreError || error instanceof ImageError) throw new ApiError(409, error.message);
    throw error;
  }
}
