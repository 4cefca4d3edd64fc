/** What a domain asks of those who send it mail (RFC 8461 §3.2). */
export interface StsPolicy {
  readonly mode: "enforce" | "testing" | "none";
  readonly maxAgeSeconds: number;
  /** Names, or `*.example.org`; in lower case. */
  readonly mx: readonly string[];
}

/** RFC 8461 §3.2 bounds max_age; §3.3 suggests the size. */
export const maxPolicyOctets = 65_536;
const maxAgeSeconds = 31_557_600;
const maxPatterns = 500;

/** The id of the only STSv1 record among TXT records (RFC 8461 §3.1); `undefined`: the domain has no policy. */
export function readStsId(texts: readonly string[]): string | undefined {
  const records = texts.filter((text) => /^v=STSv1[ \t]*;/.test(text));
  const fields = records.length === 1 ? (records[0] ?? "").split(";").map((field) => field.trim()) : [];
  return fields.map((field) => /^id[ \t]*=[ \t]*([A-Za-z0-9]{1,32})$/.exec(field)?.[1]).find((id) => id !== undefined);
}

/** Reads a policy; `undefined` when it is none that we can go by. Of a field given twice the first counts. */
export function parseStsPolicy(text: string): StsPolicy | undefined {
  const fields = new Map<string, string>();
  const mx: string[] = [];
  if (text.length > maxPolicyOctets) return undefined;
  for (const line of text.split(/\r?\n/)) {
    if (line.trim() === "") continue;
    const colon = line.indexOf(":");
    const [name, value] = [line.slice(0, Math.max(0, colon)).trim(), line.slice(colon + 1).trim()];
    if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$/.test(name)) return undefined;
    if (name === "mx") mx.push(value.toLowerCase());
    else if (!fields.has(name)) fields.set(name, value);
  }
  const mode = (["enforce", "testing", "none"] as const).find((known) => known === fields.get("mode"));
  const age = /^[0-9]{1,10}$/.exec(fields.get("max_age") ?? "")?.[0];
  if (fields.get("version") !== "STSv1" || mode === undefined || age === undefined) return undefined;
  if (mx.length > maxPatterns || !mx.every(isPattern) || (mx.length === 0 && mode !== "none")) return undefined;
  return { mode, maxAgeSeconds: Math.min(Number(age), maxAgeSeconds), mx };
}

const isPattern = (pattern: string): boolean =>
  pattern
    .slice(pattern.startsWith("*.") ? 2 : 0)
    .split(".")
    .every((label) => /^[a-z0-9_-]+$/.test(label));

/** Whether the policy lists this host: `*.` stands for just one label (RFC 8461 §4.1). */
export function listsHost({ mx }: StsPolicy, host: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, "");
  const parent = name.slice(name.indexOf(".") + 1);
  return mx.some((pattern) =>
    pattern.startsWith("*.") ? name.includes(".") && pattern.slice(2) === parent : pattern === name,
  );
}
