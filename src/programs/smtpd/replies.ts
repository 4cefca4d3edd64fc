import { permanent } from "../../protocol/outcome.ts";

/** Why a message with other line ends is refused. */
export const wrongLineEnd = permanent("6.11", "lines end in CR LF and in nothing else");
export const strayLine = `550 5.6.11 ${wrongLineEnd.text}`;
