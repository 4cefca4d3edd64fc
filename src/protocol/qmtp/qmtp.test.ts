import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeNetstring } from "../netstring.ts";
import { addressLimitOctets } from "../qmqp/request.ts";
import { QmtpExchange } from "./exchange.ts";
import { createPackageReader, framePackage } from "./package.ts";

interface Package {
  readonly body: string;
  readonly unfit?: string;
  readonly reversePath: string | undefined;
  readonly forwardPaths: readonly (string | undefined)[];
}

/** What the reader makes of `wire`, `size` octets at a time: whole packages, and why it gave up. */
function read(wire: string, size: number): { packages: Package[]; broken: string | undefined; left: string } {
  const reader = createPackageReader();
  const packages: Package[] = [];
  const fresh = () => ({ body: "", reversePath: "" as string | undefined, forwardPaths: [] as (string | undefined)[] });
  let current: ReturnType<typeof fresh> & { unfit?: string } = fresh();
  let broken: string | undefined;
  for (let at = 0; at < wire.length; at += size) {
    for (const part of reader(Buffer.from(wire.slice(at, at + size), "latin1"))) {
      assert.equal(broken, undefined, "a part after the end");
      if (part.kind === "body") current.body += part.octets.toString("latin1");
      else if (part.kind === "unfit") current.unfit = part.why;
      else if (part.kind === "reversePath") current.reversePath = part.text;
      else if (part.kind === "forwardPath") current.forwardPaths.push(part.text);
      else if (part.kind === "broken") broken = part.why;
      else {
        packages.push(current);
        current = fresh();
      }
    }
  }
  return { packages, broken, left: current.body };
}

/** The number of the statement, if there is one, goes first. */
const title = (subject: string, name: string): string => name.replace(/^(§17\.\d+ )?/, `$1${subject} `);

const netstring = (text: string): string => encodeNetstring(text).toString("latin1");
const wireOf = (message: string, reversePath: string, ...forwardPaths: readonly string[]): string =>
  netstring(message) + netstring(reversePath) + netstring(forwardPaths.map(netstring).join(""));
const longest = "r".repeat(addressLimitOctets - 1);

const sound: readonly (Package & { readonly name: string; readonly wire: string })[] = [
  {
    name: "a message with LF line ends",
    wire: wireOf("\na: b\n\nc\n", "s@x", "r@y", "t@z"),
    body: "a: b\n\nc\n",
    reversePath: "s@x",
    forwardPaths: ["r@y", "t@z"],
  },
  {
    name: "§17.176 a message with CR LF line ends",
    wire: wireOf("\ra: b\r\n\r\nc\r\n", "s@x", "r@y"),
    body: "a: b\n\nc\n",
    reversePath: "s@x",
    forwardPaths: ["r@y"],
  },
  { name: "an empty message from nobody", wire: wireOf("\n", "", "r"), body: "", reversePath: "", forwardPaths: ["r"] },
  { name: "no recipients", wire: wireOf("\nm", "s"), body: "m", reversePath: "s", forwardPaths: [] },
  {
    name: "any octets in addresses",
    wire: wireOf("\n", "\0,", "1:"),
    body: "",
    reversePath: "\0,",
    forwardPaths: ["1:"],
  },
  {
    name: "the longest addresses, and none longer",
    wire: wireOf("\n", longest, `${longest}r`, longest, "r"),
    body: "",
    reversePath: longest,
    forwardPaths: [undefined, longest, "r"],
  },
  {
    name: "an overlong sender",
    wire: wireOf("\n", `${longest}s`, "r"),
    body: "",
    reversePath: undefined,
    forwardPaths: ["r"],
  },
  {
    name: "a CR in LF form",
    wire: wireOf("\na\r\nb", "s", "r"),
    body: "",
    unfit: "bare CR",
    reversePath: "s",
    forwardPaths: ["r"],
  },
  { name: "a NUL", wire: wireOf("\n\0a", "s", "r"), body: "", unfit: "NUL", reversePath: "s", forwardPaths: ["r"] },
  {
    name: "a bare LF in CR form",
    wire: wireOf("\r\na", "s", "r"),
    body: "",
    unfit: "bare LF",
    reversePath: "s",
    forwardPaths: ["r"],
  },
  {
    name: "a bare CR in CR form",
    wire: wireOf("\r\ra", "s", "r"),
    body: "",
    unfit: "bare CR",
    reversePath: "s",
    forwardPaths: ["r"],
  },
  {
    name: "a doubled CR",
    wire: wireOf("\r\r\r\n", "s", "r"),
    body: "",
    unfit: "bare CR",
    reversePath: "s",
    forwardPaths: ["r"],
  },
  {
    name: "a CR at the end",
    wire: wireOf("\r\r", "s", "r"),
    body: "",
    unfit: "bare CR",
    reversePath: "s",
    forwardPaths: ["r"],
  },
  {
    name: "a NUL in CR form",
    wire: wireOf("\r\0\r\n", "s", "r"),
    body: "",
    unfit: "NUL",
    reversePath: "s",
    forwardPaths: ["r"],
  },
];

