import { Socket } from "node:net";
import { serveSessions } from "./serve.ts";

/** The connection with `local`. */
const localFd = 3;

process.title = "postern: pop3session";
process.umask(0o077);
// Signals reach the whole foreground group; `local` ends us by closing the connection.
process.on("SIGINT", () => {});
process.on("SIGHUP", () => {});
const [folder = ""] = process.argv.slice(2);
serveSessions(new Socket({ fd: localFd, readable: true, writable: true }), folder, () => process.exit(0));
