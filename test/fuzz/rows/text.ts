import assert from "node:assert/strict";
import { isIP } from "node:net";
import { parseInjectOptions } from "../../../src/programs/inject/command-line.ts";
import { commands, parseRequest } from "../../../src/programs/queue/request.ts";
import { parseSendmailOptions } from "../../../src/programs/sendmail/command-line.ts";
import { parseControl, readSettings } from "../../../src/protocol/control/parse.ts";
import { type Control, controls } from "../../../src/protocol/control/table.ts";
import { parseDotQmail } from "../../../src/protocol/dot-qmail/lines.ts";
import { createHeaderSearch } from "../../../src/protocol/dot-qmail/loop.ts";
import { localReport, maxLocalReportOctets } from "../../../src/protocol/dot-qmail/report.ts";
import { dotQmailNames, ownerNames } from "../../../src/protocol/dot-qmail/search.ts";
import { clientOf, createNetworks, parseIp } from "../../../src/protocol/network/network.ts";
import { accountSplits, isFolderName, nameSplits } from "../../../src/protocol/users/account-names.ts";
import { catchAllAssignment, findAssignment, parseAssign } from "../../../src/protocol/users/assign.ts";
import { mailboxDomains } from "../../../src/protocol/users/mailbox-domains.ts";
import { parsePasswd } from "../../../src/protocol/users/passwd.ts";
import type { Row } from "../explore.ts";
import { mutated, readSeeds } from "../mutate.ts";
import type { Source } from "../source.ts";

const networks = readSeeds("networks");
const dotQmails = readSeeds("dot-qmail");
const assigns = readSeeds("assign");
const passwds = readSeeds("passwd");
const controlTexts = readSeeds("control");
const requests = readSeeds("operator-requests");
const localParts = readSeeds("local-parts");
const args = readSeeds("arguments");

const bitsOf = (octets: Uint8Array): string =>
  Array.from(octets, (octet) => octet.toString(2).padStart(8, "0")).join("");

const network: Row = {
  name: "address of a host",
  cases: 4_000,
  check(source) {
    const text = mutated(source, networks).replace(/%.*/s, ""); // Node takes zones, we do not
    const ip = parseIp(text);
    assert.equal(ip !== undefined, isIP(text) !== 0);
    clientOf(text);
    const octets = source.octets(16);
    const groups = Array.from({ length: 8 }, (_, at) =>
      (((octets[2 * at] ?? 0) << 8) | (octets[2 * at + 1] ?? 0)).toString(16),
    );
    assert.deepEqual(Buffer.from(parseIp(groups.join(":"))?.octets ?? []), Buffer.concat([octets], 16));
  },
};

const cidr: Row = {
  name: "network",
  cases: 3_000,
  check(source) {
    const lines = source.list(3, () => mutated(source, networks, ["0", "1", "32", "/", "/0", "/128", ":", "::", "."]));
    const made = createNetworks(lines);
    if (made.kind !== "done") return;
    const address = source.pick(networks);
    const ip = parseIp(address);
    const expected = lines.some((line) => {
      const [base = "", bits] = line.split("/");
      const within = parseIp(base);
      if (!ip || !within) return false;
      const length = bits === undefined ? 128 : Number(bits) + (base.includes(":") ? 0 : 96);
      return bitsOf(ip.octets).slice(0, length) === bitsOf(within.octets).slice(0, length);
    });
    assert.equal(made.value.has(address), expected);
  },
};

const dotQmail: Row = {
  name: ".qmail lines",
  cases: 2_000,
  check(source) {
    const text = mutated(source, dotQmails);
    const forwardOnly = source.oneIn(3);
    const instructions = parseDotQmail(text, forwardOnly);
    assert.ok(instructions.length <= text.split("\n").length);
    for (const instruction of instructions) {
      const value = "path" in instruction ? instruction.path : "command" in instruction ? instruction.command : "";
      assert.doesNotMatch(value, /[\0\n]/);
      if (instruction.kind === "forward") assert.doesNotMatch(instruction.forwardPath, /[\0\n]/);
      else assert.ok(!forwardOnly || instruction.kind === "fail");
    }
    const report = localReport(mutated(source, dotQmails));
    assert.ok(report.length <= maxLocalReportOctets && !report.includes("\0"));
  },
};

const search: Row = {
  name: ".qmail names",
  cases: 2_000,
  check(source) {
    const extension = mutated(source, localParts).slice(0, 1_000);
    const dash = source.pick(["-", ""]);
    const names = dotQmailNames(dash, extension);
    assert.ok(names.length <= extension.length + 2);
    const { owner, verp } = ownerNames(dash, extension);
    for (const name of [...names.map((candidate) => candidate.name), owner, verp]) {
      assert.ok(name.startsWith(`.qmail${dash}`));
      assert.ok(!name.slice(1).includes("."), "a dot could climb out of the home");
    }
    for (const { matched } of names)
      assert.ok(matched === undefined || extension.endsWith(matched) || extension.startsWith(matched));
  },
};

