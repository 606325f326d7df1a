/** What nodes would be given, in the form the API shows. */
import type { BootChoice } from './choice.ts';

export interface MenuFile {
  /** Name of the menu, or of the operator's file. */
  menu: string;
  /** Under which it is served to this node. */
  paths: string[];
  /** Place of the template. */
  template: string;
  /** Its text, or why the node is not given it. */
  text: string | null;
  error: string | null;
}

export interface NodeMenus {
  node: string;
  image: string | null;
  from: BootChoice['from'];
  why: string;
  files: MenuFile[];
}

export interface MenuCheck {
  nodes: number;
  templates: number;
  /** Each fault once: template and node. */
  faults: { node: string; menu: string; error: string }[];
  /** Whatever is no fault, but may surprise. */
  notes: string[];
}
