// Started by ask-accounts.ts as the owner of the accounts: a request on standard input, its answer on standard output.
import { text } from "node:stream/consumers";
import { carryOut } from "./carry-out.ts";
import type { AccountsRequest } from "./request.ts";

process.umask(0o077);
const request = JSON.parse(await text(process.stdin)) as AccountsRequest;
process.stdout.write(JSON.stringify(await carryOut(process.argv[2] ?? "", request)));
