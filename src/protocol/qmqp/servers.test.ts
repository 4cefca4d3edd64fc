import assert from "node:assert/strict";
import { test } from "node:test";
import { done, permanent } from "../outcome.ts";
import { parseQmqpServers } from "./servers.ts";

test("parseQmqpServers() reads addresses with and without ports, and names the lines that are none", () => {
  assert.deepEqual(
    parseQmqpServers(["192.0.2.1", "192.0.2.2:700", "[2001:db8::1]:701"]),
    done([
      { host: "192.0.2.1", port: 628 },
      { host: "192.0.2.2", port: 700 },
      { host: "2001:db8::1", port: 701 },
    ]),
  );
  const wrong = '"mail.example" is no address and port\n"192.0.2.1:x" is no address and port';
  assert.deepEqual(parseQmqpServers(["mail.example", "192.0.2.1", "192.0.2.1:x"]), permanent("3.5", wrong));
});
