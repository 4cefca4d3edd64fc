import { Socket } from "node:net";
import { serveDeliveries } from "./serve.ts";

/** The connection with `local`. */
const localFd = 3;

process.title = "postern: deliver";
process.umask(0o077);
// Signals reach the whole foreground group; `local` ends us by closing the connection.
process.on("SIGINT", () => {});
process.on("SIGHUP", () => {});
serveDeliveries(new Socket({ fd: localFd, readable: true, writable: true }), () => process.exit(0));
