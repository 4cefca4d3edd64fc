import type { CallRule } from "../kernel/seccomp.ts";
import type { Wall } from "./plan.ts";

const AF_INET = 2;
const AF_INET6 = 10;
const CLONE_THREAD = 0x10000;
const MSG_FASTOPEN = 0x20000000;
const [F_SETOWN, F_SETOWN_EX] = [8, 15];
const [TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP] = [0x5412, 0x541c, 0x8901, 0x8902];

/** 96 random bits that only the launcher's own exec knows. */
export type ExecKey = readonly [number, number, number];

/** What no confined program has any use for: the machine, other processes, ways around the walls. */
const never: CallRule = {
  refuse: "always",
  calls: [
    // the file system as a whole
    ...(["mount", "umount2", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick"] as const),
    ...(["mount_setattr", "pivot_root", "chroot", "swapon", "swapoff", "quotactl", "quotactl_fd", "acct"] as const),
    ...(["name_to_handle_at", "open_by_handle_at", "fanotify_init", "fanotify_mark", "mknod", "mknodat"] as const),
    // what Landlock lets pass on paths it has shut: modes, owners, times, attributes, watching who opens what
    ...(["chmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchownat", "utime", "utimes", "utimensat"] as const),
    ...(["futimesat", "setxattr", "lsetxattr", "removexattr", "lremovexattr", "inotify_add_watch"] as const),
    // other processes
    ...(["ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "kcmp"] as const),
    ...(["pidfd_open", "pidfd_getfd", "pidfd_send_signal", "tkill", "setpriority", "ioprio_set"] as const),
    ...(["sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler"] as const),
    ...(["migrate_pages", "move_pages", "mbind", "set_mempolicy", "fork", "vfork", "execveat"] as const),
    ...(["shmget", "shmat", "shmctl", "semget", "semop", "semtimedop", "semctl"] as const),
    ...(["msgget", "msgsnd", "msgrcv", "msgctl", "mq_open", "mq_unlink"] as const),
    // the kernel and its rarely walked corners
    ...(["init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot"] as const),
    ...(["bpf", "perf_event_open", "userfaultfd", "memfd_secret", "keyctl", "add_key", "request_key"] as const),
    ...(["unshare", "setns", "personality", "modify_ldt", "ioperm", "iopl", "syslog", "lookup_dcookie"] as const),
    ...(["sethostname", "setdomainname", "settimeofday", "clock_settime", "adjtimex", "clock_adjtime"] as const),
    ...(["nfsservctl", "vhangup", "socketpair"] as const),
  ],
};

/** The system calls a confined program is refused: process `pid`, which `key` lets exec once more. */
export const refusedCalls = (network: Wall["network"], pid: number, key: ExecKey): readonly CallRule[] => [
  never,
  // libc and Node have another way where there are none of these
  { calls: ["clone3", "io_uring_setup", "io_uring_enter", "io_uring_register"], refuse: "unknown" },
  { calls: ["clone"], refuse: { unlessAll: [{ argument: 0, hasBit: CLONE_THREAD }] } },
  {
    calls: ["execve"],
    refuse: { unlessAll: key.map((value, at) => ({ argument: 3 + at, isOneOf: [value] })) },
  },
  {
    calls: ["kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"],
    refuse: { unlessAll: [{ argument: 0, isOneOf: [pid] }] },
  },
  { calls: ["prlimit64"], refuse: { unlessAll: [{ argument: 0, isOneOf: [0, pid] }] } },
  // signals by way of a descriptor's owner; keys pressed on our terminal
  { calls: ["fcntl"], refuse: { ifAny: [{ argument: 1, isOneOf: [F_SETOWN, F_SETOWN_EX] }] } },
  { calls: ["ioctl"], refuse: { ifAny: [{ argument: 1, isOneOf: [TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP] }] } },
  ...networkRules[network],
];

/** A connection can also be opened by sending, on a socket that was shut down. */
const noFastOpen: readonly CallRule[] = [
  { calls: ["sendto", "sendmmsg"], refuse: { ifAny: [{ argument: 3, hasBit: MSG_FASTOPEN }] } },
  { calls: ["sendmsg"], refuse: { ifAny: [{ argument: 2, hasBit: MSG_FASTOPEN }] } },
];

const networkRules = {
  none: [{ calls: ["socket", "connect", "bind", "listen", "accept", "accept4"], refuse: "always" }, ...noFastOpen],
  accept: [{ calls: ["socket", "connect", "bind"], refuse: "always" }, ...noFastOpen],
  connect: [
    { calls: ["socket"], refuse: { unlessAll: [{ argument: 0, isOneOf: [AF_INET, AF_INET6] }] } },
    { calls: ["listen", "accept", "accept4"], refuse: "always" },
  ],
} as const satisfies Record<Wall["network"], readonly CallRule[]>;