const loop: Row = {
  name: "header search",
  cases: 1_500,
  check(source) {
    const line = "Delivered-To: a@b\n";
    const words = [
      line,
      "Delivered-To: a@b",
      "Delivered-To: ",
      "a@b\n",
      "\n",
      "x",
      line.toLowerCase(),
      "\n\n",
      "\r",
      "\r\n",
    ];
    const message = Buffer.from(source.text(words, 12), "latin1");
    const header = message.toString("latin1").split(/(?:^|(?<=\n))\r?\n/, 1)[0] ?? "";
    const expected = header.split(/(?<=\n)/).some((one) => one === line || one === line.replace("\n", "\r\n"));
    for (const pieces of [[message], source.pieces(message)]) {
      const find = createHeaderSearch(line);
      let found = false;
      for (const piece of pieces) found = find(piece);
      assert.equal(found, expected);
    }
  },
};

const assign: Row = {
  name: "users/assign",
  cases: 2_500,
  check(source) {
    const parsed = parseAssign(mutated(source, assigns));
    if (parsed.kind !== "done") return assert.equal(parsed.kind, "temporary");
    const localPart = mutated(source, localParts);
    const { exact, wildcards } = parsed.value;
    for (const { uid, gid, home } of [...exact.values(), ...wildcards.values()]) {
      assert.ok(uid >= 0 && uid <= 4_294_967_294 && gid >= 0 && gid <= 4_294_967_294);
      assert.match(home, /^\/[^\0\n]*$/);
    }
    const found = findAssignment(parsed.value, localPart);
    if (found)
      assert.ok(
        [...exact.values(), ...wildcards.values()].some(({ home, uid }) => home === found.home && uid === found.uid),
      );
    const upper = findAssignment(
      parsed.value,
      localPart.replace(/[a-z]/g, (letter) => letter.toUpperCase()),
    );
    assert.equal(upper?.home, found?.home);
    const everybody = catchAllAssignment(parsed.value, localPart);
    assert.ok(everybody === undefined || everybody.extension.endsWith(localPart));
  },
};

const passwd: Row = {
  name: "passwd",
  cases: 1_500,
  check(source) {
    for (const [name, account] of parsePasswd(mutated(source, passwds))) {
      assert.equal(name, account.name);
      assert.ok(name !== "" && account.home.startsWith("/") && Number.isSafeInteger(account.uid));
    }
    const localPart = mutated(source, localParts);
    const splits = nameSplits(localPart, "-+");
    assert.ok(splits.length <= localPart.length + 1);
    for (const { name, dash, extension } of splits) {
      assert.equal(`${name}${dash}${extension}`.toLowerCase(), localPart.toLowerCase());
    }
    for (const { name } of accountSplits(localPart, "-")) assert.ok(name.length < 32);
    if (isFolderName(localPart)) assert.match(localPart, /^[^./\0\n][^/\0\n]*$/);
  },
};

const control: Row = {
  name: "control files",
  cases: 3_000,
  check(source) {
    const names = [...Object.keys(controls), "__proto__", "constructor", "toString", "", "nonesuch"];
    const name = source.pick(names);
    const text = mutated(source, controlTexts);
    const parsed = parseControl(name, text);
    const known = Object.entries<Control>(controls).find(([key]) => key === name)?.[1];
    if (!known) assert.equal(parsed.kind, "permanent");
    if (known?.kind === "integer" && parsed.kind === "done") {
      assert.ok(Number(parsed.value) >= known.least && Number(parsed.value) <= known.most);
    }
    if (known?.kind === "list" && parsed.kind === "done" && Array.isArray(parsed.value)) {
      for (const entry of parsed.value) assert.match(String(entry), /^[^#\n][^\n]*$|^[^#\n]$/);
    }
    const settings = readSettings(new Map([[name, text]]));
    assert.equal(settings.kind, parsed.kind);
    mailboxDomains(text.split("\n"));
  },
};

const request: Row = {
  name: "operator request",
  cases: 3_000,
  check(source) {
    const parsed = parseRequest(mutated(source, requests));
    if (parsed.kind !== "done") return assert.equal(parsed.kind, "permanent");
    const { command, filter, limit } = parsed.value;
    assert.ok(commands.includes(command) && limit >= 0);
    for (const id of filter.ids ?? []) assert.ok(Number.isSafeInteger(id) && id >= 0);
    for (const text of [filter.sender, filter.recipient, filter.destination])
      assert.ok(["string", "undefined"].includes(typeof text));
  },
};

const anyArguments = (source: Source): string[] => source.list(8, () => mutated(source, args));

const commandLines: Row = {
  name: "command lines",
  cases: 3_000,
  check(source) {
    const given = anyArguments(source);
    const inject = parseInjectOptions(given);
    if (inject.kind === "done" && inject.value !== "help") {
      assert.ok(inject.value.arguments.every((argument) => given.includes(argument)));
    }
    const sendmail = parseSendmailOptions(given);
    if (sendmail.kind !== "done") return assert.equal(sendmail.kind, "permanent");
    assert.ok(sendmail.value.recipients.every((recipient) => given.includes(recipient)));
    // Behind -- nothing is an option: who gives addresses from outside relies on it.
    const fenced = parseSendmailOptions(["-i", "--", ...given]);
    assert.deepEqual(fenced.kind === "done" && fenced.value.recipients, given);
  },
};

export const textRows: readonly Row[] = [
  ...[network, cidr, dotQmail, search, loop, assign, passwd, control, request, commandLines],
];
