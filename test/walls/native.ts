import type { Attempts, Targets } from "./attempt.ts";

const [O_RDONLY, O_RDWR, O_CREAT_WRONLY] = [0, 2, 0o101];
const atCwd = -100;

/** The same, and worse, as native code would: past Node's permission model. Negative results are errors here. */
export async function nativeAttempts(targets: Targets): Promise<Attempts> {
  const { dlopen, getInt32, getRawPointer } = await import("node:ffi");
  const i64x7 = ["i64", "i64", "i64", "i64", "i64", "i64", "i64"] as const;
  const { functions: libc } = dlopen(null, {
    syscall: { arguments: i64x7, return: "i64" },
    access: { arguments: ["string", "i32"], return: "i32" },
    chmod: { arguments: ["string", "u32"], return: "i32" },
    chown: { arguments: ["string", "u32", "u32"], return: "i32" },
    utimensat: { arguments: ["i32", "string", "pointer", "i32"], return: "i32" },
    setxattr: { arguments: ["string", "string", "string", "u64", "i32"], return: "i32" },
    inotify_init: { arguments: [], return: "i32" },
    inotify_add_watch: { arguments: ["i32", "string", "u32"], return: "i32" },
    unlink: { arguments: ["string"], return: "i32" },
    fork: { arguments: [], return: "i32" },
    socket: { arguments: ["i32", "i32", "i32"], return: "i32" },
    open: { arguments: ["string", "i32", "i32"], return: "i32" },
    kill: { arguments: ["i32", "i32"], return: "i32" },
    ptrace: { arguments: ["i64", "i64", "i64", "i64"], return: "i64" },
    connect: { arguments: ["i32", "pointer", "u32"], return: "i32" },
    bind: { arguments: ["i32", "pointer", "u32"], return: "i32" },
    listen: { arguments: ["i32", "i32"], return: "i32" },
    fcntl: { arguments: ["i32", "i32", "i64"], return: "i32" },
    setresuid: { arguments: ["u32", "u32", "u32"], return: "i32" },
    setgroups: { arguments: ["u64", "pointer"], return: "i32" },
    __errno_location: { arguments: [], return: "pointer" },
  });
  const must = (result: number | bigint): number => {
    if (result < 0) throw new Error(`errno ${getInt32(libc.__errno_location())}`);
    return Number(result);
  };
  const arm = process.arch === "arm64";
  const call = (x64: number, arm64: number, ...values: (bigint | number)[]): number => {
    const [a = 0n, b = 0n, c = 0n, d = 0n, e = 0n, f = 0n] = values.map(BigInt);
    return must(libc.syscall(BigInt(arm ? arm64 : x64), a, b, c, d, e, f));
  };
  const address = (port: number): Buffer =>
    Buffer.from([2, 0, port >> 8, port & 255, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
  const tcp = (): number => must(libc.socket(2, 1, 0));
  const program = Buffer.from("/bin/true\0");
  const zeroes = getRawPointer(Buffer.alloc(128));
  const { outside, code, otherPid } = targets;
  const secret = `${outside}/secret`;
  const open = (path: string, flags: number): number => must(libc.open(path, flags, 0o600));

  const all: Attempts = new Map<string, () => unknown>([
    ["read own code", () => open(code, O_RDONLY)],
    ["read /etc/passwd", () => open("/etc/passwd", O_RDONLY)],
    ["read outside", () => open(secret, O_RDONLY)],
    ["list outside", () => open(outside, O_RDONLY)],
    ["see whether a file is there", () => must(libc.access(secret, 0))],
    ["read through a link in own code", () => open(`${code}/way-out/secret`, O_RDONLY)],
    ["read another's environment", () => open(`/proc/${otherPid}/environ`, O_RDONLY)],
    ["list processes", () => open("/proc", O_RDONLY)],
    ["write another's memory", () => open(`/proc/${otherPid}/mem`, O_RDWR)],
    ["write outside", () => open(`${outside}/evil-${process.pid}`, O_CREAT_WRONLY)],
    ["write /tmp", () => open(`/tmp/evil-${process.pid}`, O_CREAT_WRONLY) && libc.unlink(`/tmp/evil-${process.pid}`)],
    ["write own code", () => open(`${code}/evil-${process.pid}`, O_CREAT_WRONLY)],
    ["write to the kernel's log", () => open("/dev/kmsg", O_RDWR)],
    ["change a mode outside", () => must(libc.chmod(secret, 0o666))],
    ["change an owner outside", () => must(libc.chown(secret, 0xffff_ffff, 0xffff_ffff))],
    ["change times outside", () => must(libc.utimensat(atCwd, secret, 0n, 0))],
    ["change attributes outside", () => must(libc.setxattr(secret, "user.evil", "", 0n, 0))],
    ["watch who opens files outside", () => must(libc.inotify_add_watch(must(libc.inotify_init()), outside, 0x20))],
    ["make a Unix socket", () => must(libc.socket(1, 1, 0))],
    ["make a raw socket", () => must(libc.socket(2, 3, 1))],
    ["make a netlink socket", () => must(libc.socket(16, 3, 0))],
    ["make a packet socket", () => must(libc.socket(17, 3, 0))],
    ["make a socket of the kernel's cryptography", () => must(libc.socket(38, 5, 0))],
    ["make a socket to the hypervisor", () => must(libc.socket(40, 1, 0))],
    ["make a pair of sockets", () => call(53, 199, 1, 1, 0, zeroes)],
    ["connect by TCP", () => must(libc.connect(tcp(), address(targets.tcpPort), 16))],
    ["bind TCP", () => must(libc.bind(tcp(), address(0), 16))],
    ["listen on TCP", () => must(libc.listen(tcp(), 1))],
    ["make a UDP socket", () => must(libc.socket(2, 2, 0))],
    ["connect an inherited listener elsewhere", () => must(libc.connect(4, address(targets.tcpPort), 16))],
    [
      "open a connection by sending",
      () => call(44, 206, 4, getRawPointer(program), 1, 0x20000000, getRawPointer(address(targets.tcpPort)), 16),
    ],
    ["signal itself", () => must(libc.kill(process.pid, 0))],
    ["signal its group", () => must(libc.kill(0, 0))],
    ["signal another process", () => must(libc.kill(otherPid, 0))],
    ["signal everybody", () => must(libc.kill(-1, 0))],
    ["signal by a descriptor's owner", () => must(libc.fcntl(0, 8, BigInt(otherPid)))],
    ["signal by a process descriptor", () => call(434, 434, otherPid, 0)],
    ["limit another process", () => call(302, 261, otherPid, 7, 0, zeroes)],
    ["raise its own limits", () => call(302, 261, 0, 7, getRawPointer(limits(2 ** 20)), 0)],
    ["trace another process", () => must(libc.ptrace(0x4206n, BigInt(otherPid), 0n, 0n))],
    ["read another's memory", () => call(310, 270, otherPid, 0, 0, 0, 0)],
    ["fork", () => must(libc.fork()) === 0 && process.exit(0)],
    ["fork by clone", () => call(56, 220, 17) === 0 && process.exit(0)],
    ["fork by clone3", () => call(435, 435, getRawPointer(Buffer.alloc(88)), 88) === 0 && process.exit(0)],
    ["execute", () => call(59, 221, getRawPointer(program), 0, 0)],
    ["execute by execveat", () => call(322, 281, atCwd, getRawPointer(program), 0, 0, 0)],
    ["become root", () => must(libc.setresuid(0, 0, 0)) + open("/etc/shadow", O_RDONLY)],
    ["join groups", () => must(libc.setgroups(1n, zeroes))],
    ["new namespaces", () => call(272, 97, 0x10000000)],
    ["enter a namespace", () => call(308, 268, 0, 0)],
    ["mount", () => call(165, 40, 0, 0, 0, 0, 0)],
    ["change the root", () => call(161, 51, getRawPointer(Buffer.from("/\0")))],
    ["io_uring", () => call(425, 425, 1, getRawPointer(Buffer.alloc(120)))],
    ["bpf", () => call(321, 280, 0, 0, 0)],
    ["count what the processor does", () => call(298, 241, zeroes, 0, -1, -1, 0)],
    ["handle page faults", () => call(323, 282, 0)],
    ["keyrings", () => call(250, 219, 0, -3, 1)],
    ["shared memory", () => call(29, 194, 1, 4096, 0o1600)],
    ["open a file by its handle", () => call(304, 265, 0, zeroes, 0)],
    ["set the clock", () => call(227, 112, 0, zeroes)],
    ["type on the terminal", () => call(16, 29, 0, 0x5412, getRawPointer(program))],
    ["calls of another machine mode", () => call(0x40000000 + 39, 9_999)],
    ["calls nobody knows yet", () => call(1_000, 1_000)],
  ]);
  for (const [place, folder] of Object.entries(targets.folders)) {
    all.set(`read ${place}`, () => open(`${folder}/secret`, O_RDONLY));
    all.set(`write ${place}`, () => open(`${folder}/evil-${process.pid}`, O_CREAT_WRONLY));
    all.set(`read through a link in ${place}`, () => open(`${folder}/way-out/secret`, O_RDONLY));
  }
  return all;
}

/** struct rlimit, both alike. */
function limits(value: number): Buffer {
  const octets = Buffer.alloc(16);
  octets.writeBigUInt64LE(BigInt(value), 0);
  octets.writeBigUInt64LE(BigInt(value), 8);
  return octets;
}