for (const { name, wire, ...expected } of sound) {
  test(`${title("createPackageReader() takes", name)}, twice, in pieces of any size`, () => {
    for (const size of [1, 2, 3, 7, 1_000_000]) {
      const { packages, broken } = read(wire + wire, size);
      assert.equal(broken, undefined);
      const whole = packages.map(({ body, ...rest }) => ({ ...rest, body: "unfit" in expected ? "" : body }));
      assert.deepEqual(whole, [expected, expected]);
    }
  });
}

const unsound = [
  { name: "a length with a leading zero", wire: "01:\n," },
  { name: "a length that is no number", wire: "x" },
  { name: "a length without digits", wire: ":" },
  { name: "a message over 4 GiB", wire: "4294967298:" },
  { name: "a message without its first octet", wire: "0:,1:s,4:1:r,," },
  { name: "a message that begins otherwise", wire: "2:ab," },
  { name: "a missing comma after the message", wire: "2:\na1:s," },
  { name: "a missing comma after the sender", wire: "1:\n,1:s;" },
  { name: "a missing comma after a recipient", wire: "1:\n,1:s,4:1:r;," },
  { name: "a missing comma after the list", wire: "1:\n,1:s,4:1:r,;" },
  { name: "a list that is longer than its bound", wire: "1:\n,1:s,100600001:" },
  { name: "a recipient that leaves its list", wire: "1:\n,1:s,4:2:rr,," },
  { name: "a list that ends within a length", wire: "1:\n,1:s,2:10" },
  { name: "a list that ends within a recipient's colon", wire: "1:\n,1:s,2:1:r,," },
] as const;

for (const { name, wire } of unsound) {
  test(`createPackageReader() gives up at ${name}, in pieces of any size`, () => {
    const whole = read(`${wire}${wireOf("\nlater", "s", "r")}`, 1_000_000);
    assert.ok(whole.broken);
    assert.deepEqual(whole.packages, []);
    for (const size of [1, 2, 3]) assert.deepEqual(read(wire, size).broken, whole.broken);
  });
}

test("createPackageReader() takes a hundred thousand recipients, and not one more", () => {
  const list = (count: number) => `1:\n,0:,${netstring("1:r,".repeat(count))}`;
  assert.equal(read(list(100_000), 65_536).packages[0]?.forwardPaths.length, 100_000);
  assert.equal(read(list(100_001), 65_536).broken, "too many recipients");
});

test("framePackage() is what createPackageReader() reads", () => {
  const { before, after } = framePackage(5, "s@x", ["r@y", "t@z"]);
  const wire = `${before.toString("latin1")}a\nb\nc${after.toString("latin1")}`;
  assert.equal(wire, "6:\na\nb\nc,3:s@x,12:3:r@y,3:t@z,,");
  assert.deepEqual(read(wire, 4).packages, [{ body: "a\nb\nc", reversePath: "s@x", forwardPaths: ["r@y", "t@z"] }]);
});

const accepted = { letter: "K", status: "", text: "192.0.2.1 accepted message.\nRemote host said: ok 1 qp 2\n" };
const refused = {
  letter: "D",
  status: "1.1",
  text: "192.0.2.1 does not like recipient.\nRemote host said: no (#5.1.1)\n",
};
const later = { letter: "Z", status: "3.0", text: "192.0.2.1 does not like recipient.\nRemote host said: full?disk\n" };
const strange = { letter: "Z", status: "3.0", text: "192.0.2.1 does not like recipient.\nRemote host said: \n" };
const died = (doubt: string) => ({
  letter: "Z",
  status: "4.2",
  text: `Connected to 192.0.2.1 but connection died. ${doubt}(#4.4.2)\ngone\n`,
});
const answers = ["Kok 1 qp 2", "Dno (#5.1.1)", "Zfull\ndisk", "X"].map(netstring).join("");

test("QmtpExchange gives each recipient its own answer, in pieces of any size", () => {
  for (const size of [1, 3, 1_000]) {
    const exchange = new QmtpExchange("192.0.2.1", 4);
    exchange.onSent();
    let last: ReturnType<typeof exchange.onAnswer> = "more";
    for (let at = 0; at < answers.length; at += size) {
      assert.equal(last, "more");
      last = exchange.onAnswer(Buffer.from(answers.slice(at, at + size)));
    }
    assert.deepEqual(last, [accepted, refused, later, strange]);
  }
});

test("QmtpExchange takes a missing answer for a doubt once the package was sent", () => {
  const exchange = new QmtpExchange("192.0.2.1", 2);
  assert.deepEqual(exchange.lost("gone"), [died(""), died("")]);
  exchange.onSent();
  assert.equal(exchange.onAnswer(Buffer.from(netstring("Kok 1 qp 2"))), "more");
  assert.deepEqual(exchange.lost("gone"), [accepted, died("Possible duplicate! ")]);
});

const nonsense = [
  { name: "an answer before the package is whole", early: netstring("Kok") },
  { name: "more answers than recipients", late: netstring("K") + netstring("K") },
  { name: "what is no netstring", late: "250 ok\r\n" },
  { name: "an endless answer", late: "10001:" },
] as const;

for (const { name, ...said } of nonsense) {
  test(`QmtpExchange sees through ${name}`, () => {
    const exchange = new QmtpExchange("192.0.2.1", 1);
    if ("late" in said) exchange.onSent();
    assert.equal(exchange.onAnswer(Buffer.from("late" in said ? said.late : said.early)), "broken");
  });
}
