import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { embeddedLayout, type Layout, systemLayout } from "./layout.ts";

/**
 * The server a command is about: the one below `root` (from --root), else below POSTERN_ROOT, else the system's if
 * there is /etc/postern, else the one in ./var.
 */
export function findLayout(
  root: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): Layout {
  const chosen = root ?? environment.POSTERN_ROOT;
  if (chosen !== undefined) return isSystem(chosen) ? systemLayout(chosen) : embeddedLayout(chosen);
  return isSystem("/") ? systemLayout("/") : embeddedLayout("var");
}

const isSystem = (root: string): boolean => existsSync(dirname(systemLayout(root).control));

/** Whether the layout is that of a whole system, where each program is a user of its own. */
export const isSystemLayout = (layout: Layout): boolean => layout.control.endsWith(systemLayout("").control);

/** A path as people should read it: what lies in this folder begins with `./`. */
export const displayPath = (path: string): string =>
  path.startsWith("/") || path.startsWith(".") ? path : `./${path}`;
