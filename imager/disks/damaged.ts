/** What is kept in a folder and cannot be shown as what it is, for lists of all that is there. */
import { StoreError } from './store-error.ts';

export interface DamagedView {
  name: string;
  /** What is wrong with it. */
  damage: string;
}

/** What `view` gives for each name, or what is wrong there: the message of its StoreError. */
export function viewsOf<T>(names: readonly string[], view: (name: string) => T): (T | DamagedView)[] {
  return names.map((name) => {
    try {
      return view(name);
    } catch (error) {
      if (error instanceof StoreError) return { name, damage: error.message };
      throw error;
    }
  });
}
